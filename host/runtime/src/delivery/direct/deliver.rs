//! One batch of a direct task: put, flush, commit. A record the sink will not take fails the task
//! with everything before it committed; a batch that brings an instance down is walked record by
//! record next time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use connect_mapping::MappingError;
use connect_record::Batch;
use connect_rows::{Builder, Parts};
use connect_sandbox::{CallError, Polled};
use connect_tracker::{Progress, Ticket, Tracker};
use tokio::time::Instant;

use super::Job;
use crate::delivery::source::topic_of;
use crate::delivery::{Careful, SHORTEST_RETRY, TaskError};
use crate::failpoint::{self, Point};
use crate::guest::Failed;

/// What the sink will not take of a stretch, by running number.
#[derive(Default)]
struct Rejections {
    /// With the reason; the first of them fails the task.
    refused: BTreeMap<u64, String>,
    /// Passed over, as the connector says.
    skipped: BTreeSet<u64>,
}

impl Job<'_> {
    /// Puts, flushes and commits one batch; false when stopped before all of it was durable.
    pub(super) async fn deliver(&mut self, polled: Polled) -> Result<bool, TaskError> {
        let batch = polled.batch;
        let mut book = Tracker::default();
        let number = book.begin();
        let tickets: Vec<Ticket> = batch
            .records()
            .map(|record| book.enter(number, record.partition(), record.position()))
            .collect();
        book.end(number, polled.points, polled.forget);
        let mut begin = 0;
        while begin < batch.len() {
            if self.ctx.stop.is_cancelled() {
                return Ok(false);
            }
            let most = if self.careful > 0 { 1 } else { batch.len() };
            let range = begin..batch.len().min(begin + most);
            begin = range.end;
            let place = place(self.ctx.who(), &book, tickets.get(range.clone()));
            let Some(rejections) = self.pass(&batch, &range, &place).await? else {
                return Ok(false);
            };
            let first = rejections.refused.into_iter().next();
            let durable = first.as_ref().map_or(range.len(), |(number, _)| {
                let before = number.saturating_sub(self.next);
                usize::try_from(before).map_or(range.len(), |before| before.min(range.len()))
            });
            for ticket in tickets.iter().skip(range.start).take(durable) {
                book.confirm(*ticket);
            }
            self.commit(book.take()).await?;
            if let Some((number, reason)) = first {
                let given = self.next..self.next + range.len() as u64;
                let at = tickets.get(range.start.saturating_add(durable));
                let at = at.filter(|_| given.contains(&number));
                let place = place_of_one(self.ctx.who(), &book, at);
                return Err(TaskError::Rejected { place, reason });
            }
            self.next += range.len() as u64;
            self.careful = self.careful.saturating_sub(range.len() as u64);
        }
        self.commit(book.take()).await?;
        Ok(true)
    }

    /// Puts and flushes a stretch of a batch; none when stopped before it was durable. Everything
    /// before the first refused record is durable then.
    async fn pass(
        &mut self,
        batch: &Batch,
        range: &Range<usize>,
        place: &str,
    ) -> Result<Option<Rejections>, TaskError> {
        let parts = Arc::new(self.parts(batch, range)?);
        let rejected = loop {
            match self.sink.put(parts.clone()).await {
                Ok(rejected) => break rejected,
                Err(failed) => {
                    if !self
                        .again(failed)
                        .await
                        .map_err(|failed| self.suspect(failed, batch, range, place))?
                    {
                        return Ok(None);
                    }
                }
            }
        };
        failpoint::pass(Point::PutFlush);
        let mut rejections = Rejections::default();
        for rejection in rejected {
            let number = self.next + u64::from(rejection.index);
            self.reject(&mut rejections, number, rejection.reason);
        }
        loop {
            let flushed = match self.sink.flush().await {
                Ok(flushed) => flushed,
                Err(failed) => {
                    if !self
                        .again(failed)
                        .await
                        .map_err(|failed| self.suspect(failed, batch, range, place))?
                    {
                        return Ok(None);
                    }
                    continue;
                }
            };
            self.confirmed = Instant::now();
            for rejection in flushed.rejected {
                self.reject(&mut rejections, rejection.offset, rejection.reason);
            }
            let end = rejections.end(self.next, range.len() as u64);
            // a sink may leave a queue out of which it has made nothing durable
            let covered = end <= self.next
                || flushed.upto.is_none_or(|upto| {
                    let known = upto.iter().find(|known| known.queue == self.queue);
                    known.is_some_and(|known| known.next >= end)
                });
            if covered {
                self.ctx.report.running(None);
                return Ok(Some(rejections));
            }
            if self.ctx.stopped_within(SHORTEST_RETRY).await {
                return Ok(None);
            }
        }
    }

    /// A sink may say the same at every flush; it counts, and is logged, once.
    fn reject(&self, rejections: &mut Rejections, number: u64, reason: String) {
        if !self.ctx.spec.skip_bad_records {
            rejections.refused.entry(number).or_insert(reason);
        } else if rejections.skipped.insert(number) {
            tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, record = number, reason,
                "a record the sink rejects is skipped");
        }
    }

    /// After a failed call: true to repeat it, false when stopped or when another edition is to try.
    async fn again(&mut self, failed: Failed) -> Result<bool, Failed> {
        match failed {
            Failed::Call(CallError::Retriable { reason, after, .. }) => {
                self.ctx
                    .report
                    .running(Some(format!("the sink waits: {reason}")));
                tokio::select! {
                    stopped = self.ctx.stopped_within(after) => Ok(!stopped),
                    exchange = self.orders.next() => {
                        self.exchange = self.ordered(exchange);
                        Ok(false)
                    }
                }
            }
            failed => Err(failed),
        }
    }

    /// A call brought the instance down. One record: it is the one. Several: walk them next time.
    fn suspect(
        &self,
        failed: Failed,
        batch: &Batch,
        range: &Range<usize>,
        place: &str,
    ) -> TaskError {
        match failed {
            Failed::Call(source) if source.poisoned() && range.len() > 1 => TaskError::Suspect {
                place: place.to_owned(),
                careful: Careful::from([(
                    self.queue.clone(),
                    batch.len().saturating_sub(range.start) as u64,
                )]),
                source: Box::new(source),
            },
            failed => failed.at(place),
        }
    }

    async fn commit(&mut self, progress: Progress) -> Result<(), TaskError> {
        let Progress { points, forget } = progress;
        if points.is_empty() && forget.is_empty() {
            return Ok(());
        }
        failpoint::pass(Point::FlushOffset);
        let stored: Vec<(String, Bytes)> = points
            .iter()
            .map(|point| (point.partition.clone(), point.position.clone()))
            .collect();
        self.ctx
            .store
            .commit_positions(&self.ctx.spec.name, &stored, &forget)
            .await
            .map_err(|source| TaskError::Store {
                step: "storing source positions",
                source: Box::new(source),
            })?;
        self.committed = Instant::now();
        self.ctx.report.committed();
        match self.source.committed(points).await {
            Ok(()) | Err(Failed::Call(CallError::Retriable { .. })) => Ok(()),
            Err(failed) => Err(failed.at(self.ctx.who())),
        }
    }

    /// A stretch of the batch as a sink sees it: its own offsets, the topic where a record names none.
    fn parts(&self, batch: &Batch, range: &Range<usize>) -> Result<Parts, TaskError> {
        let mut builder = Builder::new();
        let partition = self.queue.partition_name();
        let records = batch.records().skip(range.start).take(range.len());
        for (record, offset) in records.zip(self.next..) {
            let place = || format!("{}, partition `{}`", self.ctx.who(), record.partition());
            let Some(topic) = topic_of(&record, self.topic.or(Some("direct"))) else {
                continue;
            };
            let mut row = builder
                .add()
                .topic(topic)
                .partition(&partition)
                .offset(offset)
                .timestamp(record.timestamp());
            if let Some(key) = record.key() {
                row = row.key(&key);
            }
            if let Some(schema) = record.key_schema() {
                row = row.key_schema(schema.document());
            }
            if let Some(value) = record.value() {
                row = row.value(&value);
            }
            if let Some(schema) = record.value_schema() {
                row = row.value_schema(schema.document());
            }
            for (name, value) in record.headers() {
                row = row.header(name, &value);
            }
            row.finish().map_err(|error| TaskError::Record {
                place: place(),
                source: Box::new(MappingError::TooLarge(error.to_string())),
            })?;
        }
        Ok(builder.finish())
    }
}

