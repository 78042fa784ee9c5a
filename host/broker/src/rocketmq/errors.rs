//! What a response code means. The client's own errors hide the broker's words; requests are made
//! so that the response comes here untouched.

use crate::error::BrokerError;
use connect_record::Queue;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use std::str::FromStr;

/// Response codes this adaptor tells apart, by the protocol's numbers.
pub(super) mod code {
    pub(crate) const SUCCESS: i32 = 0;
    pub(crate) const SYSTEM_BUSY: i32 = 2;
    pub(crate) const FLUSH_DISK_TIMEOUT: i32 = 10;
    pub(crate) const SLAVE_NOT_AVAILABLE: i32 = 11;
    pub(crate) const FLUSH_SLAVE_TIMEOUT: i32 = 12;
    pub(crate) const MESSAGE_ILLEGAL: i32 = 13;
    pub(crate) const SERVICE_NOT_AVAILABLE: i32 = 14;
    pub(crate) const NO_PERMISSION: i32 = 16;
    pub(crate) const TOPIC_NOT_EXIST: i32 = 17;
    pub(crate) const PULL_NOT_FOUND: i32 = 19;
    pub(crate) const PULL_RETRY_IMMEDIATELY: i32 = 20;
    pub(crate) const PULL_OFFSET_MOVED: i32 = 21;
    pub(crate) const QUERY_NOT_FOUND: i32 = 22;
    pub(crate) const SUBSCRIPTION_GROUP_NOT_EXIST: i32 = 26;
    pub(crate) const INVALID_PARAMETER: i32 = 29;
    pub(crate) const POLLING_FULL: i32 = 209;
    pub(crate) const BROKER_DISPATCH_NOT_COMPLETE: i32 = 212;
    pub(crate) const FLOW_CONTROL: i32 = 215;
    pub(crate) const NOT_LEADER_FOR_QUEUE: i32 = 501;
}

/// What a request is about, for the error that its answer may become.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) step: &'static str,
    pub(super) topic: Option<&'a str>,
    pub(super) queue: Option<&'a Queue>,
    pub(super) group: Option<&'a str>,
}

impl<'a> About<'a> {
    pub(super) fn topic(step: &'static str, topic: &'a str) -> Self {
        Self {
            step,
            topic: Some(topic),
            queue: None,
            group: None,
        }
    }

    pub(super) fn queue(step: &'static str, queue: &'a Queue) -> Self {
        Self {
            step,
            topic: Some(&queue.topic),
            queue: Some(queue),
            group: None,
        }
    }

