//! Whose turn it is, and when: nobody always follows the same other one, and nobody begins while the
//! machine still works off what the last one left.

use std::time::Duration;

use anyhow::{Context, Result};
use connect_tests::wait;

/// How long the machine is looked at, at a time.
const LOOK: Duration = Duration::from_millis(200);
/// Share of all cores that is busy on a quiet machine, in a hundred: brokers have timers of their own.
const QUIET: u64 = 15;
/// Looks after which a run begins all the same: then it is the machine that is not quiet.
const MOST_LOOKS: u32 = 50;

/// The order of `count` subjects in a round. Over `count` rounds, or twice as many where `count` is odd,
/// each is in each place and behind each other one equally often (a Williams design).
pub(crate) fn order(count: usize, round: usize) -> Vec<usize> {
    let (shift, backwards) = if count.is_multiple_of(2) {
        (round, false)
    } else {
        (round / 2, !round.is_multiple_of(2))
    };
    // 0, count - 1, 1, count - 2, …
    let zigzag = (0..count).map(|place| {
        if place.is_multiple_of(2) {
            place / 2
        } else {
            count - place.div_ceil(2)
        }
    });
    let mut order: Vec<usize> = zigzag.map(|at| (at + shift) % count).collect();
    if backwards {
        order.reverse();
    }
    order
}

/// Waits until the machine has next to nothing to do, or for ten seconds.
pub(crate) fn quiet() -> Result<()> {
    let mut last = busy()?;
    for _ in 0..MOST_LOOKS {
        wait::throughout(LOOK, || Ok(()))?;
        let now = busy()?;
        let (work, time) = (now.0.saturating_sub(last.0), now.1.saturating_sub(last.1));
        if work * 100 <= time * QUIET {
            return Ok(());
        }
        last = now;
    }
    eprintln!("the machine does not become quiet");
    Ok(())
}

/// Ticks of all cores in which they worked, and all ticks.
fn busy() -> Result<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    // user nice system idle iowait irq softirq steal; guests' time is in user already
    let ticks = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(str::parse::<u64>);
    let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().context("/proc/stat")?;
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Ok((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn each_is_everywhere_and_behind_each_other_equally_often() {
        for count in 2..=5 {
            let rounds = if count % 2 == 0 { count } else { 2 * count };
            let mut places = vec![vec![0; count]; count];
            let mut behind = vec![vec![0; count]; count];
            for round in 0..rounds {
                let order = order(count, round);
                for (place, at) in order.iter().enumerate() {
                    places[*at][place] += 1;
                }
                for pair in order.windows(2) {
                    behind[pair[1]][pair[0]] += 1;
                }
            }
            let each = rounds / count;
            for at in 0..count {
                assert!(places[at].iter().all(|times| *times == each), "{count}");
                for other in 0..count {
                    let wanted = if other == at { 0 } else { each };
                    assert_eq!(behind[at][other], wanted, "{count}");
                }
            }
        }
    }
}
