//! The life of one sink task: its queues, open, then put what is waiting and flush when it is
//! due; at the end a last flush, commit and close.

use std::sync::Arc;
use std::time::Duration;

use connect_record::Queue;
use connect_sandbox::CallError;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::assign::{self, Asked};
use super::commit::Stored;
use super::desk::{Desk, Making, make, open};
use super::flush::Then;
use super::gather::{Chunk, Gathered, gather};
use super::hands::Hands;
use super::reader::{Fetched, Note};
use super::seat::{Seat, Trouble};
use crate::delivery::{
    Careful, Exchange, Exchanged, Orders, Stopwatch, TaskContext, TaskError, find_or_create, ready,
};
use crate::failpoint::{self, Point};
use crate::guest::{Failed, SinkGuest};
use crate::spec::{Flow, OffsetLost, StartAt};

/// Runs a sink task until it is stopped or fails.
pub(crate) async fn run(mut ctx: TaskContext, mut orders: Orders) -> Result<(), TaskError> {
    let Flow::Sink { topics, start, .. } = &ctx.spec.flow else {
        return Ok(());
    };
    let Asked::Answer(queues) = queues_of(&ctx, topics).await? else {
        return Ok(());
    };
    let Asked::Answer(offsets) = assign::begin(&ctx, queues, *start).await? else {
        return Ok(());
    };
    let making = begin(&ctx);
    let mut desk = making.desk.clone();
    let Some((mut guest, mut starts)) =
        open(&ctx, making, &ctx.settings, &offsets, Some(&mut orders)).await?
    else {
        return Ok(());
    };
    ctx.report.opened();
    ctx.report.running(None);
    let mut hands = Hands::new(&ctx);
    hands.seat(offsets, &starts);
    let mut stopwatch = None;
    loop {
        let mut job = Job::new(&ctx, &guest, &mut orders, desk, hands, stopwatch.take());
        let ended = match job.wish().await {
            Ok(()) => job.work().await,
            Err(error) => Err(error),
        };
        let exchange = match ended {
            Ok(End::Exchange(exchange)) => exchange,
            ended => {
                let finished = job.finish(ended.is_ok()).await;
                guest.end().await;
                return ended.map(drop).and(finished);
            }
        };
        let watch = Stopwatch::begin(&exchange, job.confirmed, job.committed);
        if !job.closed {
            job.ctx.closes(job.guest.close()).await;
        }
        let fresh = job.fresh.take();
        hands = job.hands;
        // its memory is given back while the new one opens
        drop(guest);
        let next = exchange.context(&ctx);
        let offsets = hands.durable();
        let fresh = fresh.unwrap_or_else(|| begin(&next));
        desk = fresh.desk.clone();
        let opened = next
            .in_time(open(&next, fresh, &next.settings, &offsets, None))
            .await;
        (guest, starts) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(()),
            Err(error) => return exchange.refuse(error),
        };
        ctx = next;
        stopwatch = exchange.changes().then(|| watch.opened());
        hands.resume(&starts);
        ctx.report.opened();
        ctx.report.running(None);
        exchange.answer(Exchanged::Open);
    }
}

/// Begins to make this task's instance.
fn begin(ctx: &TaskContext) -> Making {
    make(ctx, &ctx.spec.plugin, ctx.access.clone())
}

/// All queues of `topics` that are this task's.
async fn queues_of(ctx: &TaskContext, topics: &[String]) -> Result<Asked<Vec<Queue>>, TaskError> {
    let mut queues = Vec::new();
    for topic in topics {
        let asked = assign::patiently(ctx, &format!("topic `{topic}`"), || {
            let (broker, topic, queues) =
                (ctx.broker.clone(), topic.clone(), ctx.tuning.topic_queues);
            Box::pin(async move { find_or_create(&*broker, &topic, queues).await })
        })
        .await?;
        match asked {
            Asked::Answer(found) => queues.extend(found),
            Asked::Stopped => return Ok(Asked::Stopped),
        }
    }
    Ok(Asked::Answer(assign::share(queues, ctx.task, ctx.tasks)))
}

/// Everything a running sink task holds.
pub(super) struct Job<'a> {
    pub(super) ctx: &'a TaskContext,
    pub(super) guest: &'a SinkGuest,
    orders: &'a mut Orders,
    pub(super) hands: Hands,
    /// Records put since the last flush.
    pub(super) unflushed: u64,
    pub(super) flush_due: Option<Instant>,
    pub(super) careful: Careful,
    pub(super) desk: Desk,
    pub(super) start: StartAt,
    pub(super) lost: OffsetLost,
    /// Offsets that are on their way into the store.
    pub(super) committing: Option<BoxFuture<'static, Stored>>,
    /// When a flush was last answered, and when its offsets were last durable.
    pub(super) confirmed: Instant,
    pub(super) committed: Instant,
    /// The instance was closed already, on its way out.
    pub(super) closed: bool,
    /// When the instance was opened.
    opened: Instant,
    /// Runs from an exchange to the first record after it.
    stopwatch: Option<Stopwatch>,
    /// An exchange that was ordered, and how long it waits for a plugin that puts off its work.
    pub(super) exchange: Option<(Exchange, Instant)>,
    /// The instance that is made while what was put is flushed.
    fresh: Option<Making>,
}

