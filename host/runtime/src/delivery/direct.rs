//! From a source straight to a sink, without a topic: poll, put, flush, and only then the
//! positions. What the sink cannot take now is put again; nothing passes it.

mod deliver;

use connect_record::{Queue, QueueOffset};
use connect_sandbox::CallError;

use super::sink::{self, Desk};
use super::{SHORTEST_RETRY, TaskContext, TaskError, source};
use crate::guest::{Failed, SinkGuest, SourceGuest};
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
        careful: ctx.careful.get(&queue).copied().unwrap_or(0),
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
    /// So many records more are put one at a time, since one of them brought an instance down.
    careful: u64,
    topic: Option<&'a str>,
}

impl Job<'_> {
    async fn work(&mut self) -> Result<(), TaskError> {
        let mut polling = None;
        let mut waiting = false;
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
                    waiting = true;
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
            if std::mem::take(&mut waiting) {
                self.ctx.report.running(None);
            }
            let empty =
                polled.batch.is_empty() && polled.points.is_empty() && polled.forget.is_empty();
            let wait = if empty {
                polled.wait.max(SHORTEST_RETRY)
            } else {
                polled.wait
            };
            let (records, bytes) = (polled.batch.len(), polled.batch.bytes());
            self.ctx.metrics.took(records, bytes);
            if !self.deliver(polled).await? {
                return Ok(());
            }
            self.ctx.metrics.durable_but(0);
            if !wait.is_zero() && self.ctx.stopped_within(wait).await {
                return Ok(());
            }
        }
    }
}
