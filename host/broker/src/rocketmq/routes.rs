//! Which queues a topic has and where their brokers are, as the name servers told it.
//!
//! What was learned is kept while the name servers are away or have forgotten (after a restart
//! they know nothing until each broker registers again, 20 to 30 s): running tasks go on over it.
//! It is dropped when a broker says that it has no such topic, or when the name servers have kept
//! quiet about a broker for [`FORGET_AFTER`].

use super::RocketMq;
use super::errors::About;
use super::link::{Link, Patience};
use super::name_servers::unregistered;
use super::session::Lane;
use super::sync::lock;
use crate::error::BrokerError;
use connect_record::Queue;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_protocol::protocol::route::route_data_view::BrokerData;
use rocketmq_protocol::protocol::route::topic_route_data::TopicRouteData;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a broker's part of a topic outlives the last time a name server spoke of it.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Shortest time between two looks for a broker that may have moved.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Id of the broker that takes writes.
const MASTER: u64 = 0;
/// Permission bits of a queue: 4 to read, 2 to write.
pub(super) const READ_AND_WRITE: u32 = 6;

/// What is known of topics and brokers.
#[derive(Default)]
pub(super) struct Routes {
    topics: Mutex<HashMap<String, HashMap<Arc<str>, Part>>>,
    /// Address of each master by the broker's name.
    masters: Mutex<HashMap<String, String>>,
    looked: Mutex<HashMap<String, Instant>>,
}

/// The queues of a topic on one broker.
struct Part {
    queues: u32,
    seen: Instant,
}

impl Routes {
    fn known(&self, topic: &str) -> Option<Vec<Queue>> {
        let topics = lock(&self.topics);
        let parts = topics.get(topic)?;
        let mut queues: Vec<Queue> = parts
            .iter()
            .flat_map(|(broker, part)| (0..part.queues).map(move |id| (broker, id)))
            .filter_map(|(broker, id)| Some(Queue::new(topic, broker, i32::try_from(id).ok()?)))
            .collect();
        queues.sort();
        Some(queues)
    }

    /// What is known of a topic of which a name server has spoken less than `age` ago.
    pub(super) fn known_lately(&self, topic: &str, age: Duration) -> Option<Vec<Queue>> {
        let newest = lock(&self.topics)
            .get(topic)?
            .values()
            .map(|part| part.seen)
            .max()?;
        (newest.elapsed() < age)
            .then(|| self.known(topic))
            .flatten()
    }

    /// Whether the topic has this queue; `None` when nothing is known of its broker's part.
    pub(super) fn has(&self, queue: &Queue) -> Option<bool> {
        let topics = lock(&self.topics);
        let part = topics.get(&*queue.topic)?.get(&queue.broker)?;
        Some(u32::try_from(queue.id).is_ok_and(|id| id < part.queues))
    }

    pub(super) fn learn(&self, topic: &str, route: &TopicRouteData) {
        self.learn_brokers(&route.broker_datas);
        let now = Instant::now();
        let mut topics = lock(&self.topics);
        let parts = topics.entry(topic.to_owned()).or_default();
        for data in &route.queue_datas {
            let usable = data.perm() & READ_AND_WRITE == READ_AND_WRITE;
            let queues = if usable {
                data.read_queue_nums().min(data.write_queue_nums())
            } else {
                0
            };
            parts.insert(
                Arc::from(data.broker_name().as_str()),
                Part { queues, seen: now },
            );
        }
        parts.retain(|_, part| now.duration_since(part.seen) < FORGET_AFTER);
    }

    pub(super) fn learn_brokers<'a>(&self, brokers: impl IntoIterator<Item = &'a BrokerData>) {
        let mut masters = lock(&self.masters);
        for broker in brokers {
            if let Some(address) = broker.broker_addrs().get(&MASTER) {
                masters.insert(broker.broker_name().to_string(), address.to_string());
            }
        }
    }

    /// Keeps what is known of a topic on a broker that confirms it, and forgets it otherwise.
    fn confirmed(&self, topic: &str, broker: &str, there: bool) {
        let mut topics = lock(&self.topics);
        let Some(parts) = topics.get_mut(topic) else {
            return;
        };
        if !there {
            parts.remove(broker);
        } else if let Some(part) = parts.get_mut(broker) {
            part.seen = Instant::now();
        }
        if parts.is_empty() {
            topics.remove(topic);
        }
    }

    fn master(&self, broker: &str) -> Option<String> {
        lock(&self.masters).get(broker).cloned()
    }

    /// Whether it is time to look again, and notes that somebody does.
    fn look_again(&self, topic: &str) -> bool {
        let now = Instant::now();
        let mut looked = lock(&self.looked);
        let last = looked.insert(topic.to_owned(), now);
        let due = last.is_none_or(|last| now.duration_since(last) >= LOOK_AGAIN_AFTER);
        if let (false, Some(last)) = (due, last) {
            looked.insert(topic.to_owned(), last);
        }
        due
    }
}

impl RocketMq {
    pub(super) async fn queues_of(
        &self,
        step: &'static str,
        topic: &str,
    ) -> Result<Option<Vec<Queue>>, BrokerError> {
        let known = self.routes.known(topic).is_some();
        let patience = if known { Patience::Now } else { Patience::Wait };
        match self.fetch_route(step, topic, patience).await {
            Ok(Some(())) => {}
            Ok(None) if known => self.confirm(step, topic).await?,
            Ok(None) => {}
            Err(BrokerError::Unreachable { .. }) if known => {}
            Err(error) => return Err(error),
        }
        Ok(self.routes.known(topic))
    }

