//! The life of one sink task: its queues, open, then put what is waiting and flush when it is
//! due; at the end a last flush, commit and close.

use std::sync::Arc;
use std::time::Duration;

use connect_record::{Queue, QueueOffset};
use connect_sandbox::CallError;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::assign::{self, Asked};
use super::desk::{Desk, open};
use super::gather::{Chunk, Gathered, gather};
use super::mirror::Mirror;
use super::reader::{Fetched, Note, Source};
use super::seat::{Seat, Trouble};
use crate::delivery::{Careful, TaskContext, TaskError, find_or_create};
use crate::error::story;
use crate::failpoint::{self, Point};
use crate::guest::{Answer, Failed, SinkGuest};
use crate::spec::{Flow, OffsetLost, StartAt};

/// Runs a sink task until it is stopped or fails.
pub(crate) async fn run(ctx: TaskContext) -> Result<(), TaskError> {
    let Flow::Sink {
        topics,
        start,
        offset_lost,
    } = &ctx.spec.flow
    else {
        return Ok(());
    };
    let Asked::Answer(queues) = queues_of(&ctx, topics).await? else {
        return Ok(());
    };
    let Asked::Answer(offsets) = assign::begin(&ctx, queues, *start).await? else {
        return Ok(());
    };
    let desk = Desk::default();
    let opened = open(
        &ctx,
        &ctx.spec.plugin,
        ctx.access.clone(),
        &ctx.settings,
        desk.clone(),
        &offsets,
    )
    .await?;
    let Some((guest, starts)) = opened else {
        return Ok(());
    };
    ctx.report.running(None);
    let (notes, inbox) = mpsc::channel(16);
    let group: Arc<str> = Arc::from(ctx.spec.group.as_str());
    let mut job = Job {
        source: Source {
            broker: ctx.broker.clone(),
            group: group.clone(),
            messages: ctx.tuning.pull_messages,
            wait: ctx.tuning.pull_wait,
            retry: ctx.tuning.broker_retry,
            notes,
        },
        inbox,
        seats: Vec::new(),
        readers: 0,
        turn: 0,
        unflushed: 0,
        flush_due: None,
        refresh_due: Instant::now() + ctx.tuning.queue_refresh,
        mirror: Mirror::start(ctx.broker.clone(), group),
        careful: ctx.careful.clone(),
        desk,
        start: *start,
        lost: *offset_lost,
        ctx: &ctx,
        guest: &guest,
    };
    job.seat(offsets, &starts);
    let ended = match job.wish().await {
        Ok(()) => job.work().await,
        Err(error) => Err(error),
    };
    let finished = job.finish(ended.is_ok()).await;
    guest.end().await;
    ended.and(finished)
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
    source: Source,
    inbox: mpsc::Receiver<Note>,
    pub(super) seats: Vec<Seat>,
    readers: u64,
    turn: usize,
    /// Records put since the last flush.
    pub(super) unflushed: u64,
    pub(super) flush_due: Option<Instant>,
    refresh_due: Instant,
    pub(super) mirror: Mirror,
    pub(super) careful: Careful,
    desk: Desk,
    start: StartAt,
    pub(super) lost: OffsetLost,
}

