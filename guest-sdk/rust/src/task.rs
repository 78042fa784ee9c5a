//! One task of each role: the plugin's value between `open` and `close`, and what the wall wants to
//! be said around it. The component and the test drivers run exactly this; policy is the host's.

use std::time::Duration;

use connect_rows::{Builder, Parts, View};

use crate::Result;
use crate::batch::{Batch, Filled};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::sink::{Flushed, Queue, QueueOffset, Rejected, Sink, SinkContext};
use crate::source::{Next, ResumePoint, Source, SourceContext};
use crate::transform::Transform;

/// Room for this many records is set aside for the first batch; later ones go by the one before.
const RECORDS_AT_FIRST: usize = 64;

fn not_open(call: &str) -> Failure {
    Failure::fatal(format!("{call} was called on a task that is not open"))
}

/// What a poll brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// The records.
    pub parts: Parts,
    /// Progress that has no record.
    pub points: Vec<ResumePoint>,
    /// Partitions that are gone.
    pub forget: Vec<String>,
    /// When to come again, in milliseconds.
    pub wait_ms: u32,
}

/// A task of a source.
#[derive(Debug)]
pub struct SourceTask<T> {
    plugin: Option<T>,
    /// The failure of a poll that had brought records; answered with the next one.
    late: Option<Failure>,
    /// Records and bytes of the last batch, to set aside the room the next one will want.
    last: (usize, usize),
}

impl<T: Source> SourceTask<T> {
    /// A task that is not open.
    pub const fn new() -> Self {
        Self {
            plugin: None,
            late: None,
            last: (RECORDS_AT_FIRST, 0),
        }
    }

    /// The plugin's value, while the task is open.
    pub fn plugin(&self) -> Option<&T> {
        self.plugin.as_ref()
    }

    /// Opens the task, afresh if it was open.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn open(&mut self, settings: Settings) -> Result<()> {
        let settings = settings.with_defaults(&T::describe());
        *self = Self::new();
        self.plugin = Some(T::open(&settings, SourceContext::new())?);
        Ok(())
    }

    /// Polls for records.
    ///
    /// # Errors
    /// What the plugin answered now, or when it had still brought records.
    pub fn poll(&mut self, max_records: u32, max_bytes: u32, max_wait_ms: u32) -> Result<Polled> {
        let plugin = self.plugin.as_mut().ok_or_else(|| not_open("poll"))?;
        if let Some(failure) = self.late.take() {
            return Err(failure);
        }
        let (max_records, max_bytes) = (max_records as usize, max_bytes as usize);
        let (records, bytes) = self.last;
        let builder = Builder::with_capacity(records.min(max_records), bytes.min(max_bytes));
        let mut batch = Batch::new(
            builder,
            max_records,
            max_bytes,
            Duration::from_millis(max_wait_ms.into()),
        );
        let wait_ms = match plugin.poll(&mut batch) {
            Ok(Next::Now) => 0,
            Ok(Next::After(wait)) => milliseconds(wait),
            Err(failure) if batch.is_blank() => return Err(failure),
            Err(failure) => {
                self.late = Some(failure);
                0
            }
        };
        self.last = (batch.len(), batch.bytes());
        let Filled {
            parts,
            points,
            forgotten,
        } = batch.fill();
        Ok(Polled {
            parts,
            points,
            forget: forgotten,
            wait_ms,
        })
    }

    /// Tells the plugin what is durable.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn committed(&mut self, points: &[ResumePoint]) -> Result<()> {
        self.plugin
            .as_mut()
            .ok_or_else(|| not_open("committed"))?
            .committed(points)
    }

    /// Closes the task; one that is not open stays so.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn close(&mut self) -> Result<()> {
        self.plugin
            .take()
            .map_or(Ok(()), |mut plugin| plugin.close())
    }
}

/// Rounded up, so that nobody is polled a little too early; at most 49 days.
fn milliseconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// A task of a sink.
#[derive(Debug)]
pub struct SinkTask<T> {
    plugin: Option<T>,
}

impl<T: Sink> SinkTask<T> {
    /// A task that is not open.
    pub const fn new() -> Self {
        Self { plugin: None }
    }

    /// The plugin's value, while the task is open.
    pub fn plugin(&self) -> Option<&T> {
        self.plugin.as_ref()
    }

    fn opened(&mut self, call: &str) -> Result<&mut T> {
        self.plugin.as_mut().ok_or_else(|| not_open(call))
    }

    /// Opens the task, afresh if it was open, and gives it its first queues.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn open(&mut self, settings: Settings, queues: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        let settings = settings.with_defaults(&T::describe());
        self.plugin = None;
        let mut plugin = T::open(&settings, SinkContext::new())?;
        let start = plugin.assigned(queues)?;
        self.plugin = Some(plugin);
        Ok(start)
    }

    /// Gives the task more queues.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn assigned(&mut self, queues: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        self.opened("assigned")?.assigned(queues)
    }

    /// Takes queues away.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn revoked(&mut self, queues: &[Queue], lost: bool) -> Result<()> {
        self.opened("revoked")?.revoked(queues, lost)
    }

    /// Puts a batch.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn put(&mut self, parts: &Parts) -> Result<Vec<Rejected>> {
        self.opened("put")?.put(&View::new(parts))
    }

    /// Makes durable what was put.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn flush(&mut self) -> Result<Flushed> {
        self.opened("flush")?.flush()
    }

    /// Closes the task; one that is not open stays so.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn close(&mut self) -> Result<()> {
        self.plugin
            .take()
            .map_or(Ok(()), |mut plugin| plugin.close())
    }
}

/// What a transform made of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The records.
    pub parts: Parts,
    /// Inputs that cannot be transformed.
    pub rejected: Vec<Rejected>,
}

/// A transform between `open` and `close`.
#[derive(Debug)]
pub struct TransformTask<T> {
    plugin: Option<T>,
}

impl<T: Transform> TransformTask<T> {
    /// A transform that is not open.
    pub const fn new() -> Self {
        Self { plugin: None }
    }

    /// Opens it, afresh if it was open.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn open(&mut self, settings: Settings) -> Result<()> {
        let settings = settings.with_defaults(&T::describe());
        self.plugin = None;
        self.plugin = Some(T::open(&settings)?);
        Ok(())
    }

    /// Transforms a batch.
    ///
    /// # Errors
    /// What the plugin answers; nothing of the output is kept then.
    pub fn apply(&mut self, input: &Parts) -> Result<Applied> {
        let plugin = self.plugin.as_mut().ok_or_else(|| not_open("apply"))?;
        let input_view = View::new(input);
        let builder = Builder::with_capacity(input_view.len(), input.arena.len());
        let mut output = Batch::new(builder, usize::MAX, usize::MAX, Duration::ZERO);
        let rejected = plugin.apply(&input_view, &mut output)?;
        Ok(Applied {
            parts: output.fill().parts,
            rejected,
        })
    }

    /// Closes it; one that is not open stays so.
    ///
    /// # Errors
    /// What the plugin answers.
    pub fn close(&mut self) -> Result<()> {
        self.plugin
            .take()
            .map_or(Ok(()), |mut plugin| plugin.close())
    }
}

impl<T: Source> Default for SourceTask<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Sink> Default for SinkTask<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Transform> Default for TransformTask<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