    pub(super) fn group(self, group: &'a str) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }

    pub(super) fn what(&self) -> String {
        match (self.queue, self.topic, self.group) {
            (Some(queue), _, Some(group)) => format!("queue {queue} for group {group}"),
            (Some(queue), _, None) => format!("queue {queue}"),
            (None, Some(topic), _) => format!("topic {topic}"),
            (None, None, Some(group)) => format!("group {group}"),
            (None, None, None) => "the cluster".to_owned(),
        }
    }

    /// The error that a response with another code than success is.
    pub(super) fn error(&self, response: &RemotingCommand) -> BrokerError {
        let (step, what, code) = (self.step, self.what(), response.code());
        let remark = response
            .remark()
            .map(|remark| remark.as_str().trim().to_owned());
        let remark = remark.filter(|remark| !remark.is_empty());
        let remark = remark.unwrap_or_else(|| "the broker gives no reason".to_owned());
        let status = |status| BrokerError::NotConfirmed {
            step,
            what: self.what(),
            status,
        };
        match code {
            code::SYSTEM_BUSY
            | code::SERVICE_NOT_AVAILABLE
            | code::POLLING_FULL
            | code::BROKER_DISPATCH_NOT_COMPLETE
            | code::FLOW_CONTROL
            | code::NOT_LEADER_FOR_QUEUE => BrokerError::Busy {
                step,
                what,
                code,
                remark,
            },
            code::FLUSH_DISK_TIMEOUT => status("FLUSH_DISK_TIMEOUT"),
            code::SLAVE_NOT_AVAILABLE => status("SLAVE_NOT_AVAILABLE"),
            code::FLUSH_SLAVE_TIMEOUT => status("FLUSH_SLAVE_TIMEOUT"),
            code::MESSAGE_ILLEGAL => BrokerError::Refused {
                step,
                what,
                code,
                remark,
            },
            code::NO_PERMISSION => BrokerError::Denied {
                step,
                what,
                code,
                remark,
            },
            code::TOPIC_NOT_EXIST => match self.topic {
                Some(topic) => BrokerError::NoTopic {
                    step,
                    topic: topic.to_owned(),
                },
                None => BrokerError::Other {
                    step,
                    what,
                    code,
                    remark,
                },
            },
            code::SUBSCRIPTION_GROUP_NOT_EXIST => match self.group {
                Some(group) => BrokerError::NoGroup {
                    step,
                    group: group.to_owned(),
                },
                None => BrokerError::Other {
                    step,
                    what,
                    code,
                    remark,
                },
            },
            code::INVALID_PARAMETER => match self.queue {
                Some(queue) => BrokerError::NoQueue {
                    step,
                    queue: queue.clone(),
                },
                None => BrokerError::Other {
                    step,
                    what,
                    code,
                    remark,
                },
            },
            code => BrokerError::Other {
                step,
                what,
                code,
                remark,
            },
        }
    }

    /// The response if it is a success.
    pub(super) fn success(
        &self,
        response: RemotingCommand,
    ) -> Result<RemotingCommand, BrokerError> {
        if response.code() == code::SUCCESS {
            Ok(response)
        } else {
            Err(self.error(&response))
        }
    }

    pub(super) fn nonsense(&self, reason: impl Into<String>) -> BrokerError {
        BrokerError::Answer {
            step: self.step,
            what: self.what(),
            reason: reason.into(),
        }
    }

    /// A number from the response's header.
    pub(super) fn field<T: FromStr>(
        &self,
        response: &RemotingCommand,
        name: &str,
    ) -> Result<T, BrokerError> {
        let text = response.ext_fields().and_then(|fields| fields.get(name));
        let number = text.and_then(|text| text.as_str().trim().parse().ok());
        number.ok_or_else(|| self.nonsense(format!("the answer's field {name} is {text:?}")))
    }

    /// An offset from the response's header, which must not be negative.
    pub(super) fn offset(
        &self,
        response: &RemotingCommand,
        name: &str,
    ) -> Result<u64, BrokerError> {
        let offset: i64 = self.field(response, name)?;
        u64::try_from(offset)
            .map_err(|_| self.nonsense(format!("the answer's field {name} is {offset}")))
    }
}

/// An offset as requests carry it.
pub(super) fn wire_offset(about: &About<'_>, offset: u64) -> Result<i64, BrokerError> {
    i64::try_from(offset).map_err(|_| about.nonsense(format!("offset {offset} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: i32) -> BrokerError {
        let queue = Queue::new("t", "b", 1);
        let response = RemotingCommand::create_remoting_command(number).set_remark("words");
        About::queue("send", &queue).group("g").error(&response)
    }

    #[test]
    fn only_statuses_that_may_heal_are_tried_again() {
        for healing in [1, 2, 10, 11, 12, 14, 215, 501] {
            assert!(
                answer(healing).retriable(),
                "{healing}: {}",
                answer(healing)
            );
            assert!(!answer(healing).permanent());
        }
        for lasting in [3, 13, 16, 17, 26, 29] {
            assert!(
                !answer(lasting).retriable(),
                "{lasting}: {}",
                answer(lasting)
            );
        }
        assert!(answer(13).permanent());
        assert!(
            !answer(16).permanent(),
            "a missing permission is not the record's fault"
        );
    }

    #[test]
    fn errors_name_their_object() {
        assert_eq!(answer(17).to_string(), "send: there is no topic \"t\"");
        assert_eq!(
            answer(26).to_string(),
            "send: there is no consumer group \"g\""
        );
        assert_eq!(answer(29).to_string(), "send: there is no queue t/b/1");
        assert_eq!(
            answer(13).to_string(),
            "send: queue t/b/1 for group g is refused: words (code 13)"
        );
    }
}
