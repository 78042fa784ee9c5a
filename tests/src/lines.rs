//! The lines that are sent: of every length and content that has ever broken something, the same
//! for the same seed, each to be recognised wherever it turns up.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::outline;

/// Median length of a line in bytes.
const MEDIAN: f64 = 200.0;
/// Spread of the logarithm: with this one a million lines make about a gibibyte.
const SIGMA: f64 = 1.83;
/// Longest line: well below what fits into one message.
const LONGEST: f64 = 512.0 * 1024.0;
/// One line in so many is longer than 60 KiB whatever chance says.
const LONG_EVERY: u64 = 4_000;
const LONG: usize = 61 * 1024;
/// One line in so many is empty, where a file has empty lines.
const EMPTY_EVERY: u64 = 23;

/// Random numbers that are the same in every run (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// A number from 0 to 1, neither included.
    fn unit(&mut self) -> f64 {
        ((self.number() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A normally distributed number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// One file that a source reads, written in portions.
#[derive(Debug)]
pub struct Feed {
    /// The file's own name.
    pub name: String,
    path: PathBuf,
    number: usize,
    chance: Chance,
    empty_lines: bool,
    hashes: Vec<u64>,
    /// Byte offset behind each line.
    ends: Vec<u64>,
    /// Bytes that belong to the last line, kept back so that the file ends within a line.
    kept: Vec<u8>,
    bytes: u64,
}

impl Feed {
    /// The file number `number` in `folder`, empty so far.
    ///
    /// Empty lines cannot be told apart, so where several files share a queue only one may have
    /// any (`empty_lines`).
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(folder: &Path, number: usize, seed: u64, empty_lines: bool) -> Result<Self> {
        std::fs::create_dir_all(folder).context("cannot make the sources' folder")?;
        let name = format!("f{number:02}.txt");
        let path = folder.join(&name);
        File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self {
            name,
            path,
            number,
            chance: Chance::new(seed ^ (number as u64) << 32),
            empty_lines,
            hashes: Vec::new(),
            ends: Vec::new(),
            kept: Vec::new(),
            bytes: 0,
        })
    }

    /// Appends `lines` lines, the last one cut somewhere: its rest comes with the next portion.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, lines: u64) -> Result<()> {
        let mut out = std::mem::take(&mut self.kept);
        let mut line = Vec::new();
        for _ in 0..lines {
            self.make_line(&mut line);
            self.push(&line, &mut out);
            if out.len() > 1 << 22 {
                self.write(&out)?;
                out.clear();
            }
        }
        let cut = line.len() + 1;
        let cut = self.chance.below(cut.min(out.len()) as u64 + 1);
        let whole = out.len() - usize::try_from(cut)?;
        self.kept = out.split_off(whole);
        self.write(&out)
    }

    /// Appends what was kept back and one last line, different from all others.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        let mut out = std::mem::take(&mut self.kept);
        let line = format!("{:x}.end", self.number);
        self.push(line.as_bytes(), &mut out);
        self.write(&out)
    }

    /// The last line, as [`Feed::finish`] wrote it.
    pub fn last_line(&self) -> Vec<u8> {
        format!("{:x}.end\n", self.number).into_bytes()
    }

    /// A hash of every line so far, in order.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Which line begins at a byte offset; none within a line or beyond the end.
    pub fn line_at(&self, offset: u64) -> Option<usize> {
        if offset == 0 {
            return Some(0);
        }
        self.ends.binary_search(&offset).ok().map(|line| line + 1)
    }

    /// Bytes so far, those kept back included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn push(&mut self, line: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(line);
        out.push(b'\n');
        self.bytes += line.len() as u64 + 1;
        self.hashes.push(outline::hash(line));
        self.ends.push(self.bytes);
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn make_line(&mut self, line: &mut Vec<u8>) {
        line.clear();
        let index = self.hashes.len() as u64;
        if self.empty_lines && self.chance.below(EMPTY_EVERY) == 0 {
            return;
        }
        // Recognisable at its start: no two lines of a run are the same, but the empty ones.
        line.extend_from_slice(format!("{:x}.{index:x}.", self.number).as_bytes());
        let length = (MEDIAN.ln() + SIGMA * self.chance.normal())
            .exp()
            .min(LONGEST) as usize;
        let length = if index % LONG_EVERY == LONG_EVERY / 2 {
            LONG + length
        } else {
            length
        };
        match self.chance.below(8) {
            0 => self.any_bytes(line, length),
            1 => {
                self.letters(line, length);
                line.extend_from_slice(b" cr\rinside \r\r");
            }
            _ => self.letters(line, length),
        }
    }

    /// Every byte but the line end, most of it no UTF-8.
    fn any_bytes(&mut self, line: &mut Vec<u8>, length: usize) {
        while line.len() < length {
            let bytes = self.chance.number().to_le_bytes();
            line.extend(
                bytes
                    .iter()
                    .map(|byte| if *byte == b'\n' { b'\r' } else { *byte }),
            );
        }
    }

    fn letters(&mut self, line: &mut Vec<u8>, length: usize) {
        while line.len() < length {
            let bytes = self.chance.number().to_le_bytes();
            line.extend(bytes.iter().map(|byte| b' ' + byte % 95));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Feed;
    use crate::outline;

    #[test]
    fn portions_add_up_to_the_lines_that_were_noted() {
        let folder = tempfile::tempdir().unwrap();
        let mut feed = Feed::create(folder.path(), 3, 7, true).unwrap();
        for lines in [1, 100, 0, 900] {
            feed.append(lines).unwrap();
        }
        feed.finish().unwrap();
        let read = outline::read(feed.path()).unwrap();
        assert_eq!(read.lines, feed.hashes());
        assert_eq!(read.lines.len(), 1002);
        assert!(!read.torn);
        assert_eq!(std::fs::metadata(feed.path()).unwrap().len(), feed.bytes());
    }

    #[test]
    fn the_content_is_as_nasty_as_promised() {
        let folder = tempfile::tempdir().unwrap();
        let mut feed = Feed::create(folder.path(), 0, 1, true).unwrap();
        feed.append(20_000).unwrap();
        feed.finish().unwrap();
        let bytes = std::fs::read(feed.path()).unwrap();
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let count = |test: fn(&[u8]) -> bool| lines.iter().filter(|line| test(line)).count();
        assert!(count(|line| line.len() > 60 * 1024) >= 5);
        assert!(count(<[u8]>::is_empty) > 500);
        assert!(count(|line| line.contains(&b'\r')) > 1_000);
        assert!(count(|line| std::str::from_utf8(line).is_err()) > 1_000);
        let mut lengths: Vec<usize> = lines.iter().map(|line| line.len()).collect();
        lengths.sort_unstable();
        let median = lengths[lengths.len() / 2];
        assert!((150..250).contains(&median), "median {median}");
    }

    #[test]
    fn the_same_seed_gives_the_same_lines() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut first = Feed::create(one.path(), 0, 1, true).unwrap();
        let mut second = Feed::create(two.path(), 0, 1, true).unwrap();
        first.append(50).unwrap();
        second.append(50).unwrap();
        assert_eq!(first.hashes(), second.hashes());
    }
}
