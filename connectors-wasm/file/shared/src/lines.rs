//! Where lines end. Looks at bytes only: no encoding, no copying, nothing kept between calls.

use memchr::{memchr, memchr2};

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// LF, CR LF and CR alone.
    Any,
    /// LF only; every other byte belongs to the line.
    Lf,
}

/// A line at the front of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Bytes of the line without its end.
    pub content: usize,
    /// Bytes of the line with its end.
    pub total: usize,
}

/// Finds the first line that has ended in `bytes`, of which the first `seen` were searched before.
///
/// A CR at the very end is no line end yet: an LF that follows would belong to it. So whoever
/// searched in vain continues at [`Ends::seen`].
#[inline]
pub fn find_line(bytes: &[u8], seen: usize, ends: Ends) -> Option<Line> {
    let rest = bytes.get(seen..)?;
    match ends {
        Ends::Lf => memchr(LF, rest).map(|at| Line {
            content: seen + at,
            total: seen + at + 1,
        }),
        Ends::Any => {
            let content = seen + memchr2(LF, CR, rest)?;
            if bytes.get(content) == Some(&LF) {
                return Some(Line {
                    content,
                    total: content + 1,
                });
            }
            let after = *bytes.get(content + 1)?;
            Some(Line {
                content,
                total: content + 1 + usize::from(after == LF),
            })
        }
    }
}

impl Ends {
    /// How many of `bytes`, in which no line has ended, need not be searched again.
    pub fn seen(self, bytes: &[u8]) -> usize {
        bytes.len() - usize::from(self == Self::Any && bytes.last() == Some(&CR))
    }

    /// The line when nothing can follow `bytes`, which hold no ended line: a CR at the end ends it
    /// after all.
    pub fn final_line(self, bytes: &[u8]) -> Line {
        Line {
            content: self.seen(bytes),
            total: bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(bytes: &[u8], ends: Ends) -> Option<(usize, usize)> {
        find_line(bytes, 0, ends).map(|line| (line.content, line.total))
    }

    #[test]
    fn every_line_end_is_found() {
        assert_eq!(line(b"ab\ncd", Ends::Any), Some((2, 3)));
        assert_eq!(line(b"ab\r\ncd", Ends::Any), Some((2, 4)));
        assert_eq!(line(b"ab\rcd", Ends::Any), Some((2, 3)));
        assert_eq!(line(b"\r\r", Ends::Any), Some((0, 1)));
        assert_eq!(line(b"ab", Ends::Any), None);
    }

    #[test]
    fn a_return_at_the_end_waits_for_what_follows() {
        assert_eq!(line(b"ab\r", Ends::Any), None);
        assert_eq!(Ends::Any.seen(b"ab\r"), 2);
        assert_eq!(
            Ends::Any.final_line(b"ab\r"),
            Line {
                content: 2,
                total: 3
            }
        );
    }

    #[test]
    fn with_lf_alone_returns_belong_to_the_line() {
        assert_eq!(line(b"a\rb\r\nc", Ends::Lf), Some((4, 5)));
        assert_eq!(Ends::Lf.seen(b"ab\r"), 3);
        assert_eq!(
            Ends::Lf.final_line(b"ab\r"),
            Line {
                content: 3,
                total: 3
            }
        );
    }

    proptest! {
        #[test]
        fn searching_on_finds_what_searching_at_once_finds(
            bytes in prop::collection::vec(prop::sample::select(b"ab\r\n".to_vec()), 0..40),
            cut in 0usize..40,
            any: bool,
        ) {
            let ends = if any { Ends::Any } else { Ends::Lf };
            let part = &bytes[..cut.min(bytes.len())];
            let whole = find_line(&bytes, 0, ends);
            match find_line(part, 0, ends) {
                Some(line) => prop_assert_eq!(Some(line), whole),
                None => prop_assert_eq!(find_line(&bytes, ends.seen(part), ends), whole),
            }
        }
    }
}
