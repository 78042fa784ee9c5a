//! What the worker offers to a running task, and the host functions that hand it on. What cannot be
//! done is answered emptily and logged, unless an empty answer would mean something else to the
//! guest: then its call ends, with the worker's reason.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use connect_record::{Queue, ResumePoint};
use futures::future::BoxFuture;

use crate::bindings::v0_1::rocketmq::connect::{log, records, sink_context, source_context};
use crate::lanes;
use crate::log::Level;
use crate::state::State;

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
    /// Whether `queue` is one of this task's. Seeks elsewhere are not even kept.
    fn owns(&self, queue: &Queue) -> bool;
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
pub(crate) struct Seeks {
    kept: BTreeMap<Queue, u64>,
    /// One elsewhere was ignored, and the plugin's log says so.
    ignored: bool,
}

impl Context {
    /// Takes the seeks of the call that has just returned.
    pub(crate) fn take_seeks(&mut self) -> BTreeMap<Queue, u64> {
        match self {
            Self::Sink(_, seeks) => std::mem::take(seeks).kept,
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
            let source = Arc::clone(source);
            lanes::properly(move || source.reconfigure());
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
        let Context::Sink(sink, seeks) = &mut self.context else {
            return;
        };
        let queue = queue(&of);
        if sink.owns(&queue) {
            seeks.kept.insert(queue, offset);
        } else if !std::mem::replace(&mut seeks.ignored, true) {
            let line = format!("a seek is ignored: queue {queue} is not one of this task's");
            self.log.write(Level::Warn, "log", &line);
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
