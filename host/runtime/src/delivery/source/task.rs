//! The life of one source task: open, then a loop that polls the next batch while the last is in
//! flight, confirms, commits, acknowledges; then a drain and a close.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use connect_record::ResumePoint;
use connect_sandbox::{CallError, Polled};
use connect_store::StoreError;
use connect_tracker::Tracker;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::dispatch::Dispatch;
use super::lanes::{Landed, Lanes};
use super::open::{Making, make, open};
use crate::delivery::{
    Exchange, Exchanged, Orders, SHORTEST_RETRY, Stopwatch, TaskContext, TaskError, find_or_create,
    ready,
};
use crate::failpoint::{self, Point};
use crate::guest::{Answer, Failed, SourceGuest};

/// A drain waits no longer than this for a sign of life: a broker that is away would be waited for
/// in vain.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Shortest pause after an answer that brought nothing: a plugin that never waits must not keep a
/// core busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Between the beginnings of two commits of a task that has always more to commit: each costs a write
/// to the disk and a call of the plugin, whatever it covers. A kill repeats what was confirmed meanwhile.
const COMMIT_EVERY: Duration = Duration::from_millis(25);

/// Runs a source task until it is stopped or fails.
pub(crate) async fn run(mut ctx: TaskContext, mut orders: Orders) -> Result<(), TaskError> {
    let Some(mut guest) = open(&ctx, make(&ctx), Some(&mut orders)).await? else {
        return Ok(());
    };
    ctx.report.opened();
    ctx.report.running(None);
    let mut hands = Hands::new(&ctx);
    let mut stopwatch = None;
    loop {
        let mut job = Job::new(&ctx, &guest, &mut orders, hands, stopwatch.take());
        let ended = job.work().await;
        let exchange = match ended {
            Ok(End::Exchange(exchange)) => exchange,
            ended => {
                let drained = job.drain().await;
                drop(job);
                if ended.is_ok() {
                    ctx.closes(guest.close()).await;
                }
                guest.end().await;
                return ended.map(drop).and(drained);
            }
        };
        let watch = Stopwatch::begin(&exchange, job.confirmed, job.committed);
        let fresh = job.fresh.take();
        hands = job.hands;
        ctx.closes(guest.close()).await;
        // its memory is given back while the new one opens
        drop(guest);
        let next = exchange.context(&ctx);
        let fresh = fresh.unwrap_or_else(|| make(&next));
        guest = match next.in_time(open(&next, fresh, None)).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(()),
            Err(error) => return exchange.refuse(error),
        };
        ctx = next;
        stopwatch = exchange.changes().then(|| watch.opened());
        hands.dispatch.follow(&ctx.spec.flow);
        ctx.report.opened();
        ctx.report.running(None);
        exchange.answer(Exchanged::Open);
    }
}

/// What outlives an exchange of the plugin: the ways to the queues.
struct Hands {
    dispatch: Dispatch,
    lanes: Lanes,
}

impl Hands {
    fn new(ctx: &TaskContext) -> Self {
        let retry = ctx.tuning.broker_retry;
        Self {
            dispatch: Dispatch::new(&ctx.spec.flow),
            lanes: Lanes::new(ctx.broker.clone(), ctx.report.clone(), retry),
        }
    }
}

/// Everything a running source task holds.
struct Job<'a> {
    ctx: &'a TaskContext,
    guest: &'a SourceGuest,
    orders: &'a mut Orders,
    hands: Hands,
    tracker: Tracker,
    /// Durable points the plugin has not been told of.
    acknowledge: BTreeMap<String, Bytes>,
    poll: Option<BoxFuture<'static, Answer<Polled>>>,
    commit: Option<BoxFuture<'static, Result<Vec<ResumePoint>, StoreError>>>,
    /// Not before this moment, unless the task is about to end or to be exchanged.
    commit_due: Instant,
    acknowledging: Option<BoxFuture<'static, Told>>,
    /// Not before this moment, since the plugin asked for a pause.
    acknowledge_due: Instant,
    next_poll: Instant,
    waiting: bool,
    /// The exchange that waits for what is in flight, and the instance that is made meanwhile.
    exchange: Option<Exchange>,
    fresh: Option<Making>,
    /// When a record was last confirmed, and when that was last durable.
    confirmed: Instant,
    committed: Instant,
    /// When the instance was opened.
    opened: Instant,
    /// Runs from an exchange to the first record after it.
    stopwatch: Option<Stopwatch>,
}

