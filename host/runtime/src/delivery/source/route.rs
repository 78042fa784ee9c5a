//! Which queue a record goes to. The hash is fixed: a change would move keys between queues and
//! break their order across an update.

use connect_record::Queue;

use crate::fixed_hash::hash;
use crate::spec::QueueBy;

/// Chooses queues for the records of one task.
#[derive(Debug)]
pub(crate) struct Router {
    by: QueueBy,
    turn: usize,
}

impl Router {
    pub(crate) fn new(by: QueueBy) -> Self {
        Self { by, turn: 0 }
    }

    /// Chooses by something else from here on.
    pub(crate) fn follow(&mut self, by: QueueBy) {
        self.by = by;
    }

    /// Index into `queues`, which stand in the order of broker name and queue number.
    pub(crate) fn choose(
        &mut self,
        key: Option<&[u8]>,
        partition: &str,
        queues: &[Queue],
    ) -> usize {
        let count = queues.len().max(1);
        match (self.by, key) {
            (QueueBy::RoundRobin, _) => {
                self.turn = (self.turn + 1) % count;
                self.turn
            }
            (QueueBy::Key, Some(key)) => remainder(hash(key), count),
            _ => remainder(hash(partition.as_bytes()), count),
        }
    }
}

fn remainder(hash: u64, count: usize) -> usize {
    usize::try_from(hash % (count as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(count: i32) -> Vec<Queue> {
        (0..count).map(|id| Queue::new("t", "b", id)).collect()
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // reference value of FNV-1a 64 for "a": af63dc4c8601ec8c
        assert_eq!(
            hash(b"a"),
            0xaf63_dc4c_8601_ec8c ^ (0xaf63_dc4c_8601_ec8c >> 32)
        );
    }

    #[test]
    fn a_key_wins_over_the_partition_unless_told_otherwise() {
        let queues = queues(8);
        let mut by_key = Router::new(QueueBy::Key);
        assert_eq!(
            by_key.choose(Some(b"k"), "p", &queues),
            by_key.choose(Some(b"k"), "q", &queues)
        );
        let mut by_partition = Router::new(QueueBy::Partition);
        assert_eq!(
            by_partition.choose(Some(b"k"), "p", &queues),
            by_partition.choose(Some(b"x"), "p", &queues)
        );
    }

    #[test]
    fn every_queue_is_used() {
        let queues = queues(8);
        let mut router = Router::new(QueueBy::Key);
        let mut counts = [0_u32; 8];
        for n in 0..8_000 {
            counts[router.choose(Some(format!("key-{n}").as_bytes()), "p", &queues)] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
        let mut turns = Router::new(QueueBy::RoundRobin);
        let mut seen: Vec<usize> = (0..8).map(|_| turns.choose(None, "p", &queues)).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
    }
}
