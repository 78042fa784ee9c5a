//! From a source straight to a sink, without a topic: poll, put, flush, and only then the
//! positions. What the sink cannot take now is put again; nothing passes it.

use std::sync::Arc;

use bytes::Bytes;
use connect_record::{Batch, Queue, QueueOffset};
use connect_rows::{Builder, Parts};
use connect_sandbox::{CallError, Polled};

use super::sink::{self, Desk};
use super::source::{self, Progress, Tracker, topic_of};
use super::{SHORTEST_RETRY, TaskContext, TaskError};
use crate::failpoint::{self, Point};
use crate::guest::{Failed, SinkGuest, SourceGuest};
use crate::mapping::MappingError;
use crate::spec::Flow;

/// Runs a direct task until it is stopped or fails.
pub(crate) async fn run(ctx: TaskContext) -> Result<(), TaskError> {
    let Flow::Direct {
        sink: plugin,
        topic,
        ..
    } = &ctx.spec.flow
    else {
        return Ok(());
    };
    let Some(source) = source::open(&ctx).await? else {
        return Ok(());
    };
    // each task is a queue of its own to the sink, so that no two write to one place
    let number = i32::try_from(ctx.task).unwrap_or(i32::MAX);
    let queue = Queue::new(topic.as_deref().unwrap_or("direct"), "", number);
    let begin = [QueueOffset {
        queue: queue.clone(),
        next: 0,
    }];
    let opened = sink::open(
        &ctx,
        plugin,
        ctx.sink_access.clone(),
        &ctx.sink_settings,
        Desk::default(),
        &begin,
    )
    .await?;
    let Some((sink, starts)) = opened else {
        return Ok(());
    };
    // a sink that keeps its own offsets says where its numbering goes on
    let next = starts
        .iter()
        .find(|start| start.queue == queue)
        .map_or(0, |start| start.next);
    ctx.report.running(None);
    let mut job = Job {
        ctx: &ctx,
        source: &source,
        sink: &sink,
        queue,
        next,
        topic: topic.as_deref(),
    };
    let ended = job.work().await;
    if ended.is_ok() {
        source::close(&ctx, &source).await;
        match tokio::time::timeout(ctx.tuning.drain, sink.close()).await {
            Ok(Ok(())) => {}
            _ => {
                tracing::warn!(connector = %ctx.spec.name, task = ctx.task, "the sink's close failed or took too long")
            }
        }
    }
    source.end().await;
    sink.end().await;
    ended
}

struct Job<'a> {
    ctx: &'a TaskContext,
    source: &'a SourceGuest,
    sink: &'a SinkGuest,
    queue: Queue,
    /// Running number of the next record, which stands in for a queue offset.
    next: u64,
    topic: Option<&'a str>,
}