/// Why a task stopped working, when nothing went wrong.
enum End {
    Stop,
    /// Everything is confirmed and durable; another plugin takes over.
    Exchange(Exchange),
}

/// The points a plugin was told of, and its answer.
type Told = (Vec<ResumePoint>, Answer<()>);

enum Event {
    Stop,
    Landed(Landed),
    Committed(Result<Vec<ResumePoint>, StoreError>),
    Acknowledged(Told),
    Polled(Answer<Polled>),
    Exchange(Exchange),
    Time,
}

impl<'a> Job<'a> {
    fn new(
        ctx: &'a TaskContext,
        guest: &'a SourceGuest,
        orders: &'a mut Orders,
        hands: Hands,
        stopwatch: Option<Stopwatch>,
    ) -> Self {
        let now = Instant::now();
        Self {
            ctx,
            guest,
            orders,
            hands,
            tracker: Tracker::default(),
            acknowledge: BTreeMap::new(),
            poll: None,
            commit: None,
            commit_due: now,
            acknowledging: None,
            acknowledge_due: now,
            next_poll: now,
            waiting: false,
            exchange: None,
            fresh: None,
            confirmed: now,
            committed: now,
            opened: now,
            stopwatch,
        }
    }

    async fn work(&mut self) -> Result<End, TaskError> {
        loop {
            self.begin_poll();
            self.hands.lanes.launch();
            let leaving = self.exchange.is_some();
            self.begin_commit(leaving);
            if self.settled()
                && let Some(exchange) = self.exchange.take()
            {
                return Ok(End::Exchange(exchange));
            }
            let idle = self.poll.is_none() && self.has_room() && !leaving;
            let uncommitted = self.commit.is_none() && self.tracker.has_progress();
            let event = tokio::select! {
                biased;
                () = self.ctx.stop.cancelled() => Event::Stop,
                exchange = self.orders.next(), if !leaving => Event::Exchange(exchange),
                landed = self.hands.lanes.next() => Event::Landed(landed),
                stored = ready(&mut self.commit) => Event::Committed(stored),
                told = ready(&mut self.acknowledging) => Event::Acknowledged(told),
                polled = ready(&mut self.poll) => Event::Polled(polled),
                () = tokio::time::sleep_until(self.next_poll), if idle => Event::Time,
                () = tokio::time::sleep_until(self.commit_due), if uncommitted => Event::Time,
            };
            match event {
                Event::Stop => return Ok(End::Stop),
                Event::Polled(polled) => self.polled(polled).await?,
                Event::Exchange(exchange) => {
                    self.ctx.report.draining();
                    self.fresh = Some(make(&exchange.context(self.ctx)));
                    self.exchange = Some(exchange);
                }
                Event::Time => {}
                other => self.settle(other)?,
            }
        }
    }

    /// Whether nothing is in flight any more, and the plugin knows of all that is durable.
    fn settled(&self) -> bool {
        self.poll.is_none()
            && self.commit.is_none()
            && self.acknowledging.is_none()
            // what the plugin put off is not waited for
            && (self.acknowledge.is_empty() || Instant::now() < self.acknowledge_due)
            && self.tracker.open() == 0
    }

