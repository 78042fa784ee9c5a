//! The trait through which the worker sees a RocketMQ cluster.
//!
//! Futures are boxed on purpose: the client's own futures are tens of kilobytes, and must not be
//! laid out again in every task that sends or pulls.

use crate::error::BrokerError;
use crate::message::{Outgoing, Pulled};
use connect_record::Queue;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A RocketMQ cluster: topics, queues, messages and group offsets.
///
/// Every method may fail with [`BrokerError::Unreachable`] while the cluster is away; such a call
/// takes at most about three seconds, during which it waits for the next attempt to connect, so that a
/// caller that simply tries again is paced. The first call after the cluster is back succeeds.
///
/// Dropping a future abandons the operation. For everything but [`Broker::pull`] the broker may
/// or may not have carried it out.
pub trait Broker: Send + Sync + 'static {
    /// The queues of `topic` that can be both read and written, sorted; `None` when there is no
    /// such topic.
    ///
    /// When the name server is away, the queues learned last are returned. A topic that the name
    /// server has forgotten (it was restarted) counts as there for as long as its broker knows it.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when the name server is away and nothing is known yet.
    fn topic_queues<'a>(
        &'a self,
        topic: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<Queue>>, BrokerError>>;

    /// As [`topic_queues`](Self::topic_queues), but what a name server said less than `age` ago will do:
    /// for many who look again and again for queues that came or went.
    ///
    /// # Errors
    /// As there.
    fn topic_queues_lately<'a>(
        &'a self,
        topic: &'a str,
        age: Duration,
    ) -> BoxFuture<'a, Result<Option<Vec<Queue>>, BrokerError>> {
        let _ = age;
        self.topic_queues(topic)
    }

    /// Creates `topic` with `queues` queues on each master broker of the cluster, or grows it to
    /// that number where it has fewer; never shrinks it and never touches its other properties.
    /// Returns all its queues once they can be seen at the name server.
    ///
    /// # Errors
    /// [`BrokerError::Name`] for a name RocketMQ cannot have, [`BrokerError::Denied`] without the
    /// permission, [`BrokerError::Busy`] when the queues did not become visible within 10 s.
    fn ensure_topic<'a>(
        &'a self,
        topic: &'a str,
        queues: u32,
    ) -> BoxFuture<'a, Result<Vec<Queue>, BrokerError>>;

    /// Creates the consumer group on each master broker that does not have it. Offsets can be
    /// stored only for a group that exists.
    ///
    /// # Errors
    /// As [`Broker::ensure_topic`].
    fn ensure_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Appends messages to a queue, in order, all or none, and returns the offset of the first;
    /// the others follow without a gap. `Ok` means stored as the broker is configured to store
    /// (only the status SEND_OK counts).
    ///
    /// The caller keeps one send in flight per queue, or the order is lost. At most
    /// [`MAX_BATCH_MESSAGES`](crate::MAX_BATCH_MESSAGES) messages and
    /// [`MAX_BATCH_BYTES`](crate::MAX_BATCH_BYTES) bytes (by [`Outgoing::wire_size`]) at once.
    /// Nothing is compressed.
    ///
    /// # Errors
    /// [`BrokerError::Message`] names a message that can never be sent, before anything is sent;
    /// [`BrokerError::Refused`] says that the broker will not take this batch;
    /// [`BrokerError::Unreachable`] and [`BrokerError::NotConfirmed`] leave open whether the
    /// messages were stored.
    fn send<'a>(
        &'a self,
        queue: &'a Queue,
        messages: &'a [Outgoing],
    ) -> BoxFuture<'a, Result<u64, BrokerError>>;

    /// Reads messages from `offset` on; waits up to `wait` for the first one (at most 15 s; a
    /// Java broker answers an empty wait on its 5 s tick, so up to 7 s later). At most
    /// `max_messages` (1 to 1024) come back, often fewer: brokers have limits of their own
    /// (Java's default: 32).
    ///
    /// An offset that was acknowledged by [`Broker::send`] but that the broker's index does not
    /// show yet gives [`Pulled::Nothing`], never [`Pulled::Above`]; see there.
    ///
    /// Cancel-safe: dropping the future abandons the long poll and loses nothing.
    ///
    /// # Errors
    /// [`BrokerError::NoTopic`], [`BrokerError::Answer`] when a stored message cannot be decoded.
    fn pull<'a>(
        &'a self,
        group: &'a str,
        queue: &'a Queue,
        offset: u64,
        max_messages: u32,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Pulled, BrokerError>>;

    /// The offset of the first message and the one after the last: `(min, max)`. `max` is at
    /// least what [`Broker::send`] acknowledged recently, but messages of other producers may be
    /// stored and not counted yet (Java: up to about 100 ms): never end a read on it alone. Both
    /// are 0 for a queue that never held anything or does not exist.
    fn bounds<'a>(&'a self, queue: &'a Queue) -> BoxFuture<'a, Result<(u64, u64), BrokerError>>;

    /// The offset of the first message stored at or after `timestamp_ms` (milliseconds since
    /// 1970); the end of the queue when there is none.
    fn offset_at<'a>(
        &'a self,
        queue: &'a Queue,
        timestamp_ms: u64,
    ) -> BoxFuture<'a, Result<u64, BrokerError>>;

    /// Stores the group's next offset to read; may go backward. This is a mirror for people and
    /// tools: brokers keep it in memory and lose the last seconds when killed.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`] when the group was not created, [`BrokerError::NoQueue`] for a
    /// queue the topic does not have.
    fn commit_offset<'a>(
        &'a self,
        group: &'a str,
        queue: &'a Queue,
        next: u64,
    ) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// The group's stored offset, `None` when it never stored one.
    fn committed_offset<'a>(
        &'a self,
        group: &'a str,
        queue: &'a Queue,
    ) -> BoxFuture<'a, Result<Option<u64>, BrokerError>>;

    /// Whether the name server answers and each master broker accepts connections. Cheap enough
    /// for a readiness probe.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] naming what is away.
    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Ends all connections within one second; calls in progress end with
    /// [`BrokerError::Closed`], as do later ones.
    fn close<'a>(&'a self) -> BoxFuture<'a, ()>;
}