impl Job<'_> {
    async fn work(&mut self) -> Result<(), TaskError> {
        let mut polling = None;
        loop {
            let poll = polling.get_or_insert_with(|| {
                self.source.poll(
                    self.ctx.batch_records(),
                    self.ctx.batch_bytes(),
                    self.ctx.tuning.poll_wait,
                )
            });
            let polled = tokio::select! {
                () = self.ctx.stop.cancelled() => return Ok(()),
                polled = poll => polled,
            };
            polling = None;
            let polled = match polled {
                Ok(polled) => polled,
                Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                    self.ctx
                        .report
                        .running(Some(format!("waiting to poll: {reason}")));
                    if self.ctx.stopped_within(after).await {
                        return Ok(());
                    }
                    continue;
                }
                Err(failed) => return Err(failed.at(self.ctx.who())),
            };
            let empty =
                polled.batch.is_empty() && polled.points.is_empty() && polled.forget.is_empty();
            let wait = if empty {
                polled.wait.max(SHORTEST_RETRY)
            } else {
                polled.wait
            };
            if !self.deliver(polled).await? {
                return Ok(());
            }
            if !wait.is_zero() && self.ctx.stopped_within(wait).await {
                return Ok(());
            }
        }
    }

    /// Puts, flushes and commits one batch; false when stopped before it was durable.
    async fn deliver(&mut self, polled: Polled) -> Result<bool, TaskError> {
        let Polled {
            batch,
            points,
            forget,
            ..
        } = polled;
        if !batch.is_empty() {
            let parts = Arc::new(self.parts(&batch)?);
            let place = self.place(&batch);
            let rejected = loop {
                match self.sink.put(parts.clone()).await {
                    Ok(rejected) => break rejected,
                    Err(failed) => {
                        if !self.again(failed, &place).await? {
                            return Ok(false);
                        }
                    }
                }
            };
            for rejection in rejected {
                let record = usize::try_from(rejection.index)
                    .ok()
                    .and_then(|index| batch.record(index));
                let partition = record
                    .map(|record| record.partition().to_owned())
                    .unwrap_or_default();
                let place = format!(
                    "{}, partition `{partition}`, record {}",
                    self.ctx.who(),
                    rejection.index
                );
                if !self.ctx.spec.skip_bad_records {
                    return Err(TaskError::Rejected {
                        place,
                        reason: rejection.reason,
                    });
                }
                tracing::warn!(%place, reason = rejection.reason, "a record the sink rejects is skipped");
            }
            failpoint::pass(Point::PutFlush);
            if !self.flush(self.next + batch.len() as u64, &place).await? {
                return Ok(false);
            }
            self.next += batch.len() as u64;
        }
        self.commit(&batch, points, forget).await?;
        Ok(true)
    }

    /// Flushes until everything before `end` is durable in the sink; false when stopped.
    async fn flush(&self, end: u64, place: &str) -> Result<bool, TaskError> {
        loop {
            let flushed = match self.sink.flush().await {
                Ok(flushed) => flushed,
                Err(failed) => {
                    if !self.again(failed, place).await? {
                        return Ok(false);
                    }
                    continue;
                }
            };
            for rejection in flushed.rejected {
                let place = format!("{}, record {}", self.ctx.who(), rejection.offset);
                if !self.ctx.spec.skip_bad_records {
                    return Err(TaskError::Rejected {
                        place,
                        reason: rejection.reason,
                    });
                }
                tracing::warn!(%place, reason = rejection.reason, "a record the sink rejects late is skipped");
            }
            let covered = flushed.upto.is_none_or(|upto| {
                let known = upto.iter().find(|known| known.queue == self.queue);
                known.is_some_and(|known| known.next >= end)
            });
            if covered {
                self.ctx.report.running(None);
                return Ok(true);
            }
            if self.ctx.stopped_within(SHORTEST_RETRY).await {
                return Ok(false);
            }
        }
    }

    /// After a failed call: true to repeat it, false when stopped.
    async fn again(&self, failed: Failed, place: &str) -> Result<bool, TaskError> {
        match failed {
            Failed::Call(CallError::Retriable { reason, after, .. }) => {
                self.ctx
                    .report
                    .running(Some(format!("the sink waits: {reason}")));
                Ok(!self.ctx.stopped_within(after).await)
            }
            failed => Err(failed.at(place)),
        }
    }

    async fn commit(
        &self,
        batch: &Batch,
        points: Vec<connect_record::ResumePoint>,
        forget: Vec<String>,
    ) -> Result<(), TaskError> {
        let mut tracker = Tracker::default();
        let number = tracker.begin();
        for record in batch.records() {
            let ticket = tracker.enter(number, record.partition(), record.position());
            tracker.confirm(ticket);
        }
        tracker.end(number, points, forget);
        let Progress { points, forget } = tracker.take();
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
        match self.source.committed(points).await {
            Ok(()) | Err(Failed::Call(CallError::Retriable { .. })) => Ok(()),
            Err(failed) => Err(failed.at(self.ctx.who())),
        }
    }

    /// The batch as a sink sees it: its own offsets, the topic where a record names none.
    fn parts(&self, batch: &Batch) -> Result<Parts, TaskError> {
        let mut builder = Builder::new();
        let partition = self.queue.partition_name();
        for (record, offset) in batch.records().zip(self.next..) {
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

    fn place(&self, batch: &Batch) -> String {
        let partition = batch
            .record(0)
            .map(|record| record.partition().to_owned())
            .unwrap_or_default();
        format!(
            "{}, {} records from partition `{partition}`",
            self.ctx.who(),
            batch.len()
        )
    }
}
