//! The sample: lines to move, and the check that they all arrived, in order.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::report::grouped;

/// A file of generated lines and the file that they should end up in.
pub(crate) struct Sample {
    pub(crate) source: PathBuf,
    pub(crate) sink: PathBuf,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

const WORDS: [&str; 16] = [
    "river", "copper", "lantern", "orchard", "signal", "winter", "harbour", "violet", "meadow",
    "quarry", "ember", "saddle", "marble", "thistle", "beacon", "willow",
];

impl Sample {
    /// Writes `lines` numbered lines of 20 to 200 bytes.
    pub(crate) fn write(directory: &Path, lines: u64) -> Result<Self> {
        let source = directory.join("test-source-file.txt");
        let file =
            File::create(&source).with_context(|| format!("cannot create {}", source.display()))?;
        let mut out = BufWriter::new(file);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for number in 1..=lines {
            write!(out, "{number}")?;
            state = next(state);
            for step in 0..2 + state % 24 {
                let word = (state >> (step % 12 * 5)) % 16;
                let word = usize::try_from(word).ok().and_then(|word| WORDS.get(word));
                write!(out, " {}", word.unwrap_or(&"word"))?;
            }
            out.write_all(b"\n")?;
        }
        out.flush()?;
        let bytes = fs::metadata(&source)?.len();
        Ok(Self {
            sink: directory.join("test-sink-file.txt"),
            source,
            lines,
            bytes,
        })
    }

    /// Compares both files byte by byte and says what came out.
    pub(crate) fn compare(&self) -> Result<bool> {
        let mut sent = BufReader::new(File::open(&self.source)?);
        let mut arrived = BufReader::new(File::open(&self.sink)?);
        let (mut line, mut left, mut right) = (1_u64, Vec::new(), Vec::new());
        loop {
            let ours = read_line(&mut sent, &mut left)?;
            let theirs = read_line(&mut arrived, &mut right)?;
            if !ours && !theirs {
                println!(
                    "All {} lines arrived, in order and byte for byte the same.",
                    grouped(self.lines)
                );
                return Ok(true);
            }
            if left != right {
                println!(
                    "Line {line} differs.\n  sent    {}\n  arrived {}",
                    String::from_utf8_lossy(&left).trim_end(),
                    String::from_utf8_lossy(&right).trim_end()
                );
                return Ok(false);
            }
            line += 1;
        }
    }
}

fn read_line(from: &mut BufReader<impl Read>, line: &mut Vec<u8>) -> Result<bool> {
    use std::io::BufRead;
    line.clear();
    Ok(from.read_until(b'\n', line)? > 0)
}

/// One step of xorshift: different words on each line, the same in each run.
fn next(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}
