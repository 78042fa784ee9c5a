//! What of each source partition has been confirmed, in order. Pure bookkeeping: knows no broker,
//! no store and no plugin.
//!
//! Slots of a partition stand in the order the plugin gave them. A position may be committed when
//! its slot and all before it are confirmed; later confirmed slots wait behind an open one. Must never
//! give out a position earlier than that: it would be a record lost.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use connect_record::ResumePoint;
use foldhash::fast::RandomState;

/// Names one slot until it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    partition: u64,
    sequence: u64,
    batch: u64,
}

/// What may be made durable now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Positions, the newest of each partition.
    pub points: Vec<ResumePoint>,
    /// Partitions that are gone for good.
    pub forget: Vec<String>,
}

impl Progress {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.forget.is_empty()
    }
}

#[derive(Debug)]
struct Slot {
    what: What,
    confirmed: bool,
}

/// What holds once a slot and all before it are confirmed.
#[derive(Debug)]
enum What {
    /// Nothing new: covered by a later slot.
    Nothing,
    /// The partition resumes here.
    Position(Bytes),
    /// The partition is gone for good.
    Forget,
}

#[derive(Debug)]
struct Partition {
    name: String,
    /// Sequence of the first slot in `slots`.
    first: u64,
    slots: VecDeque<Slot>,
    /// What the newest such slot says, not yet taken; the last word wins.
    ready: What,
}

/// Points and partitions to forget that hold once a whole batch is confirmed.
#[derive(Debug, Default)]
struct Batch {
    open: usize,
    closed: bool,
    /// Its own points and partitions to forget, as slots of their partitions.
    after: Vec<Ticket>,
}

/// The book of one source task. A partition is in it only while it has a slot or news to take, so
/// that a source may go through any number of partitions.
#[derive(Debug, Default)]
pub struct Tracker {
    names: HashMap<String, u64, RandomState>,
    partitions: HashMap<u64, Partition, RandomState>,
    next_partition: u64,
    batches: BTreeMap<u64, Batch>,
    next_batch: u64,
    touched: BTreeSet<u64>,
    open: usize,
}

impl Tracker {
    /// Begins a batch; its number goes into every slot.
    pub fn begin(&mut self) -> u64 {
        let batch = self.next_batch;
        self.next_batch += 1;
        self.batches.insert(batch, Batch::default());
        batch
    }

    /// Enters one record, in the plugin's order.
    pub fn enter(&mut self, batch: u64, partition: &str, position: Option<Bytes>) -> Ticket {
        let index = self.partition(partition);
        let sequence = self.push(index, position.map_or(What::Nothing, What::Position));
        if let Some(batch) = self.batches.get_mut(&batch) {
            batch.open += 1;
        }
        self.open += 1;
        Ticket {
            partition: index,
            sequence,
            batch,
        }
    }

    /// Ends a batch with what holds after all its records.
    pub fn end(&mut self, batch: u64, points: Vec<ResumePoint>, forget: Vec<String>) {
        let mut after = Vec::with_capacity(points.len() + forget.len());
        let points = points
            .into_iter()
            .map(|point| (point.partition, What::Position(point.position)));
        let gone = forget
            .into_iter()
            .map(|partition| (partition, What::Forget));
        for (partition, what) in points.chain(gone) {
            let partition = self.partition(&partition);
            let sequence = self.push(partition, what);
            after.push(Ticket {
                partition,
                sequence,
                batch,
            });
        }
        if let Some(entry) = self.batches.get_mut(&batch) {
            entry.closed = true;
            entry.after = after;
        }
        self.settle(batch);
    }

    /// Notes that the broker has a record.
    pub fn confirm(&mut self, ticket: Ticket) {
        self.confirm_all(&[ticket]);
    }

    /// Notes that the broker has these records.
    pub fn confirm_all(&mut self, tickets: &[Ticket]) {
        // a send is nearly always of one partition and of one batch or two
        let together = |one: &Ticket, next: &Ticket| {
            (one.partition, one.batch) == (next.partition, next.batch)
        };
        for run in tickets.chunk_by(together) {
            let Some(number) = run.first().map(|ticket| ticket.batch) else {
                continue;
            };
            let marked = self.mark(run);
            self.open = self.open.saturating_sub(marked);
            if let Some(batch) = self.batches.get_mut(&number) {
                batch.open = batch.open.saturating_sub(marked);
            }
            self.settle(number);
        }
    }

