//! The role of a source: brings records from outside, in order within a partition, each with the
//! position from which to go on after it.

use std::time::Duration;

use crate::Result;
use crate::batch::Batch;
use crate::connector::Connector;
use crate::host;
use crate::settings::Settings;

/// A connector that brings records into RocketMQ.
///
/// One value is one task. It is dropped when the task stops, and made again from the last durable
/// positions after a crash, a reload or a kill: keep nothing that a position cannot bring back.
pub trait Source: Connector {
    /// Makes the task ready. `context.resume_point(partition)` says where it was.
    ///
    /// # Errors
    /// Retriable: `open` is called again. Others end the task.
    fn open(settings: &Settings, context: SourceContext) -> Result<Self>;

    /// Adds records to `batch` until it [is full](Batch::is_full) or nothing is left, and says when
    /// to come again. Never waits for data: the host can pause, stop or swap only between calls.
    ///
    /// # Errors
    /// Records that were added before the failure are still delivered, and the failure answered
    /// with the next call; so a `?` in the middle of a loop loses and repeats nothing.
    fn poll(&mut self, batch: &mut Batch) -> Result<Next>;

    /// Everything up to these points is stored in RocketMQ and the points are durable. Only for
    /// systems that want to be told; nothing by default.
    ///
    /// # Errors
    /// Retriable: told again. Others end the task.
    fn committed(&mut self, _points: &[ResumePoint]) -> Result<()> {
        Ok(())
    }

    /// Called once before the task is dropped on purpose; nothing by default.
    ///
    /// # Errors
    /// Logged by the host; the task ends anyway.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// When a source wants to be polled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More is ready.
    Now,
    /// Nothing more before this time has passed; in whole milliseconds, rounded up.
    After(Duration),
}

/// Where a partition of a source resumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// The partition, named by the connector: a file, a table, a shard.
    pub partition: String,
    /// The position, known only to the connector.
    pub position: Vec<u8>,
}

/// What the host offers to a source. May be copied and kept.
#[derive(Debug, Clone, Copy)]
pub struct SourceContext {
    _only_here: (),
}

impl SourceContext {
    pub(crate) fn new() -> Self {
        Self { _only_here: () }
    }

    /// The stored position of one partition.
    pub fn resume_point(&self, partition: &str) -> Option<Vec<u8>> {
        let points = host::resume_points(Some(&[partition.to_owned()]));
        points
            .into_iter()
            .find(|point| point.partition == partition)
            .map(|point| point.position)
    }

    /// The stored positions of these partitions, without those that have none.
    pub fn resume_points(&self, partitions: &[String]) -> Vec<ResumePoint> {
        host::resume_points(Some(partitions))
    }

    /// All stored positions of this connector, whatever task wrote them.
    pub fn all_resume_points(&self) -> Vec<ResumePoint> {
        host::resume_points(None)
    }

    /// Asks for `task_settings` to be computed again, because what there is to do has changed.
    pub fn reconfigure(&self) {
        host::reconfigure();
    }
}
