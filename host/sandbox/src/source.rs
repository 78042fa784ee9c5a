//! A source's instance. What it returns is checked once, here, into types that cannot be wrong; a
//! source whose answer breaks the interface is not called again.

use std::sync::Arc;
use std::time::Duration;

use connect_record::{Batch, Limits, Origin, ResumePoint};

use crate::bindings::v0_1::{self, exports::rocketmq::connect::source};
use crate::call::Guest;
use crate::egress::Counters;
use crate::error::CallError;

/// Most partitions, and longest name and position, of one answer beside its records.
const PARTITIONS: usize = 65_536;
const PARTITION_BYTES: usize = 64 << 10;
const POSITION_BYTES: usize = 64 << 10;

/// One source task's instance. Owned by one task; all calls go one after the other.
#[derive(Debug)]
pub struct SourceInstance {
    guest: Guest<source::Guest>,
    batch: Limits,
}

/// What a poll brought.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The records.
    pub batch: Batch,
    /// Reached once all of `batch` is confirmed: progress without a record.
    pub points: Vec<ResumePoint>,
    /// Partitions that are gone for good.
    pub forget: Vec<String>,
    /// Nothing more before this time has passed; zero when more is ready.
    pub wait: Duration,
}

impl SourceInstance {
    pub(crate) fn new(guest: Guest<source::Guest>, batch: Limits) -> Self {
        Self { guest, batch }
    }

    /// What this instance did on the network and was kept from.
    pub fn egress(&self) -> Arc<Counters> {
        self.guest.egress()
    }

    /// Starts the source. It asks its context where to resume.
    ///
    /// # Errors
    /// What a call can end with. After a [`CallError::Retriable`] it may be called again.
    pub async fn open(&mut self, settings: &[(String, String)]) -> Result<(), CallError> {
        let given = v0_1::settings(settings);
        self.guest
            .ask("open", async |exports, store| {
                exports.call_open(store, &given).await
            })
            .await
    }

    /// Asks for the next records. The three figures are wishes; the bounds of the sandbox hold.
    ///
    /// # Errors
    /// What a call can end with: [`CallError::Batch`] and [`CallError::Answer`] when the answer
    /// breaks the interface.
    pub async fn poll(
        &mut self,
        max_records: u32,
        max_bytes: u32,
        max_wait: Duration,
    ) -> Result<Polled, CallError> {
        const CALL: &str = "poll";
        let max_wait = u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX);
        let polled = self
            .guest
            .ask(CALL, async |exports, store| {
                exports
                    .call_poll(store, max_records, max_bytes, max_wait)
                    .await
            })
            .await?;
        let points = v0_1::own_points(polled.points);
        check(&points, &polled.forget).map_err(|reason| self.guest.answer(CALL, &reason))?;
        let batch = Batch::check(polled.batch.into(), Origin::Source, &self.batch)
            .map_err(|source| self.guest.bad_batch(CALL, source))?;
        Ok(Polled {
            batch,
            points,
            forget: polled.forget,
            wait: Duration::from_millis(polled.wait_ms.into()),
        })
    }

    /// Tells the source that everything up to these points is stored for good.
    ///
    /// # Errors
    /// What a call can end with.
    pub async fn committed(&mut self, points: &[ResumePoint]) -> Result<(), CallError> {
        let given = v0_1::points(points);
        self.guest
            .ask("committed", async |exports, store| {
                exports.call_committed(store, &given).await
            })
            .await
    }

    /// Ends the source. Unless it answers [`CallError::Retriable`], the instance is of no use
    /// afterwards.
    ///
    /// # Errors
    /// What a call can end with.
    pub async fn close(&mut self) -> Result<(), CallError> {
        self.guest
            .close(async |exports, store| exports.call_close(store).await)
            .await
    }

    /// Linear memory the instance uses, in bytes. It never shrinks.
    pub fn memory_bytes(&self) -> u64 {
        self.guest.memory_bytes()
    }

    /// Whether the instance uses more memory than its high-water mark, and so is to be closed and
    /// made again between two batches.
    pub fn above_high_water(&self) -> bool {
        self.guest.above_high_water()
    }
}

fn check(points: &[ResumePoint], forget: &[String]) -> Result<(), String> {
    let count = points.len().max(forget.len());
    if count > PARTITIONS {
        return Err(format!(
            "{count} partitions beside the records, at most {PARTITIONS} are accepted"
        ));
    }
    let names = points.iter().map(|point| &point.partition).chain(forget);
    if let Some(name) = names.into_iter().find(|name| name.len() > PARTITION_BYTES) {
        return Err(format!(
            "a partition name of {} bytes, at most {PARTITION_BYTES} are accepted",
            name.len()
        ));
    }
    if let Some(point) = points
        .iter()
        .find(|point| point.position.len() > POSITION_BYTES)
    {
        return Err(format!(
            "a position of {} bytes, at most {POSITION_BYTES} are accepted",
            point.position.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn points_have_bounds() {
        let point = |name: usize, position: usize| ResumePoint {
            partition: "p".repeat(name),
            position: Bytes::from(vec![0; position]),
        };
        check(&[point(PARTITION_BYTES, POSITION_BYTES)], &["gone".into()]).unwrap();
        assert!(
            check(&[point(1, POSITION_BYTES + 1)], &[])
                .unwrap_err()
                .contains("position of 65537")
        );
        assert!(
            check(&[point(PARTITION_BYTES + 1, 1)], &[])
                .unwrap_err()
                .contains("name of 65537")
        );
        assert!(
            check(&[], &["x".repeat(PARTITION_BYTES + 1)])
                .unwrap_err()
                .contains("name of 65537")
        );
        assert!(
            check(&[], &vec![String::new(); PARTITIONS + 1])
                .unwrap_err()
                .contains("65537 partitions")
        );
    }
}
