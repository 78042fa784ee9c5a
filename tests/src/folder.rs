//! A folder for one test, and the machine to itself: tests of times and processor shares must not
//! run beside each other on two cores.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

static ALONE: Mutex<()> = Mutex::new(());

/// Runs a test in a folder of its own, no other test of this binary beside it. The folder stays
/// when the test fails.
///
/// # Errors
/// Those of `work`, with the folder's place.
pub fn alone(work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::Builder::new().prefix("connect-test-").tempdir()?;
    match work(folder.path()) {
        Ok(()) => folder.close().context("cannot remove the test's folder"),
        Err(error) => {
            let kept = folder.keep();
            Err(error.context(format!("the test's files are in {}", kept.display())))
        }
    }
}