impl Job<'_> {
    async fn work(&mut self) -> Result<(), TaskError> {
        loop {
            while let Ok(note) = self.inbox.try_recv() {
                self.take(note);
            }
            if self.ctx.stop.is_cancelled() {
                return Ok(());
            }
            self.troubled().await?;
            if self.seats.iter().any(|seat| seat.paused) {
                let interval = self.flush_interval();
                self.flush_due
                    .get_or_insert_with(|| Instant::now() + interval);
            }
            let now = Instant::now();
            if self.unflushed >= self.flush_records()
                || self.flush_due.is_some_and(|due| due <= now)
            {
                self.flush().await?;
            }
            if self.refresh_due <= now {
                self.refresh().await?;
            }
            if self.is_crowded().await? {
                continue;
            }
            match gather(self.ctx, &self.seats, self.turn, &self.careful) {
                Gathered::Chunk(chunk) => {
                    self.turn = (self.turn + 1) % self.seats.len().max(1);
                    self.put(chunk).await?;
                }
                Gathered::Bad(bad) => return self.bad(bad).await,
                Gathered::Nothing => {
                    let due = self
                        .flush_due
                        .unwrap_or(self.refresh_due)
                        .min(self.refresh_due);
                    tokio::select! {
                        () = self.ctx.stop.cancelled() => return Ok(()),
                        note = self.inbox.recv() => if let Some(note) = note { self.take(note) },
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
            }
        }
    }

    /// The end: what was put is flushed and committed, unless the instance is beyond use.
    async fn finish(mut self, well: bool) -> Result<(), TaskError> {
        for seat in &mut self.seats {
            seat.reader = None;
        }
        let mut flushed = Ok(());
        if well {
            flushed = self.flush().await;
            match tokio::time::timeout(self.ctx.tuning.drain, self.guest.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(failed)) => {
                    let error = failed.at(self.ctx.who());
                    tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, error = %story(&error), "close failed");
                }
                Err(_) => {
                    tracing::warn!(connector = %self.ctx.spec.name, task = self.ctx.task, "close did not end in time")
                }
            }
        }
        self.mirror.finish().await;
        flushed
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

    /// Gives queues a seat and a reader each; `starts` are the plugin's own offsets.
    fn seat(&mut self, offsets: Vec<QueueOffset>, starts: &[QueueOffset]) {
        for QueueOffset { queue, next } in offsets {
            let own = starts
                .iter()
                .find(|start| start.queue == queue)
                .map(|start| start.next);
            let mut seat = Seat::new(queue, own.unwrap_or(next));
            seat.reader = Some(self.read(&seat.queue, seat.put));
            self.seats.push(seat);
        }
    }

    pub(super) fn read(&mut self, queue: &Queue, offset: u64) -> super::reader::Reader {
        self.readers += 1;
        self.source.read(self.readers, queue.clone(), offset)
    }

    fn take(&mut self, note: Note) {
        let reads = |seat: &Seat| {
            seat.reader
                .as_ref()
                .is_some_and(|reader| reader.number == note.reader)
        };
        let Some(index) = self.seats.iter().position(reads) else {
            return;
        };
        let Some(seat) = self.seats.get_mut(index) else {
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
        let mut waiting = false;
        let rejected = if origins.is_empty() {
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
                        if self.ctx.stopped_within(after).await {
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
        let refused = self.refusals(rejected, &origins);
        for (index, count) in &counts {
            if let Some(seat) = self.seats.get_mut(*index) {
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
        let mut back = Vec::new();
        for (queue, offset) in seeks {
            let Some(index) = self.seats.iter().position(|seat| seat.queue == queue) else {
                continue;
            };
            let reader = self.read(&queue, offset);
            if let Some(seat) = self.seats.get_mut(index) {
                seat.rewind(offset, Some(reader));
                if offset < seat.durable {
                    back.push(QueueOffset {
                        queue,
                        next: offset,
                    });
                }
            }
        }
        for (queue, paused) in pauses {
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.queue == queue) {
                seat.paused = paused;
            }
        }
        if back.is_empty() {
            Ok(())
        } else {
            self.commit(back).await
        }
    }

    /// Looks for queues that came or went.
    async fn refresh(&mut self) -> Result<(), TaskError> {
        self.refresh_due = Instant::now() + self.ctx.tuning.queue_refresh;
        let Flow::Sink { topics, .. } = &self.ctx.spec.flow else {
            return Ok(());
        };
        let mut found = Vec::new();
        for topic in topics {
            let asked = tokio::select! {
                asked = self.ctx.broker.topic_queues(topic) => asked,
                () = self.ctx.stop.cancelled() => return Ok(()),
            };
            match asked {
                Ok(Some(queues)) if !queues.is_empty() => found.extend(queues),
                // a topic that cannot be asked for now keeps its queues
                _ => return Ok(()),
            }
        }
        let mine = assign::share(found, self.ctx.task, self.ctx.tasks);
        let gone: Vec<Queue> = self
            .seats
            .iter()
            .filter(|seat| !mine.contains(&seat.queue))
            .map(|seat| seat.queue.clone())
            .collect();
        let come: Vec<Queue> = mine
            .into_iter()
            .filter(|queue| !self.seats.iter().any(|seat| seat.queue == *queue))
            .collect();
        if gone.is_empty() && come.is_empty() {
            return Ok(());
        }
        self.flush().await?;
        if self.ctx.stop.is_cancelled() {
            return Ok(());
        }
        if !gone.is_empty() {
            let guest = self.guest;
            let told = self.answered(|| guest.revoked(gone.clone(), false)).await?;
            if told.is_none() {
                return Ok(());
            }
            self.seats.retain(|seat| !gone.contains(&seat.queue));
        }
        // a queue that is new to a sink at work is read from its first message
        let start = if self.start == StartAt::Latest {
            StartAt::Earliest
        } else {
            self.start
        };
        let Asked::Answer(offsets) = assign::begin(self.ctx, come, start).await? else {
            return Ok(());
        };
        if !offsets.is_empty() {
            let guest = self.guest;
            let told = self.answered(|| guest.assigned(offsets.clone())).await?;
            let Some(starts) = told else { return Ok(()) };
            self.seat(offsets, &starts);
        }
        let assignment = self.seats.iter().map(|seat| seat.queue.clone()).collect();
        self.desk.with(|wishes| wishes.assignment = assignment);
        self.ctx.report.running(None);
        self.wish().await
    }

    /// Repeats a call until it is answered; none when the task was stopped meanwhile.
    async fn answered<T>(
        &self,
        call: impl Fn() -> BoxFuture<'static, Answer<T>>,
    ) -> Result<Option<T>, TaskError> {
        loop {
            match call().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                    self.ctx
                        .report
                        .running(Some(format!("the sink waits: {reason}")));
                    if self.ctx.stopped_within(after).await {
                        return Ok(None);
                    }
                }
                Err(failed) => return Err(failed.at(self.ctx.who())),
            }
        }
    }
}
