//! Tests that cannot do their work on this machine say so, where `cargo xtask test` counts it.
//! A silent pass would be a lie.

use std::io::Write;

use anyhow::{Context, Result};

/// Notes that `test` was skipped because of `reason`.
///
/// # Errors
/// The note cannot be written.
pub fn note(test: &str, reason: &str) -> Result<()> {
    let line = format!("{test}: {reason}\n");
    match std::env::var_os("CONNECT_SKIPPED_TESTS") {
        Some(path) => std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("cannot note a skipped test in {}", path.display())),
        None => std::io::stderr()
            .write_all(format!("skipped {line}").as_bytes())
            .context("cannot tell of a skipped test"),
    }
}
