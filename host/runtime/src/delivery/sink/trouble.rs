//! When a sink's record, batch or queue is in trouble: what is committed first, and which error
//! names which record.

use std::collections::BTreeSet;

use connect_record::Queue;
use connect_sandbox::Rejected;

use super::gather::Bad;
use super::seat::{Seat, Trouble};
use super::task::Job;
use crate::delivery::{Careful, TaskError};
use crate::guest::Failed;
use crate::spec::OffsetLost;

impl Job<'_> {
    /// Deals with a queue whose reader has ended, once everything it brought has been put.
    pub(super) async fn troubled(&mut self) -> Result<(), TaskError> {
        let ripe = |seat: &Seat| seat.trouble.is_some() && seat.is_drained();
        let Some(index) = self.hands.seats.iter().position(ripe) else {
            return Ok(());
        };
        let Some(seat) = self.hands.seats.get_mut(index) else {
            return Ok(());
        };
        let (queue, at) = (seat.queue.clone(), seat.put);
        match seat.trouble.take() {
            Some(Trouble::Gap(min)) => {
                self.gap(index, &queue, at, min, "the oldest message in the queue is")
                    .await
            }
            Some(Trouble::Ahead(max)) => {
                self.gap(index, &queue, at, max, "the queue ends at").await
            }
            Some(Trouble::Failed(source)) => {
                self.flush().await?;
                let place = format!("{}, queue {queue}, offset {at}", self.ctx.who());
                Err(TaskError::Broker {
                    place,
                    source: Box::new(source),
                })
            }
            None => Ok(()),
        }
    }

    /// The next offset is not in the queue any more.
    async fn gap(
        &mut self,
        index: usize,
        queue: &Queue,
        at: u64,
        other: u64,
        what: &str,
    ) -> Result<(), TaskError> {
        let text = format!(
            "{}, queue {queue}: the next offset is {at}, but {what} {other}",
            self.ctx.who()
        );
        self.flush().await?;
        if self.lost == OffsetLost::Fail {
            return Err(TaskError::OffsetLost(format!(
                "{text}; messages between are gone or the topic was made anew; `offset.lost = earliest` goes on with the oldest message"
            )));
        }
        tracing::warn!("{text}; going on with the oldest message, as `offset.lost` says");
        // an offset beyond the end belongs to a topic that was made anew: begin with its first
        let next = if other > at { other } else { 0 };
        match self.hands.go_to(index, next) {
            // by the next start the new topic may have grown beyond the old offset
            Some(back) => self.commit(vec![back]).await,
            None => Ok(()),
        }
    }

    /// Notes which records the plugin has taken, and gives those it rejected and the connector does not
    /// skip, by seat and offset.
    pub(super) fn taken(
        &mut self,
        rejected: Vec<Rejected>,
        origins: &[(usize, u64)],
    ) -> Vec<(usize, u64, String)> {
        let mut skipped = BTreeSet::new();
        if self.ctx.spec.skip_bad_records {
            let numbers = rejected.iter().map(|rejection| rejection.index);
            skipped.extend(numbers.filter_map(|number| usize::try_from(number).ok()));
        }
        for (number, (index, offset)) in origins.iter().enumerate() {
            match self.hands.seats.get_mut(*index) {
                Some(seat) if skipped.contains(&number) => seat.pass(*offset),
                Some(seat) => seat.gave(*offset),
                None => {}
            }
        }
        let mut refused = Vec::new();
        for rejection in rejected {
            let origin = usize::try_from(rejection.index)
                .ok()
                .and_then(|index| origins.get(index));
            let Some((index, offset)) = origin.copied() else {
                continue;
            };
            if self.ctx.spec.skip_bad_records {
                let queue = self
                    .hands
                    .seats
                    .get(index)
                    .map(|seat| seat.queue.to_string())
                    .unwrap_or_default();
                tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, queue, offset,
                    reason = rejection.reason, "a record the sink rejects is skipped");
            } else {
                refused.push((index, offset, rejection.reason));
            }
        }
        refused
    }

    /// Commits what stands before the rejected records, each queue by itself, then fails with the
    /// first of them.
    pub(super) async fn refuse(
        &mut self,
        refused: Vec<(usize, u64, String)>,
    ) -> Result<(), TaskError> {
        for (index, offset, _) in &refused {
            if let Some(seat) = self.hands.seats.get_mut(*index) {
                seat.put = seat.put.min(*offset);
            }
        }
        self.flush().await?;
        let Some((index, offset, reason)) = refused.into_iter().next() else {
            return Ok(());
        };
        let queue = self
            .hands
            .seats
            .get(index)
            .map(|seat| seat.queue.to_string());
        let queue = queue.unwrap_or_default();
        Err(TaskError::Rejected {
            place: format!("{}, queue {queue}, offset {offset}", self.ctx.who()),
            reason,
        })
    }

    pub(super) async fn bad(&mut self, bad: Bad) -> Result<(), TaskError> {
        let queue = self
            .hands
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
                    if let Some(seat) = self.hands.seats.get(*index) {
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
        let open = self
            .hands
            .seats
            .iter()
            .filter(|seat| seat.put > seat.durable);
        open.map(|seat| (seat.queue.clone(), seat.put)).collect()
    }

    fn stretch(&self, origins: &[(usize, u64)]) -> String {
        let name = |(index, offset): &(usize, u64)| {
            self.hands
                .seats
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
