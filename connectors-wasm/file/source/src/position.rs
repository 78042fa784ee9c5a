//! Where reading goes on, as it is stored: byte offset, the mark of the file's beginning, and what
//! the last byte read was part of. Text, so that `rocketmq-connect store positions` can show it.
//!
//! `offset=12345 head=1024:9f86d081884c7d65`, and ` at=return` or ` at=inside` behind it when the
//! offset does not stand at the beginning of a line.

use file_shared::Head;

/// What stands before the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// A line end, or the beginning of the file.
    Line,
    /// A CR that has ended a line; an LF that follows belongs to it.
    Return,
    /// The first part of a line, sent as a record of its own.
    Inside,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: u64,
    pub(crate) at: At,
    /// The mark of the bytes before the offset.
    pub(crate) head: Head,
}

impl Position {
    /// The beginning of any file.
    pub(crate) const START: Self = Self {
        offset: 0,
        at: At::Line,
        head: Head::new(),
    };

    /// The place after `bytes`, which follow this one.
    #[inline]
    pub(crate) fn after(&self, bytes: &[u8], at: At) -> Self {
        let mut head = self.head;
        if !head.is_full() {
            head.extend(bytes);
        }
        Self {
            offset: self.offset + bytes.len() as u64,
            at,
            head,
        }
    }

    /// Reads what [`Text`] has written.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let offset = words.next()?.strip_prefix("offset=")?.parse().ok()?;
        let (length, hash) = words.next()?.strip_prefix("head=")?.split_once(':')?;
        let head = Head::of(length.parse().ok()?, u64::from_str_radix(hash, 16).ok()?);
        let at = match words.next() {
            None => At::Line,
            Some("at=return") => At::Return,
            Some("at=inside") => At::Inside,
            Some(_) => return None,
        };
        // The mark covers what is before the offset, so a longer one was not written here.
        (words.next().is_none() && head.length() as u64 <= offset).then_some(Self {
            offset,
            at,
            head,
        })
    }
}

/// Writes positions. Keeps what does not change from one record to the next.
#[derive(Debug, Default)]
pub(crate) struct Text {
    text: Vec<u8>,
    tail: Vec<u8>,
    tail_of: Option<(Head, At)>,
}

impl Text {
    /// The position as text.
    pub(crate) fn of(&mut self, position: &Position) -> &[u8] {
        let Position { offset, at, head } = *position;
        if self.tail_of != Some((head, at)) {
            let at = match at {
                At::Line => "",
                At::Return => " at=return",
                At::Inside => " at=inside",
            };
            self.tail = format!(" head={}:{:016x}{at}", head.length(), head.hash()).into_bytes();
            self.tail_of = Some((head, position.at));
        }
        self.text.clear();
        self.text.extend_from_slice(b"offset=");
        push_digits(&mut self.text, offset);
        self.text.extend_from_slice(&self.tail);
        &self.text
    }
}

/// Written out because it runs once per record.
fn push_digits(text: &mut Vec<u8>, mut number: u64) {
    let begin = text.len();
    loop {
        text.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = text.get_mut(begin..) {
        digits.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut text = Text::default();
        let line = Position::START.after(b"one line\n", At::Line);
        for position in [
            Position::START,
            line,
            line.after(b"two", At::Inside),
            line.after(b"two\r", At::Return),
            Position {
                offset: u64::MAX,
                ..line.after(&[7; 4000], At::Line)
            },
        ] {
            let written = text.of(&position).to_vec();
            assert_eq!(
                Position::parse(&written),
                Some(position),
                "{}",
                String::from_utf8_lossy(&written)
            );
        }
        assert_eq!(
            text.of(&Position::START),
            b"offset=0 head=0:cbf29ce484222325"
        );
    }

    #[test]
    fn what_was_not_written_here_is_refused() {
        for text in [
            "",
            "12",
            "offset=1",
            "offset=1 head=2:00",
            "offset=9 head=2:0 at=x",
            "offset=9 head=2:0 at=inside ",
        ] {
            assert_eq!(Position::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Position::parse(b"\xff"), None);
    }
}
