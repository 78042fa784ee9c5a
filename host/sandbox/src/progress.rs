//! How far a sink may say it has come: per queue of its own, and not beyond what it was given. Pure
//! bookkeeping, so that it can be tested without a guest.

use std::collections::BTreeMap;
use std::collections::btree_map;

use connect_record::{Queue, QueueOffset};
use connect_rows::{Entry, Parts};

/// The queues of a sink, each with the next offset after the last record it was given.
#[derive(Debug, Default)]
pub(crate) struct Progress(BTreeMap<Queue, u64>);

impl Progress {
    /// These queues are the sink's, starting at these offsets.
    pub(crate) fn assign(&mut self, queues: &[QueueOffset]) {
        for queue in queues {
            self.0.insert(queue.queue.clone(), queue.next);
        }
    }

    /// These queues are no longer the sink's.
    pub(crate) fn revoke(&mut self, queues: &[Queue]) {
        for queue in queues {
            self.0.remove(queue);
        }
    }

    /// Whether `queue` is the sink's; when it is, the sink may also say that it has come to `next`,
    /// since it asked to go on from there.
    pub(crate) fn moved(&mut self, queue: &Queue, next: u64) -> bool {
        match self.0.get_mut(queue) {
            Some(reached) => {
                *reached = (*reached).max(next);
                true
            }
            None => false,
        }
    }

    /// Notes a batch that the sink is given. Rows that no sink batch has are passed over: the batch
    /// is the worker's own.
    pub(crate) fn given(&mut self, parts: &Parts) {
        let mut last: Vec<Option<u64>> = vec![None; parts.partitions.len()];
        let rows = parts
            .entries
            .chunks_exact((parts.entry_size as usize).max(1));
        for entry in rows.filter_map(Entry::of) {
            if let Some(last) = last.get_mut(usize::from(entry.partition())) {
                *last = (*last).max(Some(entry.offset()));
            }
        }
        for (partition, last) in parts.partitions.iter().zip(last) {
            if let (Some(queue), Some(last)) = (parse(partition), last)
                && let Some(reached) = self.0.get_mut(&queue)
            {
                *reached = (*reached).max(last.saturating_add(1));
            }
        }
    }

    /// Checks offsets that the sink gave in answer to `open` or `assigned`, among `asked`, and lets
    /// them hold.
    ///
    /// # Errors
    /// The queue that is not among them or comes twice.
    pub(crate) fn start(
        &mut self,
        asked: &[QueueOffset],
        answer: &[QueueOffset],
    ) -> Result<(), String> {
        let mut open: BTreeMap<&Queue, bool> =
            asked.iter().map(|offset| (&offset.queue, false)).collect();
        for given in answer {
            match open.entry(&given.queue) {
                btree_map::Entry::Vacant(_) => {
                    return Err(format!(
                        "a start for queue {}, which was not given",
                        given.queue
                    ));
                }
                btree_map::Entry::Occupied(seen) if *seen.get() => {
                    return Err(format!("two starts for queue {}", given.queue));
                }
                btree_map::Entry::Occupied(mut first) => *first.get_mut() = true,
            }
        }
        self.assign(asked);
        self.assign(answer);
        Ok(())
    }

    /// Checks offsets up to which the sink says everything is durable.
    ///
    /// # Errors
    /// The queue that is not the sink's or comes twice, or the offset that it was never given.
    pub(crate) fn flushed(&self, upto: &[QueueOffset]) -> Result<(), String> {
        let mut seen = BTreeMap::new();
        for given in upto {
            let queue = &given.queue;
            let reached = self.reached(queue)?;
            if given.next > reached {
                return Err(format!(
                    "queue {queue} is durable up to {}, but was given up to {reached}",
                    given.next
                ));
            }
            if seen.insert(queue, ()).is_some() {
                return Err(format!("queue {queue} comes twice"));
            }
        }
        Ok(())
    }

