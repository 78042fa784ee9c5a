//! A message's properties as they stood on the wire: one text, and where each name and value is in
//! it. Made for every message that is read, so it takes two allocations whatever their number.

use std::fmt;

use crate::message::{NAME_END, VALUE_END};

/// Properties of a message that was read, each name once, in the order of the names.
#[derive(Clone, Default)]
pub struct Properties {
    text: String,
    entries: Vec<Entry>,
}

/// Places in the text: a name up to its separator, a value behind it.
#[derive(Clone, Copy)]
struct Entry {
    begin: u32,
    separator: u32,
    end: u32,
}

impl Properties {
    /// Reads them from the wire: name, U+0001, value, U+0002, and so on. What is no pair, or has an
    /// empty half, is passed over; of one name the last value counts; bytes that are no UTF-8 become
    /// U+FFFD. All of that as in the client library.
    pub(crate) fn from_wire(bytes: &[u8]) -> Self {
        Self::of(String::from_utf8_lossy(bytes).into_owned())
    }

    fn of(text: String) -> Self {
        let mut entries = Vec::with_capacity(8);
        let mut begin = 0;
        for pair in text.split(VALUE_END) {
            let end = begin + pair.len();
            if let Some(length) = pair.find(NAME_END)
                && length > 0
                && length + 1 < pair.len()
            {
                // a text of the wire has at most 32 767 bytes, three times as many with replacements
                let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                entries.push(Entry {
                    begin: place(begin),
                    separator: place(begin + length),
                    end: place(end),
                });
            }
            begin = end + VALUE_END.len();
        }
        let name = |entry: &Entry| within(&text, entry.begin, entry.separator);
        // the sort keeps the order of what is equal, and the first of it stays
        entries.reverse();
        entries.sort_by(|one, other| name(one).cmp(name(other)));
        entries.dedup_by(|later, first| name(later) == name(first));
        Self { text, entries }
    }

    /// The value of a property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .entries
            .binary_search_by(|entry| within(&self.text, entry.begin, entry.separator).cmp(name));
        let entry = found.ok().and_then(|at| self.entries.get(at))?;
        Some(within(&self.text, entry.separator + 1, entry.end))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| {
            let name = within(&self.text, entry.begin, entry.separator);
            (name, within(&self.text, entry.separator + 1, entry.end))
        })
    }
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
