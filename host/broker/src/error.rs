//! The one error type of this crate. Each case names the step and the object; sources are kept.
//!
//! Never put an access key, a secret key or a message body into an error.

use crate::message::MessageFault;
use connect_record::Queue;
use std::sync::Arc;

/// An error below this crate's boundary, shared so that [`BrokerError`] can be cloned.
type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why an operation on the cluster did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No connection, or it broke, or no answer in time. Whether the request was carried out is
    /// unknown when it had been written already.
    #[error("{step}: cannot reach {what}: {source}")]
    Unreachable {
        /// What was being done.
        step: &'static str,
        /// Name server or broker, with its address.
        what: String,
        /// The cause.
        source: Source,
    },
    /// The broker cannot do it now (flow control, starting, stopping, page cache busy).
    #[error("{step}: {what} is busy: {remark} (code {code})")]
    Busy {
        /// What was being done.
        step: &'static str,
        /// The object of the request.
        what: String,
        /// The broker's response code, 0 when the limit is this client's own.
        code: i32,
        /// The broker's own words.
        remark: String,
    },
    /// The messages reached the broker, but not as safely as it is configured to store them.
    #[error("{step}: {what} is not confirmed: {status}")]
    NotConfirmed {
        /// What was being done.
        step: &'static str,
        /// The queue.
        what: String,
        /// Send status in the broker's words, such as FLUSH_DISK_TIMEOUT.
        status: &'static str,
    },
    /// There is no such topic.
    #[error("{step}: there is no topic {topic:?}")]
    NoTopic {
        /// What was being done.
        step: &'static str,
        /// The topic.
        topic: String,
    },
    /// The topic has no such queue.
    #[error("{step}: there is no queue {queue}")]
    NoQueue {
        /// What was being done.
        step: &'static str,
        /// The queue.
        queue: Queue,
    },
    /// There is no such consumer group.
    #[error("{step}: there is no consumer group {group:?}")]
    NoGroup {
        /// What was being done.
        step: &'static str,
        /// The group.
        group: String,
    },
    /// Wrong or missing credentials, or a topic without the permission.
    #[error(
        "{step}: {what} is not permitted: {remark} (code {code}); check the access key and the permissions of topic and group"
    )]
    Denied {
        /// What was being done.
        step: &'static str,
        /// The object of the request.
        what: String,
        /// The broker's response code.
        code: i32,
        /// The broker's own words.
        remark: String,
    },
    /// The broker will never take this request: illegal message, wrong size.
    #[error("{step}: {what} is refused: {remark} (code {code})")]
    Refused {
        /// What was being done.
        step: &'static str,
        /// The object of the request.
        what: String,
        /// The broker's response code.
        code: i32,
        /// The broker's own words.
        remark: String,
    },
    /// One message of a batch can never be sent; found before anything was sent.
    #[error("send: message {index} for {queue}: {fault}")]
    Message {
        /// The queue it was for.
        queue: Queue,
        /// Its place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        fault: MessageFault,
    },
    /// The caller made a batch that cannot be sent at once although each message could.
    #[error("send: batch for {queue}: {reason}")]
    Batch {
        /// The queue it was for.
        queue: Queue,
        /// Count or bytes with the limit.
        reason: String,
    },
    /// A name that RocketMQ cannot have.
    #[error("{kind} name {name:?} is not valid: {reason}")]
    Name {
        /// "topic" or "group".
        kind: &'static str,
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// A setting that cannot work.
    #[error("broker setting {key}: {reason}")]
    Setting {
        /// Which one.
        key: &'static str,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// An answer, or a stored message, that makes no sense.
    #[error("{step}: {what}: {reason}")]
    Answer {
        /// What was being done.
        step: &'static str,
        /// The object of the request.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Any other response code.
    #[error("{step}: {what} failed: {remark} (code {code})")]
    Other {
        /// What was being done.
        step: &'static str,
        /// The object of the request.
        what: String,
        /// The broker's response code.
        code: i32,
        /// The broker's own words.
        remark: String,
    },
    /// [`Broker::close`](crate::Broker::close) was called.
    #[error("{step}: the connection to RocketMQ was closed")]
    Closed {
        /// What was being done.
        step: &'static str,
    },
}

impl BrokerError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn retriable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::NotConfirmed { .. } => true,
            // SYSTEM_ERROR covers transient storage trouble as well; codes that say that the
            // request itself is wrong do not heal.
            Self::Other { code, .. } => !matches!(*code, 3 | 15 | 23 | 24 | 25 | 29),
            _ => false,
        }
    }

    /// Whether these messages can never be sent, so that the records behind them are at fault. A
    /// refused batch may hold good messages besides the one that is at fault.
    #[must_use]
    pub fn permanent(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::Refused { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(code: i32) -> BrokerError {
        BrokerError::Other {
            step: "send",
            what: "t/b/0".into(),
            code,
            remark: "words".into(),
        }
    }

    #[test]
    fn messages_name_step_object_and_cause() {
        let error = BrokerError::Unreachable {
            step: "pull",
            what: "broker a at 127.0.0.1:1".into(),
            source: Arc::new(std::io::Error::other("connection refused")),
        };
        assert_eq!(
            error.to_string(),
            "pull: cannot reach broker a at 127.0.0.1:1: connection refused"
        );
        assert!(std::error::Error::source(&error).is_some());
        assert!(error.retriable() && !error.permanent());
    }

    #[test]
    fn unknown_codes_are_tried_again_but_not_those_that_blame_the_request() {
        assert!(other(1).retriable());
        assert!(other(215).retriable());
        assert!(!other(3).retriable());
        assert!(!other(29).retriable());
        assert!(!other(1).permanent());
    }
}