    /// Checks that a record was given to the sink.
    ///
    /// # Errors
    /// The queue that is not the sink's, or the offset that it was never given.
    pub(crate) fn had(&self, queue: &Queue, offset: u64) -> Result<(), String> {
        let reached = self.reached(queue)?;
        if offset < reached {
            return Ok(());
        }
        Err(format!(
            "offset {offset} of queue {queue} is rejected, but it was given up to {reached}"
        ))
    }

    fn reached(&self, queue: &Queue) -> Result<u64, String> {
        self.0
            .get(queue)
            .copied()
            .ok_or_else(|| format!("queue {queue} is not one of its own"))
    }
}

/// A queue from the name its partition has in a sink's batch.
fn parse(partition: &str) -> Option<Queue> {
    let mut fields = partition.split('\t');
    let (topic, broker, id) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
    fields
        .next()
        .is_none()
        .then(|| Queue::new(topic, broker, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> Queue {
        Queue::new("topic", "broker", id)
    }

    fn at(id: i32, next: u64) -> QueueOffset {
        QueueOffset {
            queue: queue(id),
            next,
        }
    }

    fn batch(records: &[(i32, u64)]) -> Parts {
        let mut builder = connect_rows::Builder::new();
        for (id, offset) in records {
            let partition = queue(*id).partition_name();
            builder
                .add()
                .topic("topic")
                .partition(&partition)
                .offset(*offset)
                .value(b"v")
                .finish()
                .unwrap();
        }
        builder.finish()
    }

    #[test]
    fn a_sink_is_durable_up_to_what_it_was_given_and_no_further() {
        let mut progress = Progress::default();
        progress.start(&[at(0, 5), at(1, 7)], &[]).unwrap();
        progress.flushed(&[at(0, 5), at(1, 0)]).unwrap();
        assert!(
            progress
                .flushed(&[at(0, 6)])
                .unwrap_err()
                .contains("given up to 5")
        );
        progress.given(&batch(&[(0, 5), (0, 9), (0, 8)]));
        progress.flushed(&[at(0, 10), at(1, 7)]).unwrap();
        assert!(progress.flushed(&[at(0, 11)]).is_err());
        assert!(
            progress
                .flushed(&[at(1, 7), at(1, 7)])
                .unwrap_err()
                .contains("twice")
        );
        assert!(
            progress
                .flushed(&[at(2, 0)])
                .unwrap_err()
                .contains("topic/broker/2")
        );
    }

    #[test]
    fn late_rejections_are_of_records_that_were_given() {
        let mut progress = Progress::default();
        progress.assign(&[at(0, 5)]);
        progress.given(&batch(&[(0, 5)]));
        progress.had(&queue(0), 5).unwrap();
        progress.had(&queue(0), 6).unwrap_err();
        progress.had(&queue(1), 0).unwrap_err();
    }

    #[test]
    fn starts_are_for_queues_that_were_asked_about() {
        let mut progress = Progress::default();
        progress.start(&[at(0, 5)], &[at(0, 100)]).unwrap();
        progress.flushed(&[at(0, 100)]).unwrap();
        assert!(
            progress
                .start(&[at(1, 0)], &[at(0, 1)])
                .unwrap_err()
                .contains("not given")
        );
        assert!(
            progress
                .start(&[at(1, 0)], &[at(1, 1), at(1, 1)])
                .unwrap_err()
                .contains("two starts")
        );
    }

    #[test]
    fn a_queue_that_went_away_is_nobody_s_and_a_seek_moves_the_bound() {
        let mut progress = Progress::default();
        progress.assign(&[at(0, 5), at(1, 5)]);
        progress.revoke(&[queue(1)]);
        assert!(!progress.moved(&queue(1), 9));
        assert!(progress.moved(&queue(0), 9));
        progress.flushed(&[at(0, 9)]).unwrap();
        progress.given(&batch(&[(1, 50)]));
        progress.flushed(&[at(1, 1)]).unwrap_err();
    }
}
