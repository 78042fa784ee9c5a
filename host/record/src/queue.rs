//! Where records come from and go to: queues of RocketMQ, positions of sources. Must never parse a position, it
//! belongs to the connector.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// One queue of a topic on one broker. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The broker's name, as in the topic's route.
    pub broker: Arc<str>,
    /// The queue's number on that broker, from zero.
    pub id: i32,
}

impl Queue {
    /// The queue `id` of `topic` on `broker`.
    pub fn new(topic: &str, broker: &str, id: i32) -> Self {
        Self {
            topic: topic.into(),
            broker: broker.into(),
            id,
        }
    }

    /// The name of this queue in the partitions of a batch for a sink: topic, broker and id, separated by tabs.
    pub fn partition_name(&self) -> String {
        format!("{}\t{}\t{}", self.topic, self.broker, self.id)
    }
}

/// For people: `topic/broker/id`.
impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.broker, self.id)
    }
}

/// How far a queue was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueOffset {
    /// The queue.
    pub queue: Queue,
    /// The offset to read next; all before it is done.
    pub next: u64,
}

/// Where a source goes on in one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResumePoint {
    /// The partition as the connector names it.
    pub partition: String,
    /// The position in the connector's own form.
    pub position: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let queue = Queue::new("orders", "broker-a", 3);
        assert_eq!(queue.to_string(), "orders/broker-a/3");
        assert_eq!(queue.partition_name(), "orders\tbroker-a\t3");
        assert!(
            queue < Queue::new("orders", "broker-b", 0),
            "queues sort by topic, broker, number"
        );
    }
}
