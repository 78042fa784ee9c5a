//! Waiting for something to become true. Nothing in the tests waits for time to pass: each wait
//! names what it waits for and gives up at a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks; short enough not to matter, long enough not to be a load of its own.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until `look` gives something.
///
/// # Errors
/// `look` failed, or gave nothing within `within`; the text then names `what`.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!(
                "gave up after {} ms waiting until {what}",
                within.as_millis()
            );
        }
        std::thread::park_timeout(PAUSE);
    }
}

/// As [`until`], for a condition.
///
/// # Errors
/// As [`until`].
pub fn until_true(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(what, within, || Ok(look()?.then_some(())))
}

/// Watches for a while that something stays as it is: calls `look` until `length` has passed.
///
/// # Errors
/// The first error of `look`.
pub fn throughout(length: Duration, mut look: impl FnMut() -> Result<()>) -> Result<()> {
    let end = Instant::now() + length;
    while Instant::now() < end {
        look()?;
        std::thread::park_timeout(PAUSE);
    }
    look()
}
