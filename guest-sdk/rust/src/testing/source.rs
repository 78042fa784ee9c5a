//! The worker as a source sees it.

use std::time::Duration;

use super::on;
use super::record::{TestRecord, owned};
use crate::Result;
use crate::host::double::Double;
use crate::log::Level;
use crate::settings::Settings;
use crate::source::{ResumePoint, Source};
use crate::task::SourceTask;

/// What one poll brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// The records, in order.
    pub records: Vec<TestRecord>,
    /// Progress without a record.
    pub points: Vec<ResumePoint>,
    /// Partitions that are gone.
    pub forget: Vec<String>,
    /// How long to wait before the next poll.
    pub wait: Duration,
    /// Bytes of the batch's arena.
    pub bytes: usize,
}

impl Polled {
    /// The values as text, for comparing with literals.
    pub fn texts(&self) -> Vec<String> {
        self.records.iter().map(TestRecord::text).collect()
    }
}

/// Opens, polls and commits a source, and remembers its positions through restarts.
///
/// ```
/// use connect_sdk::testing::SourceDriver;
/// # use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};
/// # struct Numbers { next: u64 }
/// # impl Connector for Numbers { fn describe() -> Description { Description::new("numbers", "1.0.0", "") } }
/// # impl Source for Numbers {
/// #     fn open(_: &Settings, context: SourceContext) -> Result<Self> {
/// #         let stored = context.resume_point("all").and_then(|bytes| bytes.try_into().ok());
/// #         Ok(Self { next: stored.map_or(0, u64::from_le_bytes) })
/// #     }
/// #     fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
/// #         while !batch.is_full() {
/// #             let after = (self.next + 1).to_le_bytes();
/// #             batch.add().partition("all").value(self.next.to_string().as_bytes()).position(&after).finish()?;
/// #             self.next += 1;
/// #         }
/// #         Ok(Next::Now)
/// #     }
/// # }
/// let mut source = SourceDriver::<Numbers>::open([("connect.topicname", "numbers")])?;
/// assert_eq!(source.poll_at_most(3, 1000)?.texts(), ["0", "1", "2"]);
/// source.commit()?;
/// assert_eq!(source.poll_at_most(1, 1000)?.texts(), ["3"]);
/// let mut source = source.crash()?; // what was not committed comes again
/// assert_eq!(source.poll_at_most(1, 1000)?.texts(), ["3"]);
/// # Ok::<(), connect_sdk::Failure>(())
/// ```
#[derive(Debug)]
pub struct SourceDriver<T> {
    task: SourceTask<T>,
    settings: Settings,
    host: Double,
    /// Positions of what was polled and not yet committed, in order.
    pending: Vec<ResumePoint>,
    forgotten: Vec<String>,
}

impl<T: Source> SourceDriver<T> {
    /// Opens a source that has no stored positions.
    ///
    /// # Errors
    /// What `open` answers.
    pub fn open(settings: impl Into<Settings>) -> Result<Self> {
        Self::open_at(settings, Vec::new())
    }

    /// Opens a source with these stored positions.
    ///
    /// # Errors
    /// What `open` answers.
    pub fn open_at(settings: impl Into<Settings>, stored: Vec<ResumePoint>) -> Result<Self> {
        let mut driver = Self {
            task: SourceTask::new(),
            settings: settings.into(),
            host: Double {
                stored,
                ..Double::default()
            },
            pending: Vec::new(),
            forgotten: Vec::new(),
        };
        let settings = driver.settings.clone();
        on(&mut driver.host, || driver.task.open(settings))?;
        Ok(driver)
    }

    /// Polls as the worker does: at most 1 000 records and 1 MiB.
    ///
    /// # Errors
    /// What `poll` answers.
    pub fn poll(&mut self) -> Result<Polled> {
        self.poll_at_most(1000, 1024 * 1024)
    }

    /// Polls for at most so many records and bytes.
    ///
    /// # Errors
    /// What `poll` answers.
    pub fn poll_at_most(&mut self, records: u32, bytes: u32) -> Result<Polled> {
        let polled = on(&mut self.host, || self.task.poll(records, bytes, 0))?;
        let records = owned(&polled.parts);
        for record in &records {
            if let Some(position) = &record.position {
                self.pending.push(ResumePoint {
                    partition: record.partition.clone(),
                    position: position.clone(),
                });
            }
        }
        self.pending.extend(polled.points.iter().cloned());
        self.forgotten.extend(polled.forget.iter().cloned());
        Ok(Polled {
            records,
            points: polled.points,
            forget: polled.forget,
            wait: Duration::from_millis(polled.wait_ms.into()),
            bytes: polled.parts.arena.len(),
        })
    }

    /// Makes durable everything polled so far, and tells the source.
    ///
    /// # Errors
    /// What `committed` answers.
    pub fn commit(&mut self) -> Result<()> {
        self.commit_first(usize::MAX)
    }

    /// Makes durable the first `count` positions of what was polled and is not durable yet: what a
    /// worker had confirmed when it was killed.
    ///
    /// # Errors
    /// What `committed` answers.
    pub fn commit_first(&mut self, count: usize) -> Result<()> {
        let count = count.min(self.pending.len());
        let mut points: Vec<ResumePoint> = Vec::new();
        for point in self.pending.drain(..count) {
            points.retain(|have| have.partition != point.partition);
            points.push(point);
        }
        let renewed =
            |have: &ResumePoint| points.iter().any(|point| point.partition == have.partition);
        self.host.stored.retain(|have| !renewed(have));
        self.host.stored.extend(points.iter().cloned());
        // A partition is gone after the records that came with the news, not before.
        if self.pending.is_empty() {
            let forgotten = std::mem::take(&mut self.forgotten);
            self.host
                .stored
                .retain(|have| !forgotten.contains(&have.partition));
        }
        on(&mut self.host, || self.task.committed(&points))
    }

    /// Closes the source and opens a new one at the durable positions.
    ///
    /// # Errors
    /// What `close` or `open` answers.
    pub fn restart(mut self) -> Result<Self> {
        on(&mut self.host, || self.task.close())?;
        Self::open_at(self.settings, self.host.stored)
    }

    /// Drops the source without a word, as a kill does, and opens a new one at the durable positions.
    ///
    /// # Errors
    /// What `open` answers.
    pub fn crash(self) -> Result<Self> {
        Self::open_at(self.settings, self.host.stored)
    }

    /// The plugin's value.
    pub fn plugin(&self) -> Option<&T> {
        self.task.plugin()
    }

    /// The durable positions.
    pub fn stored(&self) -> &[ResumePoint] {
        &self.host.stored
    }

    /// What was logged since it was opened.
    pub fn messages(&self) -> &[(Level, String)] {
        &self.host.messages
    }

    /// How often the source asked for its tasks to be planned again.
    pub fn reconfigured(&self) -> usize {
        self.host.reconfigured
    }
}
