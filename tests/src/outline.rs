//! A file as a list of line hashes: gibibytes are compared without being held.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};

/// The lines of a file, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// A hash of each whole line, its line end left out.
    pub lines: Vec<u64>,
    /// Whether bytes without a line end follow.
    pub torn: bool,
}

/// The hash of one line. The same in every process.
pub fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line);
    hasher.finish()
}

/// The hash of an empty line, which says nothing about where it comes from.
pub fn empty() -> u64 {
    hash(b"")
}

/// Reads a file; one that does not exist has no lines.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> Result<Outline> {
    let mut outline = Outline::default();
    if !path.exists() {
        return Ok(outline);
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .with_context(|| format!("cannot read {}", path.display()))?;
        match line.strip_suffix(b"\n") {
            _ if length == 0 => return Ok(outline),
            Some(line) => outline.lines.push(hash(line)),
            None => outline.torn = true,
        }
    }
}
