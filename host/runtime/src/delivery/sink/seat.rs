//! One queue as a sink task sees it: what is waiting, what has been put, what is durable.

use std::collections::VecDeque;

use connect_broker::{BrokerError, Incoming, Messages};
use connect_record::{Queue, QueueOffset};

use super::reader::Reader;

/// A queue of this task.
pub(crate) struct Seat {
    pub(crate) queue: Queue,
    /// The name under which the plugin sees the queue.
    pub(crate) partition: String,
    pub(crate) reader: Option<Reader>,
    /// Pulled and not yet put, in order.
    pub(crate) waiting: VecDeque<Incoming>,
    /// Where each pull that `waiting` came from ends, and its bytes; offsets may have holes before that.
    pulls: VecDeque<(u64, usize)>,
    /// Everything below has been pulled.
    pulled: u64,
    /// The next offset to put.
    pub(crate) put: u64,
    /// The next offset as the store has it.
    pub(crate) durable: u64,
    /// The plugin asked for no records of this queue for now.
    pub(crate) paused: bool,
    /// Why the reader ended. Looked at once everything it brought has been put.
    pub(crate) trouble: Option<Trouble>,
}

/// What a reader ended with.
pub(crate) enum Trouble {
    /// The offset is older than the oldest message, which has this offset.
    Gap(u64),
    /// The queue ends here, before the offset.
    Ahead(u64),
    /// The broker gave an error that trying again does not mend.
    Failed(BrokerError),
}

impl Seat {
    pub(crate) fn new(queue: Queue, next: u64) -> Self {
        let partition = queue.partition_name();
        Self {
            queue,
            partition,
            reader: None,
            waiting: VecDeque::new(),
            pulls: VecDeque::new(),
            pulled: next,
            put: next,
            durable: next,
            paused: false,
            trouble: None,
        }
    }

    /// Takes up what a reader brought. Nothing that follows messages that cannot be read is taken up.
    pub(crate) fn bring(&mut self, messages: Messages, next: u64) {
        let stored = messages.bytes();
        let messages = match messages.read() {
            Ok(messages) => messages,
            Err(error) => {
                self.reader = None;
                self.trouble = Some(Trouble::Failed(error));
                return;
            }
        };
        // bodies that came compressed are larger now
        let bytes = messages.iter().map(Incoming::bytes).sum();
        if let Some(reader) = &self.reader {
            reader.grew(stored, bytes);
        }
        self.waiting.extend(messages);
        self.pulls.push_back((next, bytes));
        self.skip_to(next);
        self.settle_pulls();
    }

    /// Nothing is left between what is waiting and `next`.
    pub(crate) fn skip_to(&mut self, next: u64) {
        self.pulled = self.pulled.max(next);
        if self.waiting.is_empty() {
            self.put = self.pulled;
        }
    }

    /// Notes that the first `count` waiting messages are in the plugin's hands.
    pub(crate) fn taken(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(message) = self.waiting.pop_front() {
                self.put = message.queue_offset + 1;
            }
        }
        if count > 0 && self.waiting.is_empty() {
            self.put = self.put.max(self.pulled);
        }
        self.settle_pulls();
    }

    /// Lets the reader pull again for each pull that is used up.
    fn settle_pulls(&mut self) {
        let first = self.waiting.front().map(|message| message.queue_offset);
        while let Some((end, bytes)) = self.pulls.front().copied() {
            if first.is_some_and(|first| first < end) {
                return;
            }
            self.pulls.pop_front();
            if let Some(reader) = &self.reader {
                reader.used(bytes);
            }
        }
    }

    /// Begins anew at `next` with another reader.
    pub(crate) fn rewind(&mut self, next: u64, reader: Option<Reader>) {
        self.reader = reader;
        self.waiting.clear();
        self.pulls.clear();
        self.trouble = None;
        self.pulled = next;
        self.put = next;
    }

    /// What a flush that covers everything put would make durable.
    pub(crate) fn flushable(&self) -> Option<QueueOffset> {
        (self.put > self.durable).then(|| QueueOffset {
            queue: self.queue.clone(),
            next: self.put,
        })
    }
}
