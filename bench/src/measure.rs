//! Samples and what follows from them. Must compare only samples of the same round: whatever slows the machine down
//! for a while slows all of a round's cases.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Something to measure.
pub struct Case<'a> {
    /// Runs it this many times; answers the time on this thread's processor.
    sample: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    /// A case that runs `once` each time.
    pub fn new(mut once: impl FnMut() + 'a) -> Self {
        Self::sampled(move |times| (0..times).for_each(|_| once()))
    }

    /// A case that runs itself so many times, for those that pay something once a sample, such as entering a runtime.
    pub fn sampled(mut many: impl FnMut(u64) + 'a) -> Self {
        Self {
            sample: Box::new(move |times| {
                let start = cpu_time();
                many(times);
                cpu_time().saturating_sub(start)
            }),
        }
    }
}

impl std::fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").finish_non_exhaustive()
    }
}

/// Time that this thread has spent on a processor.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = Duration::from_secs(time.tv_sec.try_into().unwrap_or(0));
    seconds + Duration::from_nanos(time.tv_nsec.try_into().unwrap_or(0))
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each case.
    pub rounds: usize,
    /// Length of a sample.
    pub sample: Duration,
}

/// The samples of one case, in nanoseconds a run, one a round.
#[derive(Clone, Debug)]
pub struct Figures(Vec<f64>);

/// How much longer one case takes than another: over all rounds, the median and the quartiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The lower quartile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper quartile.
    pub high: f64,
}

impl Figures {
    /// All samples for each of `count` things that a run does, in nanoseconds.
    pub fn each(&self, count: usize) -> Vec<f64> {
        self.0.iter().map(|sample| sample / count as f64).collect()
    }

    /// The median, in nanoseconds a run.
    pub fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// How much longer this takes than `base`, which was measured in the same rounds.
    pub fn over(&self, base: &Self) -> Ratio {
        let ratios: Vec<f64> = self
            .0
            .iter()
            .zip(&base.0)
            .map(|(one, base)| one / base.max(0.01))
            .collect();
        Ratio {
            low: quantile(&ratios, 0.25),
            median: quantile(&ratios, 0.5),
            high: quantile(&ratios, 0.75),
        }
    }
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small index"
    )]
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Measures all cases, one sample of each a round, and answers their figures in the same order.
pub fn run(cases: &mut [Case<'_>], effort: Effort) -> Vec<Figures> {
    let times: Vec<u64> = cases
        .iter_mut()
        .map(|case| calibrate(case, effort.sample))
        .collect();
    let mut figures: Vec<Figures> = cases
        .iter()
        .map(|_| Figures(Vec::with_capacity(effort.rounds)))
        .collect();
    for _ in 0..effort.rounds {
        for ((case, figures), times) in cases.iter_mut().zip(&mut figures).zip(&times) {
            let spent = (case.sample)(*times);
            figures.0.push(spent.as_nanos() as f64 / *times as f64);
        }
    }
    figures
}

/// How many runs make a sample. Warms the case up on the way.
fn calibrate(case: &mut Case<'_>, sample: Duration) -> u64 {
    const MOST: u64 = 1 << 24;
    let mut times = 1;
    loop {
        let spent = (case.sample)(times);
        if spent >= sample / 2 || times >= MOST {
            let share = sample.as_secs_f64() / spent.as_secs_f64().max(1e-9);
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive and below the cap"
            )]
            let wanted = (times as f64 * share.min(4.0)) as u64;
            return wanted.clamp(1, MOST);
        }
        times *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_ratios_within_rounds() {
        // Round by round the second takes twice as long, whatever the machine did meanwhile.
        let base = Figures(vec![1.0, 8.0, 2.0, 3.0, 5.0]);
        let other = Figures(vec![2.0, 16.0, 4.0, 6.0, 15.0]);
        assert_eq!(
            other.over(&base),
            Ratio {
                low: 2.0,
                median: 2.0,
                high: 2.0
            }
        );
        assert_eq!(base.median(), 3.0);
    }

    #[test]
    fn longer_work_takes_longer() {
        let work = |rounds: u64| {
            move || (0..rounds).for_each(|number| _ = std::hint::black_box(number * number))
        };
        let mut cases = [Case::new(work(1_000)), Case::new(work(16_000))];
        let figures = run(
            &mut cases,
            Effort {
                rounds: 5,
                sample: Duration::from_millis(2),
            },
        );
        let ratio = figures[1].over(&figures[0]).median;
        assert!((4.0..64.0).contains(&ratio), "{ratio}");
    }
}
