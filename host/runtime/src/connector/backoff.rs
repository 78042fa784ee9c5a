//! When a failed task starts again.

use std::time::Duration;

use crate::settings::Restart;

/// Pause before the start after `failures` failures in a row; none when it shall not start again
/// by itself.
pub(crate) fn pause(restart: &Restart, failures: u32, seed: u64) -> Option<Duration> {
    if failures > restart.attempts {
        return None;
    }
    let doublings = failures.saturating_sub(1).min(16);
    let full = restart
        .first
        .saturating_mul(1 << doublings)
        .min(restart.longest);
    // up to a tenth less, so that tasks that failed together do not come back together
    let less = full.mul_f64(fraction(seed) / 10.0);
    Some(full.saturating_sub(less))
}

/// A number from 0 to 1 out of any seed.
fn fraction(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let restart = Restart {
            attempts: 8,
            ..Restart::default()
        };
        let seconds: Vec<f64> = (1..=8)
            .filter_map(|failures| pause(&restart, failures, 7))
            .map(|pause| pause.as_secs_f64())
            .collect();
        assert_eq!(seconds.len(), 8);
        for (found, full) in seconds
            .iter()
            .zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])
        {
            assert!((full * 0.9..=full).contains(found), "{found} of {full}");
        }
        assert_eq!(pause(&restart, 9, 7), None);
        assert_eq!(
            pause(
                &Restart {
                    attempts: 0,
                    ..restart
                },
                1,
                7
            ),
            None
        );
    }
}
