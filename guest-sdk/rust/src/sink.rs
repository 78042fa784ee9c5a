//! The role of a sink: takes records out of RocketMQ, says which of them can never succeed and up
//! to where all is durable.

use connect_rows::{RecordView, View};

use crate::Result;
use crate::connector::Connector;
use crate::host;
use crate::settings::Settings;

/// A connector that takes records from RocketMQ to another system.
///
/// One value is one task. Offsets are committed only after [`flush`](Self::flush) has returned, so
/// after a crash the records since the last flush come again.
pub trait Sink: Connector {
    /// Makes the task ready.
    ///
    /// # Errors
    /// Retriable: `open` is called again. Others end the task.
    fn open(settings: &Settings, context: SinkContext) -> Result<Self>;

    /// These queues are now this task's, each from the offset given; called after `open` for the
    /// first ones. A sink that keeps offsets of its own answers where to start instead.
    ///
    /// # Errors
    /// Retriable: called again. Others end the task.
    fn assigned(&mut self, _queues: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        Ok(Vec::new())
    }

    /// These queues are no longer this task's. Called after a flush, or with `lost` when there was
    /// no time for one: then what was put from them must not be written any more.
    ///
    /// # Errors
    /// Logged by the host; the queues are gone anyway.
    fn revoked(&mut self, _queues: &[Queue], _lost: bool) -> Result<()> {
        Ok(())
    }

    /// Takes a batch and answers which records can never succeed; those go to the error policy.
    ///
    /// # Errors
    /// Retriable: the same batch comes again, so undo what was taken of it, or make taking it twice
    /// harmless. Others end the task.
    fn put(&mut self, records: &View<'_>) -> Result<Vec<Rejected>>;

    /// Makes durable what was put. By default there is nothing to do.
    ///
    /// # Errors
    /// Retriable: called again. Others end the task. Nothing is committed.
    fn flush(&mut self) -> Result<Flushed> {
        Ok(Flushed::all())
    }

    /// Called once before the task is dropped on purpose; nothing by default.
    ///
    /// # Errors
    /// Logged by the host; the task ends anyway.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A queue of a topic on one broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    /// Name of the topic.
    pub topic: String,
    /// Name of the broker that holds the queue.
    pub broker: String,
    /// Number of the queue on that broker.
    pub id: i32,
}

impl Queue {
    /// A queue by its three parts.
    pub fn new(topic: impl Into<String>, broker: impl Into<String>, id: i32) -> Self {
        Self {
            topic: topic.into(),
            broker: broker.into(),
            id,
        }
    }

    /// The queue that a record came from, read from its partition.
    pub fn of(record: &RecordView<'_>) -> Option<Self> {
        let mut parts = record.partition().split('\t');
        let queue = Self::new(parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(queue)
    }
}

/// A queue and the next offset to read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOffset {
    /// The queue.
    pub queue: Queue,
    /// The offset of the next record.
    pub next: u64,
}

/// A record of the batch that can never succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Why, for people.
    pub reason: String,
}

impl Rejected {
    /// Rejects a record of the batch in hand.
    pub fn new(record: &RecordView<'_>, reason: impl Into<String>) -> Self {
        Self {
            index: record.index(),
            reason: reason.into(),
        }
    }
}

/// A record that was put earlier and turned out to be bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    /// Where it came from.
    pub queue: Queue,
    /// Its offset in that queue.
    pub offset: u64,
    /// Why, for people.
    pub reason: String,
}

/// The answer of a flush.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Durable up to here, exclusive; `None` for all that was put. Rejected records that the connector
    /// skips are passed over: an offset need not be behind them.
    pub upto: Option<Vec<QueueOffset>>,
    /// Records put since the last flush that can never succeed.
    pub rejected: Vec<Late>,
}

impl Flushed {
    /// All that was put is durable.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only records before these offsets are durable.
    pub fn upto(offsets: Vec<QueueOffset>) -> Self {
        Self {
            upto: Some(offsets),
            rejected: Vec::new(),
        }
    }
}

/// What the host offers to a sink. May be copied and kept.
#[derive(Debug, Clone, Copy)]
pub struct SinkContext {
    _only_here: (),
}

impl SinkContext {
    pub(crate) fn new() -> Self {
        Self { _only_here: () }
    }

    /// The queues of this task.
    pub fn assignment(&self) -> Vec<Queue> {
        host::assignment()
    }

    /// Go on with this queue from `offset`, once the current call has returned. Batches that were
    /// pulled ahead are dropped.
    pub fn seek(&self, queue: &Queue, offset: u64) {
        host::seek(queue, offset);
    }

    /// Put nothing from these queues until [`resume`](Self::resume).
    pub fn pause(&self, queues: &[Queue]) {
        host::pause(queues);
    }

    /// Go on with these queues.
    pub fn resume(&self, queues: &[Queue]) {
        host::resume(queues);
    }
}
