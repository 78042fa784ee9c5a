//! How far each queue is known to reach: acknowledged sends and messages read.
//!
//! A Java broker acknowledges a message before its index shows it (3.7 ms as a rule, 108 ms seen).
//! Pulling there meanwhile is answered "offset illegal" with a *smaller* offset to go on from,
//! which would repeat messages if it were followed. So an offset that is known to exist is waited
//! for instead, up to [`LAG_LIMIT`]; then the knowledge is given up, since a queue can really get
//! shorter (the topic was deleted and made anew, the broker lost its last writes).

use super::sync::lock;
use connect_record::Queue;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a queue may pretend to be shorter than it is known to be.
const LAG_LIMIT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Ends {
    queues: Mutex<HashMap<Queue, End>>,
}

#[derive(Clone, Copy)]
struct End {
    /// One past the last message known.
    at: u64,
    /// Since when the broker has denied it.
    denied: Option<Instant>,
}

impl Ends {
    /// A message before `end` exists.
    pub(super) fn reaches(&self, queue: &Queue, end: u64) {
        let mut queues = lock(&self.queues);
        match queues.get_mut(queue) {
            Some(known) if known.at >= end => {}
            Some(known) => {
                *known = End {
                    at: end,
                    denied: None,
                }
            }
            None => {
                queues.insert(
                    queue.clone(),
                    End {
                        at: end,
                        denied: None,
                    },
                );
            }
        }
    }

    /// The broker says that the queue ends before `offset`: whether that is only its index
    /// lagging behind.
    pub(super) fn lags(&self, queue: &Queue, offset: u64) -> bool {
        self.lags_at(queue, offset, Instant::now())
    }

    fn lags_at(&self, queue: &Queue, offset: u64, now: Instant) -> bool {
        let mut queues = lock(&self.queues);
        let Some(known) = queues.get_mut(queue).filter(|known| offset <= known.at) else {
            return false;
        };
        let since = *known.denied.get_or_insert(now);
        let lags = now.duration_since(since) < LAG_LIMIT;
        if !lags {
            queues.remove(queue);
        }
        lags
    }

    /// The broker shows the queue up to `end`.
    pub(super) fn shown(&self, queue: &Queue, end: u64) {
        if let Some(known) = lock(&self.queues)
            .get_mut(queue)
            .filter(|known| known.at <= end)
        {
            *known = End {
                at: end,
                denied: None,
            };
        }
    }

    /// The known end, while the broker has not denied it for too long.
    pub(super) fn at_least(&self, queue: &Queue, shown: u64) -> u64 {
        self.shown(queue, shown);
        let known = lock(&self.queues)
            .get(queue)
            .map_or(shown, |known| known.at);
        if known > shown && self.lags(queue, known) {
            known
        } else {
            shown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_offset_is_waited_for_and_given_up_in_the_end() {
        let (ends, queue) = (Ends::default(), Queue::new("t", "b", 0));
        let start = Instant::now();
        assert!(!ends.lags_at(&queue, 5, start), "nothing is known");
        ends.reaches(&queue, 10);
        ends.reaches(&queue, 3);
        assert!(ends.lags_at(&queue, 10, start));
        assert!(!ends.lags_at(&queue, 11, start), "beyond what is known");
        assert!(ends.lags_at(&queue, 9, start + LAG_LIMIT / 2));
        assert!(!ends.lags_at(&queue, 9, start + LAG_LIMIT));
        assert!(!ends.lags_at(&queue, 9, start + LAG_LIMIT), "forgotten");
    }

    #[test]
    fn showing_the_end_starts_the_clock_anew() {
        let (ends, queue) = (Ends::default(), Queue::new("t", "b", 0));
        let start = Instant::now();
        ends.reaches(&queue, 10);
        assert!(ends.lags_at(&queue, 10, start));
        ends.shown(&queue, 9);
        assert!(
            ends.lags_at(&queue, 10, start + LAG_LIMIT / 2),
            "not shown yet"
        );
        ends.shown(&queue, 10);
        ends.reaches(&queue, 20);
        assert!(ends.lags_at(&queue, 20, start + LAG_LIMIT));
        assert_eq!(ends.at_least(&queue, 12), 20);
        assert_eq!(ends.at_least(&queue, 25), 25);
    }
}