impl Rejections {
    /// Up to where the sink has to be durable before this stretch is through: to the first refused
    /// record, less what is skipped right before that.
    fn end(&self, begin: u64, records: u64) -> u64 {
        let first = self.refused.keys().next().copied();
        let mut end = (begin + records).min(first.unwrap_or(u64::MAX));
        while end > begin && self.skipped.contains(&(end - 1)) {
            end -= 1;
        }
        end
    }
}

/// Names a stretch for people: its one record, or how many from where.
fn place(who: String, book: &Tracker, tickets: Option<&[Ticket]>) -> String {
    match tickets {
        None | Some([]) => who,
        Some([one]) => place_of_one(who, book, Some(one)),
        Some([first, .., _]) => {
            let count = tickets.map_or(0, <[Ticket]>::len);
            format!("{who}, {count} records from {}", book.place(*first))
        }
    }
}

fn place_of_one(who: String, book: &Tracker, ticket: Option<&Ticket>) -> String {
    match ticket {
        Some(ticket) => format!("{who}, {}", book.place(*ticket)),
        None => format!("{who}, a record that was not in this batch"),
    }
}

#[cfg(test)]
mod tests {
    use super::Rejections;

    #[test]
    fn a_sink_need_not_flush_what_it_will_not_take() {
        let of = |refused: &[u64], skipped: &[u64]| Rejections {
            refused: refused.iter().map(|n| (*n, String::new())).collect(),
            skipped: skipped.iter().copied().collect(),
        };
        for (refused, skipped, end) in [
            (&[][..], &[][..], 15),
            (&[12, 13], &[], 12),
            (&[10], &[], 10),
            (&[7], &[], 7),
            (&[99], &[], 15),
            (&[], &[13, 14], 13),
            (&[], &[10, 11, 12, 13, 14], 10),
            (&[], &[11], 15),
        ] {
            let rejections = of(refused, skipped);
            assert_eq!(rejections.end(10, 5), end, "{refused:?} {skipped:?}");
        }
    }
}
