//! One queue as a sink task sees it: what is waiting, what has been put, what is durable.

use std::collections::{BTreeSet, VecDeque};

use connect_broker::{BrokerError, Incoming, Messages, Unreadable};
use connect_record::{Queue, QueueOffset};

use super::reader::Reader;

/// A queue of this task.
pub(crate) struct Seat {
    pub(crate) queue: Queue,
    /// The name under which the plugin sees the queue.
    pub(crate) partition: String,
    pub(crate) reader: Option<Reader>,
    /// Read and not yet put, in order: as much as a batch takes.
    pub(crate) waiting: VecDeque<Waiting>,
    /// Bytes of these.
    held: usize,
    /// Pulls that are not used up.
    pulls: VecDeque<Pull>,
    /// Everything below has been pulled.
    pulled: u64,
    /// The next offset to put.
    pub(crate) put: u64,
    /// After the last record that the plugin was given; what was skipped behind it is not its business.
    given: u64,
    /// The next offset as the store has it.
    pub(crate) durable: u64,
    /// Records from there on that the plugin rejected and the connector skips: a sink need not make durable
    /// what it does not take.
    passed: BTreeSet<u64>,
    /// The plugin asked for no records of this queue for now.
    pub(crate) paused: bool,
    /// Why the reader ended. Looked at once everything it brought has been put.
    pub(crate) trouble: Option<Trouble>,
}

/// A message, or what is wrong with it.
pub(crate) type Waiting = Result<Incoming, Unreadable>;

/// The place of a message in its queue.
pub(crate) fn offset(message: &Waiting) -> u64 {
    match message {
        Ok(message) => message.queue_offset,
        Err(unreadable) => unreadable.offset,
    }
}

/// What it takes in memory. One that cannot be read counts by what finding that out has cost.
fn size(message: &Waiting) -> usize {
    match message {
        Ok(message) => message.bytes(),
        Err(unreadable) => unreadable.spent,
    }
}

/// What one pull brought.
struct Pull {
    unread: Messages,
    /// Where it ends; offsets may have holes before that.
    end: u64,
    /// Bytes of all its messages, as they are stored.
    bytes: usize,
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
            held: 0,
            pulls: VecDeque::new(),
            pulled: next,
            put: next,
            given: next,
            durable: next,
            passed: BTreeSet::new(),
            paused: false,
            trouble: None,
        }
    }

    /// Takes up what a reader brought.
    pub(crate) fn bring(&mut self, messages: Messages, next: u64) {
        self.pulls.push_back(Pull {
            bytes: messages.bytes(),
            unread: messages,
            end: next,
        });
        self.skip_to(next);
        self.settle_pulls();
    }

    /// Reads on: at most so many messages, and no more once those are of so many bytes. Answers how many of
    /// how many bytes it was. Not further: what came compressed may be a thousand times as large.
    pub(crate) fn fill(&mut self, records: usize, bytes: usize) -> (usize, usize) {
        let (mut read, mut added) = (0, 0_usize);
        for pull in &mut self.pulls {
            while read < records && added < bytes {
                let Some(message) = pull.unread.next() else {
                    break;
                };
                added = added.saturating_add(size(&message));
                read += 1;
                self.waiting.push_back(message);
            }
        }
        self.held = self.held.saturating_add(added);
        (read, added)
    }

    /// How many messages are waiting, and of how many bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.waiting.len(), self.held)
    }

    /// Whether everything that was pulled has been put.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.pulls.iter().all(|pull| pull.unread.is_empty())
    }

    /// Nothing is left between what is waiting and `next`.
    pub(crate) fn skip_to(&mut self, next: u64) {
        self.pulled = self.pulled.max(next);
        if self.is_drained() {
            self.put = self.pulled;
        }
    }

    /// Notes that the first `count` waiting messages are in the plugin's hands.
    pub(crate) fn taken(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(message) = self.waiting.pop_front() {
                self.put = offset(&message) + 1;
                self.held = self.held.saturating_sub(size(&message));
            }
        }
        if count > 0 && self.is_drained() {
            self.put = self.put.max(self.pulled);
        }
        self.settle_pulls();
    }

    /// Notes that the plugin has the record at `offset`.
    pub(crate) fn gave(&mut self, offset: u64) {
        self.given = self.given.max(offset + 1);
    }

    /// Notes that the plugin rejected the record at `offset`, and is let off it.
    pub(crate) fn pass(&mut self, offset: u64) {
        if offset >= self.durable {
            self.passed.insert(offset);
        }
    }

    /// How far everything is settled when the plugin has made all durable that it took below `covered`: over
    /// what it rejected, and to the end where it was given nothing more. What was skipped behind that, or
    /// is not in the queue, it knows nothing of.
    pub(crate) fn reach(&self, covered: u64) -> u64 {
        let mut reach = covered.max(self.durable);
        while self.passed.contains(&reach) {
            reach += 1;
        }
        if self.given <= reach {
            reach = reach.max(self.put);
        }
        reach
    }

    /// Notes that the store has everything below `next`.
    pub(crate) fn is_durable(&mut self, next: u64) {
        self.durable = next;
        if !self.passed.is_empty() {
            self.passed = self.passed.split_off(&next);
        }
    }

    /// Lets the reader pull again for each pull that is used up.
    fn settle_pulls(&mut self) {
        let first = self.waiting.front().map(offset);
        let used =
            |pull: &mut Pull| pull.unread.is_empty() && first.is_none_or(|first| first >= pull.end);
        while let Some(pull) = self.pulls.pop_front_if(used) {
            if let Some(reader) = &self.reader {
                reader.used(pull.bytes);
            }
        }
    }

    /// Begins anew at `next` with another reader.
    pub(crate) fn rewind(&mut self, next: u64, reader: Option<Reader>) {
        self.reader = reader;
        self.waiting.clear();
        self.held = 0;
        self.pulls.clear();
        self.trouble = None;
        self.pulled = next;
        self.put = next;
        // what it was given before a jump ahead is still to become durable
        self.given = self.given.min(next);
        // what it rejected there it is asked about again
        drop(self.passed.split_off(&next));
    }

    /// What a flush that covers everything put would make durable.
    pub(crate) fn flushable(&self) -> Option<QueueOffset> {
        (self.put > self.durable).then(|| QueueOffset {
            queue: self.queue.clone(),
            next: self.put,
        })
    }
}