    /// Records entered and not confirmed.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether there may be anything to take.
    #[must_use]
    pub fn has_progress(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Takes what may be made durable since the last call.
    pub fn take(&mut self) -> Progress {
        let mut progress = Progress::default();
        for index in std::mem::take(&mut self.touched) {
            let Some(partition) = self.at(index) else {
                continue;
            };
            let name = partition.name.clone();
            match std::mem::replace(&mut partition.ready, What::Nothing) {
                What::Position(position) => progress.points.push(ResumePoint {
                    partition: name,
                    position,
                }),
                What::Forget => progress.forget.push(name),
                What::Nothing => {}
            }
            self.leave(index);
        }
        progress
    }

    /// Names a slot for people: its partition and, where it is text, its position.
    #[must_use]
    pub fn place(&self, ticket: Ticket) -> String {
        let partition = self.partitions.get(&ticket.partition);
        let Some(partition) = partition else {
            return "an unknown partition".into();
        };
        let slot = ticket
            .sequence
            .checked_sub(partition.first)
            .and_then(|place| usize::try_from(place).ok());
        let position =
            slot.and_then(|place| partition.slots.get(place))
                .and_then(|slot| match &slot.what {
                    What::Position(position) => Some(position),
                    What::Nothing | What::Forget => None,
                });
        let name = &partition.name;
        match position.map(|position| std::str::from_utf8(position)) {
            Some(Ok(text)) if text.len() <= 200 => {
                format!("partition `{name}`, the record before position {text}")
            }
            _ => format!("partition `{name}`"),
        }
    }

    fn at(&mut self, index: u64) -> Option<&mut Partition> {
        self.partitions.get_mut(&index)
    }

    fn partition(&mut self, name: &str) -> u64 {
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        let index = self.next_partition;
        self.next_partition += 1;
        self.names.insert(name.to_owned(), index);
        let partition = Partition {
            name: name.to_owned(),
            first: 0,
            slots: VecDeque::new(),
            ready: What::Nothing,
        };
        self.partitions.insert(index, partition);
        index
    }

    /// Lets a partition go that has neither a slot nor news.
    fn leave(&mut self, index: u64) {
        let idle = |partition: &&Partition| {
            partition.slots.is_empty() && matches!(partition.ready, What::Nothing)
        };
        if let Some(partition) = self.partitions.get(&index).filter(idle) {
            self.names.remove(&partition.name);
            self.partitions.remove(&index);
        }
    }

    fn push(&mut self, index: u64, what: What) -> u64 {
        let Some(partition) = self.at(index) else {
            return 0;
        };
        partition.slots.push_back(Slot {
            what,
            confirmed: false,
        });
        partition.first + partition.slots.len() as u64 - 1
    }

    /// Confirms slots of one partition and moves it on; how many were not confirmed before.
    fn mark(&mut self, run: &[Ticket]) -> usize {
        let Some(index) = run.first().map(|ticket| ticket.partition) else {
            return 0;
        };
        let Some(partition) = self.at(index) else {
            return 0;
        };
        let mut marked = 0;
        for ticket in run {
            let place = ticket.sequence.checked_sub(partition.first);
            let place = place.and_then(|place| usize::try_from(place).ok());
            let slot = place.and_then(|place| partition.slots.get_mut(place));
            if let Some(slot) = slot.filter(|slot| !slot.confirmed) {
                slot.confirmed = true;
                marked += 1;
            }
        }
        let mut moved = false;
        while partition.slots.front().is_some_and(|slot| slot.confirmed) {
            if let Some(slot) = partition.slots.pop_front() {
                partition.first += 1;
                if !matches!(slot.what, What::Nothing) {
                    partition.ready = slot.what;
                    moved = true;
                }
            }
        }
        if moved {
            self.touched.insert(index);
        } else if marked > 0 {
            self.leave(index);
        }
        marked
    }

    /// Confirms a finished batch's own points. Batches finish in any order; partitions keep theirs.
    fn settle(&mut self, batch: u64) {
        let done = self
            .batches
            .get(&batch)
            .is_some_and(|batch| batch.closed && batch.open == 0);
        if !done {
            return;
        }
        if let Some(batch) = self.batches.remove(&batch) {
            for ticket in batch.after {
                self.mark(&[ticket]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(n: u8) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(&[n]))
    }

    fn points(progress: &Progress) -> Vec<(&str, u8)> {
        progress
            .points
            .iter()
            .map(|point| (point.partition.as_str(), point.position[0]))
            .collect()
    }

    #[test]
    fn nothing_passes_an_open_record() {
        let mut tracker = Tracker::default();
        let batch = tracker.begin();
        let a = tracker.enter(batch, "p", position(1));
        let b = tracker.enter(batch, "p", position(2));
        let c = tracker.enter(batch, "p", position(3));
        tracker.end(batch, Vec::new(), Vec::new());
        tracker.confirm(c);
        tracker.confirm(b);
        assert!(tracker.take().is_empty(), "1 is open");
        tracker.confirm(a);
        assert_eq!(points(&tracker.take()), [("p", 3)]);
        assert!(tracker.take().is_empty(), "taken once");
        assert_eq!(tracker.open(), 0);
    }

    #[test]
    fn partitions_do_not_wait_for_each_other() {
        let mut tracker = Tracker::default();
        let batch = tracker.begin();
        let a = tracker.enter(batch, "a", position(1));
        let b = tracker.enter(batch, "b", position(2));
        tracker.end(batch, Vec::new(), Vec::new());
        tracker.confirm(b);
        assert_eq!(points(&tracker.take()), [("b", 2)]);
        tracker.confirm(a);
        assert_eq!(points(&tracker.take()), [("a", 1)]);
    }

    #[test]
    fn a_record_without_position_is_covered_by_a_later_one() {
        let mut tracker = Tracker::default();
        let batch = tracker.begin();
        let a = tracker.enter(batch, "p", None);
        let b = tracker.enter(batch, "p", position(2));
        tracker.end(batch, Vec::new(), Vec::new());
        tracker.confirm(a);
        assert!(tracker.take().is_empty());
        tracker.confirm(b);
        assert_eq!(points(&tracker.take()), [("p", 2)]);
    }

    #[test]
    fn a_batchs_own_points_wait_for_all_its_records() {
        let mut tracker = Tracker::default();
        let batch = tracker.begin();
        let a = tracker.enter(batch, "a", None);
        let b = tracker.enter(batch, "b", None);
        let point = ResumePoint {
            partition: "c".into(),
            position: Bytes::from_static(&[9]),
        };
        tracker.end(batch, vec![point], vec!["gone".into()]);
        tracker.confirm(a);
        assert!(tracker.take().is_empty());
        tracker.confirm(b);
        let progress = tracker.take();
        assert_eq!(points(&progress), [("c", 9)]);
        assert_eq!(progress.forget, ["gone"]);
    }

    #[test]
    fn a_partition_is_forgotten_only_after_its_records() {
        let mut tracker = Tracker::default();
        let first = tracker.begin();
        let a = tracker.enter(first, "p", position(1));
        tracker.end(first, Vec::new(), Vec::new());
        let second = tracker.begin();
        tracker.end(second, Vec::new(), vec!["p".into()]);
        assert!(tracker.take().is_empty(), "its record is in flight");
        tracker.confirm(a);
        let progress = tracker.take();
        assert_eq!(progress.forget, ["p"]);
        assert!(progress.points.is_empty());
    }

    #[test]
    fn a_partition_taken_up_again_keeps_its_new_position() {
        let mut tracker = Tracker::default();
        let first = tracker.begin();
        tracker.end(first, Vec::new(), vec!["p".into()]);
        let second = tracker.begin();
        let a = tracker.enter(second, "p", position(5));
        tracker.end(second, Vec::new(), Vec::new());
        tracker.confirm(a);
        let progress = tracker.take();
        assert_eq!(points(&progress), [("p", 5)]);
        assert!(progress.forget.is_empty());
    }

    #[test]
    fn an_empty_batch_with_points_is_progress_at_once() {
        let mut tracker = Tracker::default();
        let batch = tracker.begin();
        let point = ResumePoint {
            partition: "p".into(),
            position: Bytes::from_static(&[7]),
        };
        tracker.end(batch, vec![point], Vec::new());
        assert_eq!(points(&tracker.take()), [("p", 7)]);
    }

    /// A file source with a file a day would otherwise hold the names of all days.
    #[test]
    fn partitions_that_are_done_are_let_go() {
        let mut tracker = Tracker::default();
        let first = tracker.begin();
        let open = tracker.enter(first, "open", position(1));
        tracker.end(first, Vec::new(), Vec::new());
        for number in 0..1_000 {
            let batch = tracker.begin();
            let name = format!("day-{number}");
            let a = tracker.enter(batch, &name, position(1));
            let b = tracker.enter(batch, "none", None);
            tracker.end(batch, Vec::new(), vec![name]);
            tracker.confirm(a);
            tracker.confirm(b);
            assert_eq!(tracker.take().forget.len(), 1);
        }
        assert_eq!(tracker.partitions.len(), 1, "{:?}", tracker.names);
        assert_eq!(tracker.names.len(), 1);
        tracker.confirm(open);
        assert_eq!(points(&tracker.take()), [("open", 1)]);
        assert!(tracker.partitions.is_empty() && tracker.batches.is_empty());
    }

    #[test]
    fn confirming_twice_counts_once() {
        let mut tracker = Tracker::default();
        let batch = tracker.begin();
        let a = tracker.enter(batch, "p", position(1));
        let _b = tracker.enter(batch, "p", position(2));
        tracker.end(batch, Vec::new(), Vec::new());
        tracker.confirm(a);
        tracker.confirm(a);
        assert_eq!(tracker.open(), 1);
        assert_eq!(points(&tracker.take()), [("p", 1)]);
    }
}
