//! Watches the sink's file grow and tells how far and how fast.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::report::grouped;
use super::sample::Sample;

/// Without a new byte for this long something is wrong.
const STALL: Duration = Duration::from_secs(30);

pub(crate) struct Progress<'a> {
    sample: &'a Sample,
    file: Option<File>,
    buffer: Vec<u8>,
    lines: u64,
    bytes: u64,
    begun: Instant,
    moved: Instant,
    shown: Instant,
    shown_lines: u64,
    terminal: bool,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(sample: &'a Sample) -> Self {
        let now = Instant::now();
        Self {
            sample,
            file: None,
            buffer: vec![0; 1 << 16],
            lines: 0,
            bytes: 0,
            begun: now,
            moved: now,
            shown: now,
            shown_lines: 0,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    pub(crate) fn complete(&self) -> bool {
        self.bytes >= self.sample.bytes
    }

    /// Reads what is new in the file; true when there was something.
    pub(crate) fn look(&mut self) -> Result<bool> {
        if self.file.is_none() {
            match File::open(&self.sample.sink) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error).context("cannot read the sink's file"),
            }
        }
        let mut new = false;
        while let Some(file) = &mut self.file {
            let read = file.read(&mut self.buffer)?;
            if read == 0 {
                break;
            }
            let bytes = self.buffer.get(..read).unwrap_or_default();
            self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.bytes += read as u64;
            self.moved = Instant::now();
            new = true;
        }
        if self.shown.elapsed() >= Duration::from_secs(1) && self.lines > 0 {
            self.show();
        }
        Ok(new)
    }

    /// How long nothing has arrived, once that is too long.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        Some(self.moved.elapsed()).filter(|silence| *silence > STALL)
    }

    /// The last line of the progress: the whole way and its mean rate.
    pub(crate) fn finish(&self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        println!(
            "{}{} lines, {:.1} MB in {seconds:.1} s: {} lines a second from file to file",
            if self.terminal { "\r" } else { "" },
            grouped(self.lines),
            self.bytes as f64 / 1e6,
            grouped(rate(self.lines, seconds)),
        );
    }

    fn show(&mut self) {
        let seconds = self.shown.elapsed().as_secs_f64();
        let line = format!(
            "{:>12} of {} lines  {:>10} a second",
            grouped(self.lines),
            grouped(self.sample.lines),
            grouped(rate(self.lines - self.shown_lines, seconds)),
        );
        if self.terminal {
            print!("\r{line}");
            // A terminal that cannot be written to has no one to tell.
            drop(std::io::stdout().flush());
        } else {
            println!("{line}");
        }
        self.shown = Instant::now();
        self.shown_lines = self.lines;
    }
}

fn rate(lines: u64, seconds: f64) -> u64 {
    (lines as f64 / seconds.max(0.001)) as u64
}
