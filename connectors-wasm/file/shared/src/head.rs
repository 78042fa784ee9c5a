//! The beginning of a file as its mark: what was read of its first bytes, as length and hash. Tells
//! whether a file is the one that was read before, where no inode survives a restart.

/// How many bytes at most make the mark.
pub const HEAD: usize = 1024;

/// Length and hash (FNV-1a, 64 bits) of the first bytes of a file, at most [`HEAD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    length: u16,
    hash: u64,
}

impl Head {
    /// The mark of nothing, which every file has.
    pub const fn new() -> Self {
        Self {
            length: 0,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// A mark that was written down.
    pub const fn of(length: u16, hash: u64) -> Self {
        Self { length, hash }
    }

    /// How many bytes it covers.
    pub fn length(&self) -> usize {
        self.length.into()
    }

    /// Their hash.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it covers all it ever will.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.length() >= HEAD
    }

    /// Takes in the bytes that follow, as far as they still count.
    pub fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(HEAD.saturating_sub(self.length())) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            self.length += 1;
        }
    }

    /// Whether a file that begins with `bytes` has this mark.
    pub fn is_mark_of(&self, bytes: &[u8]) -> bool {
        let Some(beginning) = bytes.get(..self.length()) else {
            return false;
        };
        let mut head = Self::new();
        head.extend(beginning);
        head == *self
    }
}

impl Default for Head {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_same_mark_as_the_whole() {
        let bytes: Vec<u8> = (0..3000u32).map(|number| number as u8).collect();
        let mut whole = Head::new();
        whole.extend(&bytes);
        let mut pieces = Head::new();
        bytes.chunks(7).for_each(|piece| pieces.extend(piece));
        assert_eq!(whole, pieces);
        assert!(whole.is_full() && whole.is_mark_of(&bytes) && whole.is_mark_of(&bytes[..HEAD]));
    }

    #[test]
    fn other_and_shorter_beginnings_do_not_have_it() {
        let mut head = Head::new();
        head.extend(b"one\n");
        assert!(head.is_mark_of(b"one\ntwo\n"));
        assert!(!head.is_mark_of(b"One\ntwo\n"));
        assert!(!head.is_mark_of(b"one"));
        assert!(Head::new().is_mark_of(b""));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut head = Head::new();
        head.extend(b"foobar");
        assert_eq!(head.hash(), 0x8594_4171_f739_67e8);
    }
}
