//! The worker as a sink sees it.

use super::on;
use super::record::{TestRecord, batch};
use crate::Result;
use crate::host::double::Double;
use crate::log::Level;
use crate::settings::Settings;
use crate::sink::{Flushed, Queue, QueueOffset, Rejected, Sink};
use crate::task::SinkTask;

/// Opens a sink, puts records into it and flushes.
///
/// ```
/// use connect_sdk::testing::{record, SinkDriver};
/// # use connect_sdk::{Connector, Description, Records, Rejected, Result, Settings, Sink, SinkContext};
/// # struct Short;
/// # impl Connector for Short { fn describe() -> Description { Description::new("short", "1.0.0", "") } }
/// # impl Sink for Short {
/// #     fn open(_: &Settings, _: SinkContext) -> Result<Self> { Ok(Self) }
/// #     fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
/// #         let long = records.records().filter(|record| record.value().unwrap_or_default().len() > 3);
/// #         Ok(long.map(|record| Rejected::new(&record, "too long")).collect())
/// #     }
/// # }
/// let mut sink = SinkDriver::<Short>::open([("connect.topicnames", "words")])?;
/// let rejected = sink.put(&[record("one"), record("three")])?;
/// assert_eq!(rejected[0].index, 1);
/// sink.flush()?;
/// # Ok::<(), connect_sdk::Failure>(())
/// ```
#[derive(Debug)]
pub struct SinkDriver<T> {
    task: SinkTask<T>,
    settings: Settings,
    host: Double,
}

impl<T: Sink> SinkDriver<T> {
    /// Opens a sink with queue 0 of topic `topic` on broker `broker`, from its beginning.
    ///
    /// # Errors
    /// What `open` or `assigned` answers.
    pub fn open(settings: impl Into<Settings>) -> Result<Self> {
        let first = QueueOffset {
            queue: Queue::new("topic", "broker", 0),
            next: 0,
        };
        Ok(Self::open_with(settings, &[first])?.0)
    }

    /// Opens a sink with these queues; also answers where the sink wants to start.
    ///
    /// # Errors
    /// What `open` or `assigned` answers.
    pub fn open_with(
        settings: impl Into<Settings>,
        queues: &[QueueOffset],
    ) -> Result<(Self, Vec<QueueOffset>)> {
        let settings = settings.into();
        let assignment = queues.iter().map(|offset| offset.queue.clone()).collect();
        let mut driver = Self {
            task: SinkTask::new(),
            settings,
            host: Double {
                assignment,
                ..Double::default()
            },
        };
        let settings = driver.settings.clone();
        let start = on(&mut driver.host, || driver.task.open(settings, queues))?;
        Ok((driver, start))
    }

    /// Puts a batch.
    ///
    /// # Errors
    /// What `put` answers.
    pub fn put(&mut self, records: &[TestRecord]) -> Result<Vec<Rejected>> {
        let parts = batch(records)?;
        on(&mut self.host, || self.task.put(&parts))
    }

    /// Flushes.
    ///
    /// # Errors
    /// What `flush` answers.
    pub fn flush(&mut self) -> Result<Flushed> {
        on(&mut self.host, || self.task.flush())
    }

    /// Gives the sink more queues.
    ///
    /// # Errors
    /// What `assigned` answers.
    pub fn assign(&mut self, queues: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        self.host
            .assignment
            .extend(queues.iter().map(|offset| offset.queue.clone()));
        on(&mut self.host, || self.task.assigned(queues))
    }

    /// Takes queues away from the sink.
    ///
    /// # Errors
    /// What `revoked` answers.
    pub fn revoke(&mut self, queues: &[Queue], lost: bool) -> Result<()> {
        self.host.assignment.retain(|have| !queues.contains(have));
        on(&mut self.host, || self.task.revoked(queues, lost))
    }

    /// Closes the sink.
    ///
    /// # Errors
    /// What `close` answers.
    pub fn close(mut self) -> Result<()> {
        on(&mut self.host, || self.task.close())
    }

    /// Drops the sink without a word, as a kill does, and opens a new one with the same queues.
    ///
    /// # Errors
    /// What `open` or `assigned` answers.
    pub fn crash(self) -> Result<Self> {
        let queues = self
            .host
            .assignment
            .into_iter()
            .map(|queue| QueueOffset { queue, next: 0 });
        Ok(Self::open_with(self.settings, &queues.collect::<Vec<_>>())?.0)
    }

    /// The plugin's value.
    pub fn plugin(&self) -> Option<&T> {
        self.task.plugin()
    }

    /// Queues and offsets that the sink asked to go on from.
    pub fn seeks(&self) -> &[(Queue, u64)] {
        &self.host.seeks
    }

    /// Queues that the sink has paused.
    pub fn paused(&self) -> &[Queue] {
        &self.host.paused
    }

    /// What was logged since it was opened.
    pub fn messages(&self) -> &[(Level, String)] {
        &self.host.messages
    }
}
