//! Topics: looked at, made, grown. Looks before it creates, and never changes a property that a
//! topic already has but for more queues.

use super::RocketMq;
use super::admin::Master;
use super::errors::{About, code};
use super::names::check_topic;
use super::routes::READ_AND_WRITE;
use crate::error::BrokerError;
use connect_record::Queue;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::header::create_topic_request_header::CreateTopicRequestHeader;
use rocketmq_protocol::protocol::header::get_topic_config_request_header::GetTopicConfigRequestHeader;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// How long a new queue may take to be seen at the name server.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

/// A topic as one broker has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TopicFacts {
    read_queue_nums: u32,
    write_queue_nums: u32,
    perm: u32,
    #[serde(default = "single_tag")]
    topic_filter_type: String,
    #[serde(default)]
    topic_sys_flag: i32,
    #[serde(default)]
    order: bool,
}

fn single_tag() -> String {
    "SINGLE_TAG".to_owned()
}

impl RocketMq {
    pub(super) async fn make_topic(
        &self,
        topic: &str,
        queues: u32,
    ) -> Result<Vec<Queue>, BrokerError> {
        let step = "create topic";
        check_topic(topic)?;
        if queues == 0 || i32::try_from(queues).is_err() {
            let reason = format!("{queues} queues for topic {topic}: at least 1 is needed");
            return Err(BrokerError::Setting {
                key: "queues",
                reason,
            });
        }
        let masters = match self.masters(step).await {
            Ok(masters) => masters,
            Err(error @ BrokerError::Unreachable { .. }) => {
                // Without a name server nothing can be made, but what is there can be used.
                let known = self.queues_of(step, topic).await?.unwrap_or_default();
                return if enough(&known, queues) {
                    Ok(known)
                } else {
                    Err(error)
                };
            }
            Err(error) => return Err(error),
        };
        let mut existing = Vec::new();
        for master in &masters {
            if let Some(facts) = self
                .topic_facts(step, &master.name, &master.address, topic)
                .await?
            {
                existing.push((master, facts));
            }
        }
        if existing.is_empty() {
            for master in &masters {
                self.put_topic(master, topic, queues, None).await?;
            }
            let names: Vec<&str> = masters.iter().map(|master| master.name.as_str()).collect();
            return self.wait_visible(topic, queues, &names).await;
        }
        for (master, facts) in &existing {
            if facts.perm & READ_AND_WRITE != READ_AND_WRITE {
                return Err(BrokerError::Denied {
                    step,
                    what: format!("topic {topic} on broker {}", master.name),
                    code: code::NO_PERMISSION,
                    remark: format!(
                        "its permission is {}, reading and writing needs 6",
                        facts.perm
                    ),
                });
            }
            if facts.read_queue_nums < queues || facts.write_queue_nums < queues {
                self.put_topic(master, topic, queues, Some(facts)).await?;
            }
        }
        let names: Vec<&str> = existing
            .iter()
            .map(|(master, _)| master.name.as_str())
            .collect();
        self.wait_visible(topic, queues, &names).await
    }

    /// The topic as a broker has it, `None` when it does not.
    pub(super) async fn topic_facts(
        &self,
        step: &'static str,
        broker: &str,
        address: &str,
        topic: &str,
    ) -> Result<Option<TopicFacts>, BrokerError> {
        let about = About::topic(step, topic);
        let header = GetTopicConfigRequestHeader {
            topic: topic.into(),
            topic_request_header: None,
        };
        let asking = RemotingCommand::create_request_command(RequestCode::GetTopicConfig, header);
        let master = Master {
            name: broker.to_owned(),
            address: address.to_owned(),
        };
        let answer = self.call_master(step, &master, asking).await?;
        if answer.code() == code::TOPIC_NOT_EXIST {
            return Ok(None);
        }
        let body = about.success(answer)?.take_body().unwrap_or_default();
        let facts = serde_json::from_slice(&body)
            .map_err(|error| about.nonsense(format!("its settings cannot be read: {error}")))?;
        Ok(Some(facts))
    }