    /// Waits for what is in flight, for as long as the drain may take, and commits it.
    async fn drain(&mut self) -> Result<(), TaskError> {
        self.poll = None;
        // what the broker takes now is confirmed as ever; what it does not take comes again later
        self.hands.lanes.give_up();
        let deadline = Instant::now() + self.ctx.tuning.drain;
        let mut patience = Instant::now() + SILENCE;
        let mut ended = Ok(());
        loop {
            self.hands.lanes.launch();
            self.begin_commit(true);
            if !self.hands.lanes.flying() && self.commit.is_none() && self.acknowledging.is_none() {
                return ended;
            }
            let event = tokio::select! {
                biased;
                landed = self.hands.lanes.next() => Event::Landed(landed),
                stored = ready(&mut self.commit) => Event::Committed(stored),
                told = ready(&mut self.acknowledging) => Event::Acknowledged(told),
                () = tokio::time::sleep_until(deadline.min(patience)) => Event::Time,
            };
            match event {
                Event::Time => {
                    let open = self.tracker.open();
                    tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, open,
                        "the drain ended before everything was confirmed; the rest is sent again after the next start");
                    return ended;
                }
                other => {
                    patience = Instant::now() + SILENCE;
                    if let Err(error) = self.settle(other)
                        && ended.is_ok()
                    {
                        ended = Err(error);
                    }
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let lanes = &self.hands.lanes;
        !lanes.troubled()
            && self.tracker.open() < lanes.plenty()
            && lanes.bytes() < lanes.plenty_of_bytes(self.ctx.batch_bytes())
            && self.ctx.may_take(self.tracker.open() as u64)
    }

    fn begin_poll(&mut self) {
        if self.exchange.is_none()
            && self.poll.is_none()
            && self.has_room()
            && Instant::now() >= self.next_poll
        {
            let poll = self.guest.poll(
                self.ctx.batch_records(),
                self.ctx.batch_bytes(),
                self.ctx.tuning.poll_wait,
            );
            self.poll = Some(poll);
        }
    }

    fn begin_commit(&mut self, at_once: bool) {
        if self.commit.is_none() && (at_once || Instant::now() >= self.commit_due) {
            let progress = self.tracker.take();
            if !progress.is_empty() {
                self.commit_due = Instant::now() + COMMIT_EVERY;
                failpoint::pass(Point::ConfirmCommit);
                let store = self.ctx.store.clone();
                let connector = self.ctx.spec.name.clone();
                self.commit = Some(Box::pin(async move {
                    let points: Vec<(String, Bytes)> = progress
                        .points
                        .iter()
                        .map(|point| (point.partition.clone(), point.position.clone()))
                        .collect();
                    store
                        .commit_positions(&connector, &points, &progress.forget)
                        .await?;
                    Ok(progress.points)
                }));
            }
        }
        let due = Instant::now() >= self.acknowledge_due;
        if due && self.acknowledging.is_none() && !self.acknowledge.is_empty() {
            let points = std::mem::take(&mut self.acknowledge);
            let points: Vec<ResumePoint> = points
                .into_iter()
                .map(|(partition, position)| ResumePoint {
                    partition,
                    position,
                })
                .collect();
            let told = self.guest.committed(points.clone());
            self.acknowledging = Some(Box::pin(async move { (points, told.await) }));
        }
    }

    /// Takes note of whatever ended, other than a poll.
    fn settle(&mut self, event: Event) -> Result<(), TaskError> {
        match event {
            Event::Landed(landed) => self.landed(landed),
            Event::Committed(stored) => {
                let points = stored.map_err(|source| TaskError::Store {
                    step: "storing source positions",
                    source: Box::new(source),
                })?;
                self.committed = Instant::now();
                self.ctx.report.committed();
                self.acknowledge.extend(
                    points
                        .into_iter()
                        .map(|point| (point.partition, point.position)),
                );
                Ok(())
            }
            Event::Acknowledged((
                points,
                Err(Failed::Call(CallError::Retriable { reason, after, .. })),
            )) => {
                tracing::debug!(connector = %self.ctx.spec.name, reason, "an acknowledgement is repeated later");
                for point in points {
                    self.acknowledge
                        .entry(point.partition)
                        .or_insert(point.position);
                }
                self.acknowledge_due = Instant::now() + after.max(SHORTEST_RETRY);
                Ok(())
            }
            Event::Acknowledged((_, told)) => told.map_err(|failed| failed.at(self.ctx.who())),
            Event::Stop | Event::Polled(_) | Event::Exchange(_) | Event::Time => Ok(()),
        }
    }

    fn landed(&mut self, landed: Landed) -> Result<(), TaskError> {
        let confirmed = landed.confirmed.len();
        if confirmed > 0 {
            self.confirmed = Instant::now();
        }
        self.tracker.confirm_all(&landed.confirmed);
        let open = self.tracker.open();
        self.ctx.metrics.gave(confirmed, landed.bytes, open);
        let Some((ticket, source)) = landed.refused else {
            return Ok(());
        };
        let place = self.tracker.place(ticket);
        if self.ctx.spec.skip_bad_records && source.permanent() {
            tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, %place, error = %source, "a record the broker refuses is skipped");
            self.tracker.confirm(ticket);
            self.hands.lanes.release(&landed.queue);
            return Ok(());
        }
        Err(TaskError::Broker {
            place: format!("{}, {place}", self.ctx.who()),
            source: Box::new(source),
        })
    }

    async fn polled(&mut self, polled: Answer<Polled>) -> Result<(), TaskError> {
        let polled = match polled {
            Ok(polled) => polled,
            Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                self.waiting = true;
                self.ctx
                    .report
                    .running(Some(format!("waiting to poll: {reason}")));
                self.next_poll = Instant::now() + after.max(SHORTEST_RETRY);
                return Ok(());
            }
            Err(failed) => return Err(failed.at(self.ctx.who())),
        };
        if std::mem::take(&mut self.waiting) {
            self.ctx.report.running(None);
        }
        let unknown = self.hands.dispatch.unknown(&polled.batch);
        for topic in unknown {
            if !self.find_topic(topic).await? {
                return Ok(());
            }
        }
        if let Some(stopwatch) = self.stopwatch.take_if(|_| !polled.batch.is_empty()) {
            self.ctx.report.exchanged(stopwatch.stop());
        }
        let empty = polled.batch.is_empty() && polled.points.is_empty() && polled.forget.is_empty();
        let least = if empty { SHORTEST_WAIT } else { Duration::ZERO };
        self.next_poll = Instant::now() + polled.wait.max(least);
        let (records, bytes) = (polled.batch.len(), polled.batch.bytes());
        self.ctx.metrics.took(records, bytes);
        let number = self.tracker.begin();
        let entered = self.hands.dispatch.enter(
            self.ctx,
            &polled.batch,
            number,
            &mut self.tracker,
            &mut self.hands.lanes,
        );
        entered.await?;
        self.tracker.end(number, polled.points, polled.forget);
        if self.exchange.is_none() {
            let above = self.guest.above_high_water();
            self.exchange = Exchange::of_memory(self.ctx, above, self.opened);
        }
        Ok(())
    }

