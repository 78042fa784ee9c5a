//! The bytes of one file that were read and not yet sent. A task has one, which whoever reads claims;
//! what another had read of its file is read again later. Never holds more than a longest line and
//! one read beyond.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes asked for at once: enough that the cost of a call does not count.
const READ: usize = 256 * 1024;

/// A part of a file, from the first byte that was not yet sent.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes from `start` hold no line end.
    pub(crate) seen: usize,
    owner: Option<Owner>,
    owners: u64,
    /// Whether the file must be told where to read: after the end of a file, and whenever it was
    /// read from elsewhere.
    lost: bool,
}

/// Stands for one open file while it is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(u64);

impl Buffer {
    /// Someone new who may own it.
    pub(crate) fn owner(&mut self) -> Owner {
        self.owners += 1;
        Owner(self.owners)
    }

    /// Makes `owner` the one whose file this is; empties it unless it was so already.
    pub(crate) fn claim(&mut self, owner: Owner) {
        if self.owner != Some(owner) {
            self.drop_bytes();
            self.owner = Some(owner);
        }
    }

    /// Whether this holds the bytes of `owner`.
    pub(crate) fn is_of(&self, owner: Owner) -> bool {
        self.owner == Some(owner)
    }

    /// Forgets what was read; the next read begins at its offset.
    pub(crate) fn drop_bytes(&mut self) {
        (self.start, self.end, self.seen, self.lost) = (0, 0, 0, true);
    }

    /// The file was read from elsewhere, or its end was reached.
    pub(crate) fn lose_place(&mut self) {
        self.lost = true;
    }

    /// What was read and not yet consumed.
    #[inline]
    pub(crate) fn window(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes the first bytes away.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        self.seen = 0;
    }

    /// Reads more of `file`; the window begins at `offset` of it. Answers how many bytes came.
    pub(crate) fn read(&mut self, mut file: &File, offset: u64) -> io::Result<usize> {
        self.make_room();
        if self.lost {
            file.seek(SeekFrom::Start(offset + self.window().len() as u64))?;
            self.lost = false;
        }
        let room = self.bytes.get_mut(self.end..).unwrap_or_default();
        loop {
            match file.read(room) {
                Ok(count) => {
                    self.end += count;
                    // A stream that has ended stays so; seeking makes a new one.
                    self.lost = count == 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lost = true;
                    return Err(error);
                }
            }
        }
    }

    /// Moves the window to the front and grows when less than half a read would fit.
    fn make_room(&mut self) {
        let kept = self.end - self.start;
        if self.bytes.len() - self.end >= READ / 2 {
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, kept);
        }
        if self.bytes.len() - self.end < READ / 2 {
            self.bytes.resize((kept * 2).max(READ), 0);
        }
    }

    /// Gives back the memory that an unusually long line took.
    pub(crate) fn shrink(&mut self) {
        if self.bytes.len() > 2 * READ && self.end - self.start < READ / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.bytes.truncate(READ);
            self.bytes.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_consumed_makes_room_and_nothing_is_lost() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..3 * READ).map(|number| (number % 251) as u8).collect();
        file.write_all(&content).unwrap();
        let mut buffer = Buffer::default();
        let owner = buffer.owner();
        buffer.claim(owner);
        let mut offset = 0;
        let mut seen = Vec::new();
        while buffer.read(&file, offset).unwrap() > 0 {
            let take = (buffer.window().len() * 2 / 3).max(1);
            seen.extend_from_slice(&buffer.window()[..take]);
            buffer.consume(take);
            offset += take as u64;
        }
        seen.extend_from_slice(buffer.window());
        assert!(seen == content);
        assert!(buffer.bytes.len() <= 3 * READ, "{}", buffer.bytes.len());
    }

    #[test]
    fn another_owner_reads_from_its_own_place() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut buffer = Buffer::default();
        let (one, two) = (buffer.owner(), buffer.owner());
        buffer.claim(one);
        buffer.read(&file, 4).unwrap();
        assert_eq!(buffer.window(), b"456789");
        buffer.claim(one);
        assert_eq!(buffer.window(), b"456789");
        buffer.claim(two);
        assert_eq!(buffer.window(), b"");
        buffer.read(&file, 8).unwrap();
        assert_eq!(buffer.window(), b"89");
    }
}
