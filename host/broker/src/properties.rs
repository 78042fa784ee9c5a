//! A message's properties as they stood on the wire: one text, and where each name and value is in
//! it. Made for every message that is read, so it takes two allocations whatever their number.

use std::cmp::Ordering;
use std::fmt;

use crate::message::{NAME_END, VALUE_END};

/// The same as bytes.
const NAME_ENDS: u8 = 1;
const VALUE_ENDS: u8 = 2;

/// Properties of a message that was read, each name once, in the order of the names.
#[derive(Clone, Default)]
pub struct Properties {
    text: String,
    entries: Vec<Entry>,
}

/// Places in the text: a name up to its separator, a value behind it.
#[derive(Clone, Copy)]
struct Entry {
    /// The name's first bytes, by which most names differ.
    start: u64,
    begin: u32,
    separator: u32,
    end: u32,
}

impl Properties {
    /// Reads them from the wire: name, U+0001, value, U+0002, and so on. What is no pair, or has an
    /// empty half, is passed over; of one name the last value counts; bytes that are no UTF-8 become
    /// U+FFFD. All of that as in the client library.
    pub(crate) fn from_wire(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::of(text.to_owned()),
            Err(_) => Self::of(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    fn of(text: String) -> Self {
        let mut entries = Vec::with_capacity(8);
        let (mut begin, mut separator) = (0, None);
        let mut enter = |begin: usize, separator: Option<usize>, end: usize| {
            let Some(separator) = separator.filter(|at| *at > begin && at + 1 < end) else {
                return;
            };
            let name = text.as_bytes().get(begin..separator).unwrap_or_default();
            // a text of the wire has at most 32 767 bytes, three times as many with replacements
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            entries.push(Entry {
                start: start(name),
                begin: place(begin),
                separator: place(separator),
                end: place(end),
            });
        };
        let separators = memchr::memchr2_iter(NAME_ENDS, VALUE_ENDS, text.as_bytes());
        for at in separators {
            if text.as_bytes().get(at) == Some(&VALUE_ENDS) {
                enter(begin, separator.take(), at);
                begin = at + 1;
            } else {
                // a further one belongs to the value
                separator = separator.or(Some(at));
            }
        }
        enter(begin, separator, text.len());
        // the sort keeps the order of what is equal, and the last of it stays
        entries.sort_by(|one, other| one.compare(&text, other.start, other.name(&text)));
        entries.dedup_by(|later, first| {
            let same = later.compare(&text, first.start, first.name(&text)).is_eq();
            if same {
                *first = *later;
            }
            same
        });
        Self { text, entries }
    }

    /// Bytes of them on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The value of a property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let start = start(name.as_bytes());
        let found = self
            .entries
            .binary_search_by(|entry| entry.compare(&self.text, start, name));
        let entry = found.ok().and_then(|at| self.entries.get(at))?;
        Some(entry.value(&self.text))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.name(&self.text), entry.value(&self.text)))
    }
}

impl Entry {
    fn name<'a>(&self, text: &'a str) -> &'a str {
        within(text, self.begin, self.separator)
    }

    fn value<'a>(&self, text: &'a str) -> &'a str {
        within(text, self.separator + 1, self.end)
    }

    /// As the names compare; `start` is the other name's.
    fn compare(&self, text: &str, start: u64, name: &str) -> Ordering {
        let first = self.start.cmp(&start);
        first.then_with(|| self.name(text).cmp(name))
    }
}

/// The first eight bytes of a name, zeros behind a shorter one: they compare as names do, but for those
/// that are equal so far.
fn start(name: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (byte, from) in bytes.iter_mut().zip(name) {
        *byte = *from;
    }
    u64::from_be_bytes(bytes)
}

/// Every place is at the begin or end of a separator, which is one byte.
fn within(text: &str, begin: u32, end: u32) -> &str {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    text.get(place(begin)..place(end)).unwrap_or_default()
}

/// For tests and stand-ins: neither half may hold U+0001 or U+0002.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Properties {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            text.push_str(name.as_ref());
            text.push_str(NAME_END);
            text.push_str(value.as_ref());
            text.push_str(VALUE_END);
        }
        Self::of(text)
    }
}

impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Properties {}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rocketmq_protocol::protocol::body::message_codec::decode_properties;

    #[test]
    fn what_is_no_pair_is_passed_over_and_the_last_value_counts() {
        let wire = "b\u{1}1\u{2}\u{1}x\u{2}lone\u{2}empty\u{1}\u{2}ä\u{1}ü\u{1}y\u{2}b\u{1}2";
        let read = Properties::from_wire(wire.as_bytes());
        let all: Vec<(&str, &str)> = read.iter().collect();
        assert_eq!(all, [("b", "2"), ("ä", "ü\u{1}y")]);
        assert_eq!((read.get("b"), read.get("c")), (Some("2"), None));
        assert_eq!(read, [("ä", "ü\u{1}y"), ("b", "2")].into_iter().collect());
        assert_eq!(Properties::from_wire(b""), Properties::default());
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_by_name(
            pairs in proptest::collection::btree_map("[a-c\u{0}]{1,12}", "[a-c]{1,3}", 0..30)
        ) {
            let read: Properties = pairs.iter().collect();
            for (name, value) in &pairs {
                prop_assert_eq!(read.get(name), Some(value.as_str()));
            }
            let names: Vec<&str> = read.iter().map(|(name, _)| name).collect();
            let expected: Vec<&str> = pairs.keys().map(String::as_str).collect();
            prop_assert_eq!(names, expected, "in their order");
        }

        /// The library is the judge of what is on the wire.
        #[test]
        fn any_bytes_are_read_as_the_library_reads_them(
            wire in proptest::collection::vec(
                prop_oneof![Just(1_u8), Just(2_u8), Just(b'a'), Just(b'b'), any::<u8>()],
                0..200,
            )
        ) {
            let theirs = decode_properties(&wire);
            let mut theirs: Vec<(String, String)> = theirs
                .into_iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            theirs.sort();
            let read = Properties::from_wire(&wire);
            let ours: Vec<(String, String)> = read
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            prop_assert_eq!(&ours, &theirs);
            for (name, value) in &theirs {
                prop_assert_eq!(read.get(name), Some(value.as_str()));
            }
        }
    }
}