    /// Asks the brokers of a topic that the name servers do not know (any more).
    async fn confirm(&self, step: &'static str, topic: &str) -> Result<(), BrokerError> {
        let brokers: Vec<Arc<str>> = lock(&self.routes.topics)
            .get(topic)
            .map(|parts| parts.keys().cloned().collect())
            .unwrap_or_default();
        for broker in brokers {
            let Some(address) = self.routes.master(&broker) else {
                continue;
            };
            match self.topic_facts(step, &broker, &address, topic).await {
                Ok(facts) => self.routes.confirmed(topic, &broker, facts.is_some()),
                Err(error) if error.retriable() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The way to a queue's broker.
    pub(super) async fn link_of(
        &self,
        step: &'static str,
        queue: &Queue,
    ) -> Result<Arc<Link>, BrokerError> {
        if let Some(address) = self.routes.master(&queue.broker) {
            return Ok(self.link_to(&queue.broker, &address));
        }
        let route = self.fetch_route(step, &queue.topic, Patience::Wait).await?;
        match self.routes.master(&queue.broker) {
            Some(address) => Ok(self.link_to(&queue.broker, &address)),
            None if route.is_none() => Err(BrokerError::NoTopic {
                step,
                topic: queue.topic.to_string(),
            }),
            None => Err(unregistered(
                step,
                format!("broker {}", queue.broker),
                "no name server knows a master of it".to_owned(),
            )
            .await),
        }
    }

    pub(super) fn link_to(&self, broker: &str, address: &str) -> Arc<Link> {
        let mut links = lock(&self.links);
        let link = links.entry(address.to_owned()).or_insert_with(|| {
            let what = format!("broker {broker} at {address}");
            Link::new(what, address, Arc::clone(&self.clients))
        });
        Arc::clone(link)
    }

    /// Refuses a queue that its topic is known not to have. Brokers answer this in many ways, with
    /// a success among them.
    pub(super) fn check_queue(&self, about: &About<'_>, queue: &Queue) -> Result<(), BrokerError> {
        if self.routes.has(queue) == Some(false) {
            return Err(BrokerError::NoQueue {
                step: about.step,
                queue: queue.clone(),
            });
        }
        Ok(())
    }

    /// Sends a request to a queue's broker. When it cannot be reached, looks whether it has
    /// moved, so that the next call finds it.
    pub(super) async fn call_queue(
        &self,
        about: &About<'_>,
        queue: &Queue,
        lane: Lane,
        request: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, BrokerError> {
        let link = self.link_of(about.step, queue).await?;
        let answer = link
            .call(about.step, lane, Patience::Wait, request, timeout)
            .await;
        if matches!(answer, Err(BrokerError::Unreachable { .. }))
            && self.routes.look_again(&queue.topic)
        {
            // Only to learn an address; when it fails too, the first error says more.
            drop(
                self.fetch_route(about.step, &queue.topic, Patience::Now)
                    .await,
            );
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocketmq_protocol::protocol::route::route_data_view::QueueData;

    fn route(parts: &[(&str, u32, u32, u32)]) -> TopicRouteData {
        let mut route = TopicRouteData::new();
        for (broker, read, write, perm) in parts {
            route
                .queue_datas
                .push(QueueData::new((*broker).into(), *read, *write, *perm, 0));
            let addresses = HashMap::from([(MASTER, format!("{broker}:1").into())]);
            route.broker_datas.push(BrokerData::new(
                "c".into(),
                (*broker).into(),
                addresses,
                None,
            ));
        }
        route
    }

    #[test]
    fn only_queues_that_can_be_read_and_written_count() {
        let routes = Routes::default();
        routes.learn(
            "t",
            &route(&[("b", 3, 2, 6), ("a", 1, 8, 7), ("r", 4, 4, 4)]),
        );
        let queues = routes.known("t").unwrap();
        assert_eq!(
            queues,
            [
                Queue::new("t", "a", 0),
                Queue::new("t", "b", 0),
                Queue::new("t", "b", 1)
            ]
        );
        assert_eq!(routes.has(&Queue::new("t", "b", 1)), Some(true));
        assert_eq!(routes.has(&Queue::new("t", "b", 2)), Some(false));
        assert_eq!(routes.has(&Queue::new("t", "b", -1)), Some(false));
        assert_eq!(routes.has(&Queue::new("t", "x", 0)), None);
        assert_eq!(routes.master("r").as_deref(), Some("r:1"));
    }

    #[test]
    fn a_broker_the_name_server_is_quiet_about_is_kept_until_it_denies_the_topic() {
        let routes = Routes::default();
        routes.learn("t", &route(&[("a", 1, 1, 6), ("b", 1, 1, 6)]));
        routes.learn("t", &route(&[("a", 1, 1, 6)]));
        assert_eq!(routes.known("t").unwrap().len(), 2);
        routes.confirmed("t", "b", true);
        assert_eq!(routes.known("t").unwrap().len(), 2);
        routes.confirmed("t", "b", false);
        assert_eq!(routes.known("t").unwrap(), [Queue::new("t", "a", 0)]);
        routes.confirmed("t", "a", false);
        assert_eq!(routes.known("t"), None);
    }

    #[test]
    fn looking_again_is_paced() {
        let routes = Routes::default();
        assert!(routes.look_again("t"));
        assert!(!routes.look_again("t"));
        assert!(routes.look_again("u"));
    }
}
