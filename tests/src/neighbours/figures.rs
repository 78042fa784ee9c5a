//! The figures of a measurement in turns: a turn's rate and latency, and the median of what a pair
//! of turns differs by, with an interval that makes no guess about how they are spread.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// Stands for records that are missing.
pub(super) const MISSING: u32 = u32::MAX;

/// The ages in microseconds between two places of a sink's file.
pub(super) fn read(path: &Path, from: u64, to: u64) -> std::io::Result<Vec<u32>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    let (ages, _) = bytes.as_chunks::<4>();
    Ok(ages.iter().map(|age| u32::from_le_bytes(*age)).collect())
}

/// What was seen in one turn.
#[derive(Clone, Debug)]
pub struct Turn {
    ages: Vec<u32>,
    took: Duration,
}

impl Turn {
    pub(super) fn new(mut ages: Vec<u32>, took: Duration) -> Self {
        ages.sort_unstable();
        Self { ages, took }
    }

    /// Records that arrived in a second.
    pub fn records_a_second(&self) -> f64 {
        self.ages.len() as f64 / self.took.as_secs_f64()
    }

    /// The age below which half of the records were, in microseconds.
    pub fn p50(&self) -> f64 {
        self.below(50)
    }

    /// The age below which 99 of 100 records were, in microseconds.
    pub fn p99(&self) -> f64 {
        self.below(99)
    }

    fn below(&self, percent: usize) -> f64 {
        let at = self.ages.len().saturating_sub(1) * percent / 100;
        self.ages.get(at).copied().map_or(0.0, f64::from)
    }
}

/// A median and the interval around it, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// In the middle.
    pub median: f64,
    /// The interval's ends: the true median is between them in at least 95 of 100 such measurements,
    /// where there are six pairs or more.
    pub ends: (f64, f64),
}

impl Interval {
    /// Of at least one value.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let count = values.len();
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        let median = (at(count.saturating_sub(1) / 2) + at(count / 2)) / 2.0;
        let out = outside(count);
        Self {
            median,
            ends: (at(out), at(count.saturating_sub(1 + out))),
        }
    }

    /// How far the interval reaches from nothing.
    fn reach(&self) -> f64 {
        self.ends.0.abs().max(self.ends.1.abs())
    }
}

/// How many of `count` values may be left out on either side, so that the median is outside in no
/// more than 5 of 100: as in coins that fall on one side.
fn outside(count: usize) -> usize {
    let (mut chance, mut all, mut out) = (
        0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX)),
        0.0,
        0,
    );
    loop {
        all += 2.0 * chance;
        if all > 0.05 || out * 2 >= count {
            return out.saturating_sub(1);
        }
        chance *= (count - out) as f64 / (out + 1) as f64;
        out += 1;
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.ends;
        write!(f, "{:+.1} % ({low:+.1} to {high:+.1})", self.median)
    }
}

/// What the second turn of each pair does to the first.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Records a second.
    pub rate: Interval,
    /// Median of the latency.
    pub p50: Interval,
    /// 99th percentile of the latency.
    pub p99: Interval,
    /// Medians of both latencies in first turns and in second turns, in milliseconds.
    pub ms: [(f64, f64); 2],
}

impl Change {
    pub(super) fn of(pairs: &[(Turn, Turn)]) -> Self {
        let change = |figure: fn(&Turn) -> f64| {
            let changes = pairs
                .iter()
                .map(|(first, second)| (figure(second) / figure(first).max(1e-9) - 1.0) * 100.0);
            Interval::of(changes.collect())
        };
        let ms = |figure: fn(&Turn) -> f64| {
            let first = pairs.iter().map(|(first, _)| figure(first) / 1e3).collect();
            let second = pairs
                .iter()
                .map(|(_, second)| figure(second) / 1e3)
                .collect();
            (Interval::of(first).median, Interval::of(second).median)
        };
        Self {
            rate: change(Turn::records_a_second),
            p50: change(Turn::p50),
            p99: change(Turn::p99),
            ms: [ms(Turn::p50), ms(Turn::p99)],
        }
    }

    /// Whether rate and latency are worse by no more than `noise` reaches and `margin` points.
    pub fn within(&self, noise: &Self, margin: f64) -> bool {
        -self.rate.median <= noise.rate.reach() + margin
            && self.p99.median <= noise.p99.reach() + margin
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(half, half_then), (most, most_then)] = self.ms;
        write!(
            f,
            "rate {}; p50 {}, from {half:.1} to {half_then:.1} ms; p99 {}, from {most:.1} to \
             {most_then:.1} ms",
            self.rate, self.p50, self.p99
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_leaves_out_what_chance_alone_brings() {
        // From the table of the sign test.
        assert_eq!(
            [1, 5, 6, 8, 9, 10, 12, 20].map(outside),
            [0, 0, 0, 0, 1, 1, 2, 5]
        );
        let of = Interval::of((1..=10).map(f64::from).collect());
        assert_eq!((of.median, of.ends), (5.5, (2.0, 9.0)));
    }

    #[test]
    fn a_change_is_judged_in_the_bad_direction_alone() {
        let turn =
            |records: u32, age: u32| Turn::new(vec![age; records as usize], Duration::from_secs(1));
        let change = |records, age| Change::of(&vec![(turn(1000, 100), turn(records, age)); 10]);
        let noise = change(1010, 103);
        assert!(change(2000, 50).within(&noise, 2.0));
        assert!(change(971, 104).within(&noise, 2.0));
        assert!(!change(969, 100).within(&noise, 2.0));
        assert!(!change(1000, 106).within(&noise, 2.0));
    }
}
