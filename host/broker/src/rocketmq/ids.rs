//! Ids of messages, in the form that RocketMQ's own clients give them: who made it, when, and a count,
//! in hexadecimal. Tools read the time from it. The client library makes them one by one, with a look at
//! the clock and two allocations for each; here it makes the beginning of a whole batch's.

use std::sync::atomic::{AtomicU16, Ordering};

use rocketmq_model::common::message::message_client_id_setter::MessageClientIDSetter;

/// Characters of the count.
const COUNT: usize = 4;
/// The most that anybody's id has: with an address of 16 bytes.
const LONGEST: usize = 56;

static COUNTER: AtomicU16 = AtomicU16::new(0);

/// Makes the ids of one batch.
pub(super) struct Ids {
    begin: String,
}

/// One id.
pub(super) struct Id {
    text: [u8; LONGEST],
    length: usize,
}

impl Ids {
    pub(super) fn now() -> Self {
        let mut begin = MessageClientIDSetter::create_uniq_id();
        begin.truncate(begin.len().saturating_sub(COUNT));
        Self { begin }
    }

    /// An id that no other message from here has: 65 536 of one millisecond differ.
    pub(super) fn next(&self) -> Id {
        let mut id = Id {
            text: [0; LONGEST],
            length: 0,
        };
        id.put(self.begin.as_bytes());
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        id.put_hexadecimal(&count.to_be_bytes());
        id
    }
}

impl Id {
    pub(super) fn as_str(&self) -> &str {
        let text = self.text.get(..self.length).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.text.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn put_hexadecimal(&mut self, bytes: &[u8]) {
        let digit = |value: u8| {
            if value < 10 {
                b'0' + value
            } else {
                b'A' + value - 10
            }
        };
        for byte in bytes {
            self.put(&[digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_the_librarys_but_for_the_count() {
        let theirs = MessageClientIDSetter::create_uniq_id();
        let ours = Ids::now().next();
        assert_eq!(ours.as_str().len(), theirs.len());
        // behind the maker there are 8 characters of time
        let maker = theirs.len() - COUNT - 8;
        let ours = ours.as_str();
        assert_eq!(ours.split_at(maker).0, theirs.split_at(maker).0);
        let (_, count) = ours.split_at(theirs.len() - COUNT);
        assert!(u16::from_str_radix(count, 16).is_ok(), "{count}");
    }

    #[test]
    fn ids_of_a_batch_differ() {
        let ids = Ids::now();
        let all: HashSet<String> = (0..10_000)
            .map(|_| ids.next().as_str().to_owned())
            .collect();
        assert_eq!(all.len(), 10_000);
    }
}