/// Why a task stopped working, when nothing went wrong.
enum End {
    Stop,
    /// Everything that the plugin made durable is committed; another plugin takes over.
    Exchange(Exchange),
}

impl<'a> Job<'a> {
    fn new(
        ctx: &'a TaskContext,
        guest: &'a SinkGuest,
        orders: &'a mut Orders,
        desk: Desk,
        hands: Hands,
        stopwatch: Option<Stopwatch>,
    ) -> Self {
        let now = Instant::now();
        let (start, lost) = match &ctx.spec.flow {
            Flow::Sink {
                start, offset_lost, ..
            } => (*start, *offset_lost),
            Flow::Source { .. } | Flow::Direct { .. } => (StartAt::Earliest, OffsetLost::Fail),
        };
        Self {
            ctx,
            guest,
            orders,
            hands,
            unflushed: 0,
            flush_due: None,
            careful: ctx.careful.clone(),
            desk,
            start,
            lost,
            committing: None,
            confirmed: now,
            committed: now,
            closed: false,
            opened: now,
            stopwatch,
            exchange: None,
            fresh: None,
        }
    }
}

impl Job<'_> {
    async fn work(&mut self) -> Result<End, TaskError> {
        loop {
            while let Ok(note) = self.hands.inbox.try_recv() {
                self.take(note);
            }
            if self.ctx.stop.is_cancelled() {
                return Ok(End::Stop);
            }
            if self.exchange.is_none()
                && let Some(exchange) = self.orders.waiting()
            {
                self.ordered(exchange);
            }
            if let Some((exchange, until)) = self.exchange.take() {
                return self.leave(exchange, until).await;
            }
            self.look_at_commit()?;
            self.troubled().await?;
            if self.hands.seats.iter().any(|seat| seat.paused) {
                let interval = self.flush_interval();
                self.flush_due
                    .get_or_insert_with(|| Instant::now() + interval);
            }
            let now = Instant::now();
            if self.unflushed >= self.flush_records()
                || self.flush_due.is_some_and(|due| due <= now)
            {
                self.flush_and(Then::GoOn).await?;
            }
            if self.hands.refresh_due <= now {
                self.refresh().await?;
            }
            if self.is_crowded().await? {
                continue;
            }
            self.hands.fill(self.ctx);
            match gather(self.ctx, &self.hands.seats, self.hands.turn, &self.careful) {
                Gathered::Chunk(chunk) => {
                    self.hands.turn = (self.hands.turn + 1) % self.hands.seats.len().max(1);
                    self.put(chunk).await?;
                }
                Gathered::Bad(bad) => return self.bad(bad).await.map(|()| End::Stop),
                Gathered::Nothing => {
                    let due = self
                        .flush_due
                        .unwrap_or(self.hands.refresh_due)
                        .min(self.hands.refresh_due);
                    let since = Instant::now();
                    tokio::select! {
                        () = self.ctx.stop.cancelled() => return Ok(End::Stop),
                        exchange = self.orders.next() => self.ordered(exchange),
                        stored = ready(&mut self.committing) => self.stored(stored)?,
                        note = self.hands.inbox.recv() => if let Some(note) = note { self.take(note) },
                        () = tokio::time::sleep_until(due) => {}
                    }
                    if let Some(stopwatch) = &mut self.stopwatch {
                        stopwatch.waits(since.elapsed());
                    }
                }
            }
        }
    }

    fn ordered(&mut self, exchange: Exchange) {
        self.ctx.report.draining();
        self.fresh = Some(begin(&exchange.context(self.ctx)));
        self.exchange = Some((exchange, self.patience()));
    }

    /// How long a plugin that puts off its flush is waited for before another instance takes over.
    fn patience(&self) -> Instant {
        Instant::now() + self.ctx.tuning.drain
    }

    /// What was put is flushed and committed before another plugin takes over. What this one does
    /// not make durable is put again.
    async fn leave(&mut self, exchange: Exchange, until: Instant) -> Result<End, TaskError> {
        self.exchange = Some((exchange, until));
        self.flush_and(Then::Leave).await?;
        match self.exchange.take() {
            Some((exchange, _)) if !self.ctx.stop.is_cancelled() => Ok(End::Exchange(exchange)),
            _ => Ok(End::Stop),
        }
    }

    /// Waits before a call is repeated; false when it is not to be: the task was stopped, or another
    /// plugin is to take over.
    pub(super) async fn again_after(&mut self, pause: Duration) -> bool {
        let stopped = self.ctx.stopped_within(pause);
        if let Some((_, until)) = self.exchange {
            return !stopped.await && Instant::now() < until;
        }
        tokio::select! {
            stopped = stopped => !stopped,
            exchange = self.orders.next() => {
                self.ordered(exchange);
                false
            }
        }
    }

    /// The end: what was put is flushed and committed, unless the instance is beyond use.
    async fn finish(mut self, well: bool) -> Result<(), TaskError> {
        for seat in &mut self.hands.seats {
            seat.reader = None;
        }
        let mut flushed = Ok(());
        if well && !self.closed {
            flushed = self.flush().await;
            self.ctx.closes(self.guest.close()).await;
        }
        // whoever begins anew finds what was flushed
        let committed = self.finish_commit().await;
        self.hands.mirror.finish().await;
        flushed.and(committed)
    }

    fn flush_records(&self) -> u64 {
        self.ctx
            .spec
            .sizes
            .flush_records
            .unwrap_or(self.ctx.tuning.flush_records)
    }

    pub(super) fn flush_interval(&self) -> Duration {
        self.ctx
            .spec
            .sizes
            .flush_interval
            .unwrap_or(self.ctx.tuning.flush_interval)
    }

    fn take(&mut self, note: Note) {
        let reads = |seat: &Seat| {
            seat.reader
                .as_ref()
                .is_some_and(|reader| reader.number == note.reader)
        };
        let Some(index) = self.hands.seats.iter().position(reads) else {
            return;
        };
        let Some(seat) = self.hands.seats.get_mut(index) else {
            return;
        };
        match note.fetched {
            Fetched::Messages { messages, next } => seat.bring(messages, next),
            Fetched::Skipped { next } => seat.skip_to(next),
            Fetched::Waiting(reason) => self.ctx.report.running(Some(reason)),
            Fetched::Back => self.ctx.report.running(None),
            Fetched::Gap { min } => seat.trouble = Some(Trouble::Gap(min)),
            Fetched::Ahead { max } => seat.trouble = Some(Trouble::Ahead(max)),
            Fetched::Failed(error) => seat.trouble = Some(Trouble::Failed(error)),
        }
    }

    async fn put(&mut self, chunk: Chunk) -> Result<(), TaskError> {
        let Chunk {
            parts,
            origins,
            counts,
            careful,
        } = chunk;
        let parts = Arc::new(parts);
        if let Some(stopwatch) = self.stopwatch.take_if(|_| !origins.is_empty()) {
            self.ctx.report.exchanged(stopwatch.stop());
        }
        let mut waiting = false;
        let rejected = if origins.is_empty() {
            // reading what is skipped may take long, and nothing else here lets others work
            tokio::task::yield_now().await;
            Vec::new()
        } else {
            loop {
                match self.guest.put(parts.clone()).await {
                    Ok(rejected) => break rejected,
                    Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                        waiting = true;
                        self.ctx
                            .report
                            .running(Some(format!("the sink waits: {reason}")));
                        self.wish().await?;
                        if !self.again_after(after).await {
                            return Ok(());
                        }
                    }
                    Err(failed) => return Err(self.put_failed(failed, &origins, careful)),
                }
            }
        };
        if waiting {
            self.ctx.report.running(None);
        }
        let refused = self.taken(rejected, &origins);
        for (index, count) in &counts {
            if let Some(seat) = self.hands.seats.get_mut(*index) {
                seat.taken(*count);
            }
        }
        self.ctx.metrics.took(origins.len(), parts.arena.len());
        self.unflushed += origins.len() as u64;
        let interval = self.flush_interval();
        self.flush_due
            .get_or_insert_with(|| Instant::now() + interval);
        failpoint::pass(Point::PutFlush);
        self.wish().await?;
        if self.exchange.is_none() {
            let above = self.guest.above_high_water();
            let exchange = Exchange::of_memory(self.ctx, above, self.opened);
            self.exchange = exchange.map(|exchange| (exchange, self.patience()));
        }
        if !refused.is_empty() {
            return self.refuse(refused).await;
        }
        if careful {
            self.flush().await?;
        }
        Ok(())
    }

    /// Carries out what the plugin asked for during its last call. A seek behind what is durable
    /// is durable at once: after a crash the sink gets what it asked for.
    pub(super) async fn wish(&mut self) -> Result<(), TaskError> {
        let (seeks, pauses) = self.desk.with(|wishes| {
            (
                std::mem::take(&mut wishes.seeks),
                std::mem::take(&mut wishes.pauses),
            )
        });
        if !seeks.is_empty() {
            // which of them go back behind what is durable is known then
            self.finish_commit().await?;
        }
        let mut back = Vec::new();
        for (queue, offset) in seeks {
            let Some(index) = self.hands.seats.iter().position(|seat| seat.queue == queue) else {
                continue;
            };
            back.extend(self.hands.go_to(index, offset));
        }
        for (queue, paused) in pauses {
            if let Some(seat) = self.hands.seats.iter_mut().find(|seat| seat.queue == queue) {
                seat.paused = paused;
            }
        }
        if back.is_empty() {
            Ok(())
        } else {
            self.commit(back).await
        }
    }
}