    async fn put_topic(
        &self,
        master: &Master,
        topic: &str,
        queues: u32,
        facts: Option<&TopicFacts>,
    ) -> Result<(), BrokerError> {
        let about = About::topic("create topic", topic);
        let grown =
            |now: Option<u32>| i32::try_from(now.unwrap_or(0).max(queues)).unwrap_or(i32::MAX);
        let header = CreateTopicRequestHeader {
            topic: topic.into(),
            default_topic: "TBW102".into(),
            read_queue_nums: grown(facts.map(|facts| facts.read_queue_nums)),
            write_queue_nums: grown(facts.map(|facts| facts.write_queue_nums)),
            perm: facts
                .and_then(|facts| i32::try_from(facts.perm).ok())
                .unwrap_or(6),
            topic_filter_type: facts
                .map_or_else(single_tag, |facts| facts.topic_filter_type.clone())
                .into(),
            topic_sys_flag: Some(facts.map_or(0, |facts| facts.topic_sys_flag)),
            order: facts.is_some_and(|facts| facts.order),
            // Attributes can be given on creation only; none given leaves them as they are.
            attributes: None,
            force: Some(false),
            topic_request_header: None,
        };
        let code = RequestCode::UpdateAndCreateTopic;
        let making = RemotingCommand::create_request_command(code, header);
        about.success(self.call_master(about.step, master, making).await?)?;
        Ok(())
    }

    /// Waits until the name server shows `queues` queues on each of the brokers.
    async fn wait_visible(
        &self,
        topic: &str,
        queues: u32,
        brokers: &[&str],
    ) -> Result<Vec<Queue>, BrokerError> {
        let step = "create topic";
        let deadline = Instant::now() + VISIBLE_WITHIN;
        let mut pause = Duration::from_millis(2);
        loop {
            let known = self.queues_of(step, topic).await?.unwrap_or_default();
            let on = |broker: &str| known.iter().filter(|q| &*q.broker == broker).count();
            if brokers.iter().all(|broker| on(broker) >= queues as usize) {
                return Ok(known);
            }
            if Instant::now() >= deadline {
                return Err(BrokerError::Busy {
                    step,
                    what: format!("topic {topic}"),
                    code: code::SUCCESS,
                    remark: format!(
                        "the name server shows {} of {} queues after {} s",
                        known.len(),
                        queues as usize * brokers.len(),
                        VISIBLE_WITHIN.as_secs()
                    ),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

fn enough(known: &[Queue], queues: u32) -> bool {
    let mut brokers: Vec<&str> = known.iter().map(|queue| &*queue.broker).collect();
    brokers.dedup();
    let on = |broker: &&str| {
        known
            .iter()
            .filter(|queue| &*queue.broker == *broker)
            .count()
    };
    !brokers.is_empty() && brokers.iter().all(|broker| on(broker) >= queues as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broker_must_have_enough_queues() {
        let queue = |broker, id| Queue::new("t", broker, id);
        assert!(!enough(&[], 1));
        assert!(enough(&[queue("a", 0), queue("b", 0)], 1));
        assert!(!enough(&[queue("a", 0), queue("a", 1), queue("b", 0)], 2));
    }

    #[test]
    fn settings_of_a_topic_are_read_in_java_s_form() {
        let json = br#"{"attributes":{"+a":"b"},"order":true,"perm":6,"readQueueNums":4,
            "topicFilterType":"MULTI_TAG","topicName":"t","topicSysFlag":1,"writeQueueNums":8}"#;
        let facts: TopicFacts = serde_json::from_slice(json).unwrap();
        assert_eq!(
            (facts.read_queue_nums, facts.write_queue_nums, facts.perm),
            (4, 8, 6)
        );
        assert_eq!(
            (facts.topic_filter_type.as_str(), facts.topic_sys_flag),
            ("MULTI_TAG", 1)
        );
        assert!(facts.order);
    }
}
