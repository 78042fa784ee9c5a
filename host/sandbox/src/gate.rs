//! How many lines, and how many bytes of them, go to the log in a second. What does not pass is
//! counted, never kept and never waited for.

use std::time::{Duration, Instant};

use crate::limit::Limit;

/// How often dropped lines are reported.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Lets lines through at two rates at once.
#[derive(Debug)]
pub(crate) struct Gate {
    lines: Bucket,
    bytes: Bucket,
    filled: Instant,
    /// When dropped lines were last reported: one report a second is enough.
    reported: Instant,
}

/// A token bucket that holds one second's worth.
#[derive(Debug)]
struct Bucket {
    limit: Limit,
    rate: f64,
    tokens: f64,
    /// Lines dropped for want of tokens since the last report.
    dropped: u64,
}

/// Lines that were dropped by one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) limit: Limit,
    pub(crate) lines: u64,
}

/// A line does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) limit: Limit,
    /// The first one since the last report.
    pub(crate) first: bool,
}

impl Gate {
    pub(crate) fn new(lines: u32, bytes: u32, now: Instant) -> Self {
        let bucket = |limit, rate| Bucket {
            limit,
            rate: f64::from(rate),
            tokens: f64::from(rate),
            dropped: 0,
        };
        Self {
            lines: bucket(Limit::LogLines, lines),
            bytes: bucket(Limit::LogBytes, bytes),
            filled: now,
            reported: now,
        }
    }

    /// Lets a line of so many bytes through, and answers what is to be reported now.
    ///
    /// # Errors
    /// Which limit holds it back.
    pub(crate) fn pass(&mut self, now: Instant, bytes: usize) -> Result<Vec<Dropped>, Held> {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        let bytes = u32::try_from(bytes).map_or(f64::INFINITY, f64::from);
        for (bucket, wanted) in [(&mut self.lines, 1.0), (&mut self.bytes, bytes)] {
            bucket.tokens = (bucket.tokens + elapsed * bucket.rate).min(bucket.rate);
            if bucket.tokens < wanted {
                bucket.dropped += 1;
                return Err(Held {
                    limit: bucket.limit,
                    first: bucket.dropped == 1,
                });
            }
        }
        self.lines.tokens -= 1.0;
        self.bytes.tokens -= bytes;
        let due = now.saturating_duration_since(self.reported) >= REPORT_EVERY;
        if !due || self.lines.dropped + self.bytes.dropped == 0 {
            return Ok(Vec::new());
        }
        self.reported = now;
        Ok(self.dropped())
    }

    /// Takes what was dropped since the last report.
    pub(crate) fn dropped(&mut self) -> Vec<Dropped> {
        [&mut self.lines, &mut self.bytes]
            .into_iter()
            .filter(|bucket| bucket.dropped > 0)
            .map(|bucket| Dropped {
                limit: bucket.limit,
                lines: std::mem::take(&mut bucket.dropped),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_lines_passes_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut gate = Gate::new(10, 1_000_000, start);
        let passed = (0..25).filter(|_| gate.pass(start, 1).is_ok()).count();
        assert_eq!(passed, 10);
        assert_eq!(gate.pass(start + Duration::from_millis(500), 1), Ok(vec![]));
        let later = start + Duration::from_secs(60);
        let dropped = Dropped {
            limit: Limit::LogLines,
            lines: 15,
        };
        assert_eq!(gate.pass(later, 1), Ok(vec![dropped]));
        let passed = (0..100).filter(|_| gate.pass(later, 1).is_ok()).count();
        assert_eq!(passed, 9);
    }

    #[test]
    fn bytes_have_a_rate_of_their_own_and_short_lines_still_pass() {
        let start = Instant::now();
        let mut gate = Gate::new(1_000, 100, start);
        assert_eq!(gate.pass(start, 90), Ok(vec![]));
        for first in [true, false] {
            let limit = Limit::LogBytes;
            assert_eq!(gate.pass(start, 11), Err(Held { limit, first }));
        }
        assert_eq!(gate.pass(start, 10), Ok(vec![]));
        let later = start + Duration::from_secs(2);
        assert_eq!(gate.pass(later, 100).unwrap().len(), 1);
        assert_eq!(gate.dropped(), []);
    }
}