    /// Learns a topic's queues, waiting for the broker as long as it takes; false when stopped.
    /// What is in flight goes on while it is asked.
    async fn find_topic(&mut self, topic: String) -> Result<bool, TaskError> {
        let mut pause = self.ctx.tuning.broker_retry.0;
        loop {
            let found = {
                let broker = self.ctx.broker.clone();
                let (name, queues) = (topic.clone(), self.ctx.tuning.topic_queues);
                let mut asked: Option<BoxFuture<'static, _>> = Some(Box::pin(async move {
                    find_or_create(&*broker, &name, queues).await
                }));
                loop {
                    self.hands.lanes.launch();
                    self.begin_commit(true);
                    let event = tokio::select! {
                        found = ready(&mut asked) => break found,
                        () = self.ctx.stop.cancelled() => return Ok(false),
                        landed = self.hands.lanes.next() => Event::Landed(landed),
                        stored = ready(&mut self.commit) => Event::Committed(stored),
                        told = ready(&mut self.acknowledging) => Event::Acknowledged(told),
                    };
                    self.settle(event)?;
                }
            };
            match found {
                Ok(queues) => {
                    self.ctx.report.running(None);
                    self.hands.dispatch.learn(topic, queues);
                    return Ok(true);
                }
                Err(error) if error.retriable() => {
                    self.ctx
                        .report
                        .running(Some(format!("waiting for topic `{topic}`: {error}")));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.ctx.stop.cancelled() => return Ok(false),
                    }
                    pause = (pause * 2).min(self.ctx.tuning.broker_retry.1);
                }
                Err(source) => {
                    let place = format!("{}, topic `{topic}`", self.ctx.who());
                    return Err(TaskError::Broker {
                        place,
                        source: Box::new(source),
                    });
                }
            }
        }
    }
}
