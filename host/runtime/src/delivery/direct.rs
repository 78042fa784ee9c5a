//! From a source straight to a sink, without a topic: poll, put, flush, and only then the
//! positions. What the sink cannot take now is put again; nothing passes it.

mod deliver;

use connect_record::{Queue, QueueOffset};
use connect_sandbox::CallError;
use tokio::time::Instant;

use super::sink;
use super::{
    Exchange, Exchanged, Orders, SHORTEST_RETRY, Stopwatch, TaskContext, TaskError, source,
};
use crate::guest::{Failed, SinkGuest, SourceGuest};
use crate::spec::Flow;

/// Runs a direct task until it is stopped or fails.
pub(crate) async fn run(mut ctx: TaskContext, mut orders: Orders) -> Result<(), TaskError> {
    let Some(mut pair) = Pair::open(&ctx, Some(&mut orders)).await? else {
        return Ok(());
    };
    ctx.report.opened();
    ctx.report.running(None);
    let mut careful = ctx.careful.get(&pair.queue).copied().unwrap_or(0);
    let mut stopwatch = None;
    loop {
        let mut job = Job {
            ctx: &ctx,
            source: &pair.source,
            sink: &pair.sink,
            orders: &mut orders,
            careful,
            queue: pair.queue.clone(),
            next: pair.next,
            topic: topic(&ctx),
            stopwatch: stopwatch.take(),
            exchange: None,
            opened: Instant::now(),
            confirmed: Instant::now(),
            committed: Instant::now(),
        };
        let ended = job.work().await;
        careful = job.careful;
        let (confirmed, committed) = (job.confirmed, job.committed);
        if ended.is_ok() {
            pair.close(&ctx).await;
        }
        pair.end().await;
        let Some(exchange) = ended? else {
            return Ok(());
        };
        let watch = Stopwatch::begin(&exchange, confirmed, committed);
        let next = exchange.context(&ctx);
        pair = match next.in_time(Pair::open(&next, None)).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(()),
            Err(error) => return exchange.refuse(error),
        };
        ctx = next;
        stopwatch = exchange.changes().then(|| watch.opened());
        ctx.report.opened();
        ctx.report.running(None);
        exchange.answer(Exchanged::Open);
    }
}

fn topic(ctx: &TaskContext) -> Option<&str> {
    match &ctx.spec.flow {
        Flow::Direct { topic, .. } => topic.as_deref(),
        Flow::Source { .. } | Flow::Sink { .. } => None,
    }
}

/// The two instances of a direct task.
struct Pair {
    source: SourceGuest,
    sink: SinkGuest,
    queue: Queue,
    /// Number of the first record.
    next: u64,
}

impl Pair {
    /// None when the task is to end instead, see [`TaskContext::ends_within`].
    async fn open(
        ctx: &TaskContext,
        mut orders: Option<&mut Orders>,
    ) -> Result<Option<Self>, TaskError> {
        let Flow::Direct { sink: plugin, .. } = &ctx.spec.flow else {
            return Ok(None);
        };
        let made = source::make(ctx);
        let Some(source) = source::open(ctx, made, orders.as_deref_mut()).await? else {
            return Ok(None);
        };
        // each task is a queue of its own to the sink, so that no two write to one place
        let number = i32::try_from(ctx.task).unwrap_or(i32::MAX);
        let queue = Queue::new(topic(ctx).unwrap_or("direct"), "", number);
        let begin = [QueueOffset {
            queue: queue.clone(),
            next: 0,
        }];
        let making = sink::make(ctx, plugin, ctx.sink_access.clone());
        let opened = sink::open(ctx, making, &ctx.sink_settings, &begin, orders).await?;
        let Some((sink, starts)) = opened else {
            return Ok(None);
        };
        // a sink that keeps its own offsets says where its numbering goes on
        let start = starts.iter().find(|start| start.queue == queue);
        Ok(Some(Self {
            source,
            sink,
            next: start.map_or(0, |start| start.next),
            queue,
        }))
    }

    async fn close(&self, ctx: &TaskContext) {
        ctx.closes(self.source.close()).await;
        ctx.closes(self.sink.close()).await;
    }

    async fn end(self) {
        self.source.end().await;
        self.sink.end().await;
    }
}

struct Job<'a> {
    ctx: &'a TaskContext,
    source: &'a SourceGuest,
    sink: &'a SinkGuest,
    orders: &'a mut Orders,
    queue: Queue,
    /// Running number of the next record, which stands in for a queue offset.
    next: u64,
    /// So many records more are put one at a time, since one of them brought an instance down.
    careful: u64,
    topic: Option<&'a str>,
    /// Runs from an exchange to the first record after it.
    stopwatch: Option<Stopwatch>,
    /// An exchange that came while the sink put off its work.
    exchange: Option<Exchange>,
    /// When the instances were opened.
    opened: Instant,
    /// When the sink last answered a flush, and when that was last durable.
    confirmed: Instant,
    committed: Instant,
}

impl Job<'_> {
    /// Works until it is stopped, or until all that was polled is durable and another edition is
    /// to take over.
    async fn work(&mut self) -> Result<Option<Exchange>, TaskError> {
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
                () = self.ctx.stop.cancelled() => return Ok(None),
                exchange = self.orders.next() => return Ok(self.ordered(exchange)),
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
                    tokio::select! {
                        stopped = self.ctx.stopped_within(after) => if stopped {
                            return Ok(None);
                        },
                        exchange = self.orders.next() => return Ok(self.ordered(exchange)),
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
            if !polled.batch.is_empty()
                && let Some(stopwatch) = self.stopwatch.take()
            {
                self.ctx.report.exchanged(stopwatch.stop());
            }
            if !self.deliver(polled).await? {
                return Ok(self.exchange.take());
            }
            self.ctx.metrics.durable_but(0);
            let above = self.source.above_high_water() || self.sink.above_high_water();
            if let Some(exchange) = Exchange::of_memory(self.ctx, above, self.opened) {
                return Ok(Some(exchange));
            }
            if !wait.is_zero() {
                tokio::select! {
                    stopped = self.ctx.stopped_within(wait) => if stopped {
                        return Ok(None);
                    },
                    exchange = self.orders.next() => return Ok(self.ordered(exchange)),
                }
            }
        }
    }

    fn ordered(&self, exchange: Exchange) -> Option<Exchange> {
        self.ctx.report.draining();
        Some(exchange)
    }
}
