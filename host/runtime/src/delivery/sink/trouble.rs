//! When a sink's record, batch or queue is in trouble: what is committed first, and which error
//! names which record.

use connect_sandbox::Rejected;

use super::gather::Bad;
use super::task::Job;
use crate::delivery::{Careful, TaskError};
use crate::guest::Failed;
use crate::spec::OffsetLost;

impl Job<'_> {
    /// The stored offset is not in the queue any more.
    pub(super) fn gap(&mut self, index: usize, other: u64, what: &str) -> Result<(), TaskError> {
        let Some(seat) = self.seats.get(index) else {
            return Ok(());
        };
        let (queue, at) = (seat.queue.clone(), seat.put);
        let text = format!(
            "{}, queue {queue}: the next offset is {at}, but {what} {other}",
            self.ctx.who()
        );
        if self.lost == OffsetLost::Fail {
            return Err(TaskError::OffsetLost(format!(
                "{text}; messages between are gone or the topic was made anew; `offset.lost = earliest` goes on with the oldest message"
            )));
        }
        tracing::warn!("{text}; going on with the oldest message, as `offset.lost` says");
        // an offset beyond the end belongs to a topic that was made anew: begin with its first
        let next = if other > at { other } else { 0 };
        let reader = self.read(&queue, next);
        if let Some(seat) = self.seats.get_mut(index) {
            seat.rewind(next, Some(reader));
            seat.durable = seat.durable.min(next);
        }
        Ok(())
    }

    /// The first rejected record that the connector does not skip.
    pub(super) fn refusals(
        &self,
        rejected: Vec<Rejected>,
        origins: &[(usize, u64)],
    ) -> Result<Option<(usize, u64, String)>, TaskError> {
        let mut first = None;
        for rejection in rejected {
            let origin = usize::try_from(rejection.index)
                .ok()
                .and_then(|index| origins.get(index));
            let Some((index, offset)) = origin.copied() else {
                continue;
            };
            if self.ctx.spec.skip_bad_records {
                let queue = self
                    .seats
                    .get(index)
                    .map(|seat| seat.queue.to_string())
                    .unwrap_or_default();
                tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, queue, offset,
                    reason = rejection.reason, "a record the sink rejects is skipped");
            } else if first.as_ref().is_none_or(|(_, known, _)| offset < *known) {
                first = Some((index, offset, rejection.reason));
            }
        }
        Ok(first)
    }

    /// Commits what stands before a rejected record, then fails with exactly that record.
    pub(super) async fn refuse(
        &mut self,
        index: usize,
        offset: u64,
        reason: String,
    ) -> Result<(), TaskError> {
        let mut queue = String::new();
        if let Some(seat) = self.seats.get_mut(index) {
            seat.put = seat.put.min(offset);
            queue = seat.queue.to_string();
        }
        self.flush().await?;
        Err(TaskError::Rejected {
            place: format!("{}, queue {queue}, offset {offset}", self.ctx.who()),
            reason,
        })
    }

    pub(super) async fn bad(&mut self, bad: Bad) -> Result<(), TaskError> {
        let queue = self
            .seats
            .get(bad.seat)
            .map(|seat| seat.queue.to_string())
            .unwrap_or_default();
        self.flush().await?;
        let place = format!("{}, queue {queue}, offset {}", self.ctx.who(), bad.offset);
        Err(TaskError::Record {
            place,
            source: Box::new(bad.error),
        })
    }

    /// A put brought the instance down. One record: it is the one. Several: walk them next time.
    pub(super) fn put_failed(
        &self,
        failed: Failed,
        origins: &[(usize, u64)],
        careful: bool,
    ) -> TaskError {
        let place = self.stretch(origins);
        match failed {
            Failed::Call(source) if source.poisoned() && origins.len() > 1 && !careful => {
                let mut ends = self.unflushed_ends();
                for (index, offset) in origins {
                    if let Some(seat) = self.seats.get(*index) {
                        let end = ends.entry(seat.queue.clone()).or_default();
                        *end = (*end).max(offset + 1);
                    }
                }
                TaskError::Suspect {
                    place,
                    careful: ends,
                    source: Box::new(source),
                }
            }
            failed => failed.at(place),
        }
    }

    /// Where everything put and not flushed ends, per queue.
    pub(super) fn unflushed_ends(&self) -> Careful {
        let open = self.seats.iter().filter(|seat| seat.put > seat.durable);
        open.map(|seat| (seat.queue.clone(), seat.put)).collect()
    }

    fn stretch(&self, origins: &[(usize, u64)]) -> String {
        let name = |(index, offset): &(usize, u64)| {
            self.seats
                .get(*index)
                .map(|seat| format!("queue {}, offset {offset}", seat.queue))
                .unwrap_or_default()
        };
        match origins {
            [one] => format!("{}, {}", self.ctx.who(), name(one)),
            [first, .., last] => format!("{}, {} to {}", self.ctx.who(), name(first), name(last)),
            [] => self.ctx.who(),
        }
    }
}
