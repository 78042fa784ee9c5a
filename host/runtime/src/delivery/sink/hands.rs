//! What of a sink task outlives its plugin: the queues with what was read ahead of them, the readers
//! and the mirror of its offsets. Must never call the plugin.

use std::sync::Arc;

use connect_record::{Queue, QueueOffset};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::mirror::Mirror;
use super::reader::{Note, Reader, Source};
use super::seat::Seat;
use crate::delivery::TaskContext;

/// Notes of readers that may wait; each reader is a few pulls ahead at most anyway.
const NOTES: usize = 16;

/// The queues of one sink task.
pub(crate) struct Hands {
    source: Source,
    pub(super) inbox: mpsc::Receiver<Note>,
    pub(super) seats: Vec<Seat>,
    readers: u64,
    /// When queues that came or went are looked for. Not each plugin's: some do not live for so long.
    pub(super) refresh_due: Instant,
    /// Whose turn it is.
    pub(super) turn: usize,
    pub(super) mirror: Mirror,
}

impl Hands {
    pub(super) fn new(ctx: &TaskContext) -> Self {
        let (notes, inbox) = mpsc::channel(NOTES);
        let group: Arc<str> = Arc::from(ctx.spec.group.as_str());
        Self {
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
            refresh_due: Instant::now() + ctx.tuning.queue_refresh,
            turn: 0,
            mirror: Mirror::start(ctx.broker.clone(), group),
        }
    }

    /// Gives queues a seat and a reader each; `starts` are the plugin's own offsets.
    pub(super) fn seat(&mut self, offsets: Vec<QueueOffset>, starts: &[QueueOffset]) {
        for QueueOffset { queue, next } in offsets {
            let next = own(starts, &queue).unwrap_or(next);
            let mut seat = Seat::new(queue, next);
            seat.reader = Some(self.read(&seat.queue, seat.put));
            self.seats.push(seat);
        }
    }

    pub(super) fn read(&mut self, queue: &Queue, offset: u64) -> Reader {
        self.readers += 1;
        self.source.read(self.readers, queue.clone(), offset)
    }

    /// Reads a queue from another offset. Answers it where that is behind what is durable: then it has to
    /// become durable at once.
    pub(super) fn go_to(&mut self, index: usize, next: u64) -> Option<QueueOffset> {
        let queue = self.seats.get(index)?.queue.clone();
        let reader = self.read(&queue, next);
        let seat = self.seats.get_mut(index)?;
        seat.rewind(next, Some(reader));
        (next < seat.durable).then_some(QueueOffset { queue, next })
    }

    /// Has the next batch read, as far as it was pulled: of the queues from the one whose turn it is on,
    /// until there is enough in all. What waits for a later batch counts, or each queue might hold a message
    /// that is as large as none should be; but the one whose turn it is may always read one.
    pub(super) fn fill(&mut self, ctx: &TaskContext) {
        let open = self.seats.iter().filter(|seat| !seat.paused);
        let (mut waiting, mut size) = (0_usize, 0_usize);
        for (messages, bytes) in open.map(Seat::held) {
            waiting = waiting.saturating_add(messages);
            size = size.saturating_add(bytes);
        }
        let most = usize::try_from(ctx.batch_records()).unwrap_or(usize::MAX);
        let mut records = most.saturating_sub(waiting);
        let most = usize::try_from(ctx.batch_bytes()).unwrap_or(usize::MAX);
        let mut bytes = most.saturating_sub(size);
        let turn = self.turn.min(self.seats.len());
        let (before, from) = self.seats.split_at_mut(turn);
        let seats = from.iter_mut().chain(before);
        for (place, seat) in seats.filter(|seat| !seat.paused).enumerate() {
            if place == 0 && seat.waiting.is_empty() {
                (records, bytes) = (records.max(1), bytes.max(1));
            }
            if records == 0 || bytes == 0 {
                return;
            }
            let (read, added) = seat.fill(records, bytes);
            records = records.saturating_sub(read);
            bytes = bytes.saturating_sub(added);
        }
    }

    /// Where another plugin takes over.
    pub(super) fn durable(&self) -> Vec<QueueOffset> {
        let of = |seat: &Seat| QueueOffset {
            queue: seat.queue.clone(),
            next: seat.durable,
        };
        self.seats.iter().map(of).collect()
    }

    /// Goes on with another plugin, which said where it `starts`. What was read ahead is kept where
    /// the next record is the one that the last plugin would have been given.
    pub(super) fn resume(&mut self, starts: &[QueueOffset]) {
        for index in 0..self.seats.len() {
            let Some(seat) = self.seats.get_mut(index) else {
                return;
            };
            seat.paused = false;
            let next = own(starts, &seat.queue).unwrap_or(seat.durable);
            seat.is_durable(next);
            if next == seat.put {
                continue;
            }
            self.go_to(index, next);
        }
    }
}

fn own(starts: &[QueueOffset], queue: &Queue) -> Option<u64> {
    let start = starts.iter().find(|start| start.queue == *queue);
    start.map(|start| start.next)
}
