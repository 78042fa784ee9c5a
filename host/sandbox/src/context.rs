//! What the worker offers to a running task, and the host functions that hand it on. What cannot be
//! done is answered emptily and logged, unless an empty answer would mean something else to the
//! guest: then its call ends, with the worker's reason.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::sync::Arc;

use connect_record::{Queue, ResumePoint};
use futures::future::BoxFuture;

use crate::bindings::v0_1::rocketmq::connect::{log, records, sink_context, source_context};
use crate::log::Level;
use crate::state::State;

/// Seeks of one call that are kept, one a queue; no task has so many queues.
const SEEKS: usize = 65_536;

/// Resume points, or why the worker does not have them.
pub type ResumeAnswer = Result<Vec<ResumePoint>, Box<dyn Error + Send + Sync>>;

/// What a source may ask of the worker.
pub trait SourceContext: Send + Sync {
    /// The stored resume points of `partitions`, or of the whole connector for `None`. The guest
    /// waits for the answer, within the wall time of its call. An error ends that call with
    /// [`CallError::Host`](crate::CallError::Host): without its points a source would begin anew.
    fn resume_points(&self, partitions: Option<Vec<String>>) -> BoxFuture<'_, ResumeAnswer>;
    /// The connector should be planned again. Must return at once.
    fn reconfigure(&self);
}

/// What a sink may ask of the worker. All of it must return at once.
pub trait SinkContext: Send + Sync {
    /// The queues of this task.
    fn assignment(&self) -> Vec<Queue>;
    /// Read `queue` from `offset` on; what was pulled ahead is dropped. Called after the guest's
    /// call has returned, for queues of this task only.
    fn seek(&self, queue: Queue, offset: u64);
    /// Deliver nothing of these queues until they are resumed.
    fn pause(&self, queues: Vec<Queue>);
    /// Deliver again.
    fn resume(&self, queues: Vec<Queue>);
}

/// What ends a call when the worker cannot answer one of its imports.
#[derive(Debug, thiserror::Error)]
#[error("{step} failed")]
pub(crate) struct Unanswered {
    pub(crate) step: &'static str,
    pub(crate) source: Box<dyn Error + Send + Sync>,
}

/// Whom the guest of a store talks to.
pub(crate) enum Context {
    /// A throw-away instance: nobody.
    Nobody,
    Source(Arc<dyn SourceContext>),
    Sink(Arc<dyn SinkContext>, Seeks),
}

/// Seeks of the present call, the last one of each queue.
#[derive(Debug, Default)]
pub(crate) struct Seeks(BTreeMap<Queue, u64>);

impl Seeks {
    fn note(&mut self, queue: Queue, offset: u64) -> bool {
        let full = self.0.len() >= SEEKS;
        match self.0.entry(queue) {
            Entry::Occupied(mut known) => *known.get_mut() = offset,
            Entry::Vacant(_) if full => return false,
            Entry::Vacant(new) => {
                new.insert(offset);
            }
        }
        true
    }
}

impl Context {
    /// Takes the seeks of the call that has just returned.
    pub(crate) fn take_seeks(&mut self) -> BTreeMap<Queue, u64> {
        match self {
            Self::Sink(_, seeks) => std::mem::take(&mut seeks.0),
            Self::Source(_) | Self::Nobody => BTreeMap::new(),
        }
    }
}

impl State {
    fn sink(&self) -> Option<&Arc<dyn SinkContext>> {
        match &self.context {
            Context::Sink(sink, _) => Some(sink),
            Context::Source(_) | Context::Nobody => None,
        }
    }
}

fn queue(of: &records::QueueResult) -> Queue {
    Queue::new(&of.topic, &of.broker, of.id)
}

impl records::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.write(level, "log", &message);
    }
}

impl source_context::Host for State {
    async fn resume_points(
        &mut self,
        partitions: Option<Vec<String>>,
    ) -> wasmtime::Result<Vec<records::ResumePointResult>> {
        let Context::Source(source) = &self.context else {
            return Ok(Vec::new());
        };
        let points = source
            .resume_points(partitions)
            .await
            .map_err(|source| Unanswered {
                step: "answering its import `resume-points`",
                source,
            })?;
        Ok(points
            .into_iter()
            .map(|point| records::ResumePointResult {
                partition: point.partition,
                position: point.position.into(),
            })
            .collect())
    }

    fn reconfigure(&mut self) {
        if let Context::Source(source) = &self.context {
            source.reconfigure();
        }
    }
}

impl sink_context::Host for State {
    fn assignment(&mut self) -> Vec<records::QueueResult> {
        let queues = self
            .sink()
            .map(|sink| sink.assignment())
            .unwrap_or_default();
        queues
            .into_iter()
            .map(|queue| records::QueueResult {
                topic: (*queue.topic).into(),
                broker: (*queue.broker).into(),
                id: queue.id,
            })
            .collect()
    }

    fn seek(&mut self, of: records::QueueResult, offset: u64) {
        if let Context::Sink(_, seeks) = &mut self.context
            && !seeks.note(queue(&of), offset)
        {
            self.log.write(
                Level::Warn,
                "log",
                "a seek was ignored: too many queues in one call",
            );
        }
    }

    fn pause(&mut self, queues: Vec<records::QueueResult>) {
        if let Some(sink) = self.sink() {
            sink.pause(queues.iter().map(queue).collect());
        }
    }

    fn resume(&mut self, queues: Vec<records::QueueResult>) {
        if let Some(sink) = self.sink() {
            sink.resume(queues.iter().map(queue).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seek_of_a_queue_counts_and_their_number_is_bounded() {
        let mut seeks = Seeks::default();
        for id in 0..SEEKS as i32 {
            assert!(seeks.note(Queue::new("t", "b", id), 1));
        }
        assert!(!seeks.note(Queue::new("t", "b", -1), 1));
        assert!(seeks.note(Queue::new("t", "b", 0), 2));
        assert_eq!(seeks.0.len(), SEEKS);
        assert_eq!(seeks.0.get(&Queue::new("t", "b", 0)), Some(&2));
    }
}
