//! A round of random batches that lasts as long as it is told to: `cargo xtask test batches` gives it
//! a minute, every other run a moment. Each part of it has a seed of its own, which a failure names.

use std::fmt::Display;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::random::{agree, damaged, limits, origin};

/// Seconds that the round lasts; without it a moment.
const SECONDS: &str = "CONNECT_BATCH_SECONDS";
/// Seed of its first part; without it one that follows from the time.
const SEED: &str = "CONNECT_BATCH_SEED";
const MOMENT: Duration = Duration::from_millis(200);
/// Batches of one part: few, so that the part that failed fails again at once.
const PART: u32 = 256;

fn set<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let value = text.parse();
    Some(value.unwrap_or_else(|error| panic!("{name} cannot be `{text}`: {error}")))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

#[test]
fn a_round_of_damaged_batches() {
    let length = set(SECONDS).map_or(MOMENT, Duration::from_secs);
    let first = set::<u64>(SEED).unwrap_or_else(now);
    println!("{length:?} of random batches, first seed {first}");
    let (begun, mut parts) = (Instant::now(), 0_u64);
    while parts == 0 || begun.elapsed() < length {
        let seed = first.wrapping_add(parts);
        let mut runner = TestRunner::new(Config {
            cases: PART,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(seed),
            ..Config::default()
        });
        let batches = (damaged(), origin(), limits());
        let ran = runner.run(&batches, |(parts, origin, limits)| {
            agree(parts, origin, &limits)
        });
        if let Err(error) = ran {
            panic!("run again with {SEED}={seed} to see it at once: {error}");
        }
        parts += 1;
    }
    println!(
        "{} batches in {:.1} s, the last seed was {}",
        parts * u64::from(PART),
        begun.elapsed().as_secs_f64(),
        first.wrapping_add(parts - 1)
    );
}
