//! Messages to wire bytes: the properties' text form and the batch body. Pure; the caller has
//! checked the messages, here nothing is refused or changed.

use super::ids::{Id, Ids};
use crate::message::{ID_PROPERTY_BYTES, NAME_END, Outgoing, VALUE_END};
use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_model::common::message::{MessageConst, STRING_HASH_SET};
use std::sync::LazyLock;

/// Whether RocketMQ gives a meaning of its own to a property of this name.
pub(crate) fn is_reserved_property(name: &str) -> bool {
    /// Which first bytes those names have: nearly no other name begins like that, and none of the
    /// worker's.
    static FIRST: LazyLock<[bool; 256]> = LazyLock::new(|| {
        let mut first = [false; 256];
        for name in STRING_HASH_SET.iter() {
            let byte = name.as_bytes().first();
            if let Some(seen) = byte.and_then(|byte| first.get_mut(usize::from(*byte))) {
                *seen = true;
            }
        }
        first
    });
    let byte = name.as_bytes().first();
    let may_be = byte.and_then(|byte| FIRST.get(usize::from(*byte)));
    may_be == Some(&true) && STRING_HASH_SET.contains(name)
}

/// All properties of a message, with a new message id.
pub(super) fn properties(message: &Outgoing) -> String {
    let mut text = String::with_capacity(message.properties_size() + ID_PROPERTY_BYTES);
    each_property(message, &Ids::now().next(), |part| text.push_str(part));
    text
}

/// The parts of the properties' text, one after the other.
fn each_property(message: &Outgoing, id: &Id, mut put: impl FnMut(&str)) {
    let id = (
        MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX,
        id.as_str(),
    );
    for (name, value) in message.all_properties().chain([id]) {
        for part in [name, NAME_END, value, VALUE_END] {
            put(part);
        }
    }
}

/// Several messages as one body.
pub(super) fn batch(messages: &[Outgoing]) -> Bytes {
    let mut out = BytesMut::with_capacity(messages.iter().map(Outgoing::wire_size).sum());
    let ids = Ids::now();
    for message in messages {
        let begin = out.len();
        out.put_u32(0); // the frame's length, below
        out.put_u32(0); // magic code, filled in by the broker
        out.put_u32(0); // checksum, likewise
        out.put_u32(0); // flag
        put_length(&mut out, message.body.len());
        out.put_slice(&message.body);
        let length = out.len();
        out.put_u16(0);
        each_property(message, &ids.next(), |part| out.put_slice(part.as_bytes()));
        // At most 32 767 by the check before.
        let properties = out.len() - length - size_of::<u16>();
        let properties = u16::try_from(properties).unwrap_or(u16::MAX);
        fill(&mut out, length, &properties.to_be_bytes());
        let frame = u32::try_from(out.len() - begin).unwrap_or(u32::MAX);
        fill(&mut out, begin, &frame.to_be_bytes());
    }
    out.freeze()
}

/// Writes over what was left open.
fn fill(out: &mut BytesMut, at: usize, bytes: &[u8]) {
    if let Some(open) = out.get_mut(at..at + bytes.len()) {
        open.copy_from_slice(bytes);
    }
}

fn put_length(out: &mut BytesMut, length: usize) {
    // At most 4 MiB by the check before.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocketmq_model::common::message::MessageTrait;
    use rocketmq_protocol::common::message::message_decoder;

    #[test]
    fn the_client_library_reads_what_we_write() {
        let mut first = Outgoing::new(vec![0_u8, 255, 1, 2]);
        first.keys = Some("k 1".into());
        first.tags = Some("tag".into());
        first.properties = vec![
            ("n".into(), "vä\n".into()),
            ("e=".into(), "{\"a\":1}".into()),
        ];
        let second = Outgoing::new("b");
        let mut bytes = batch(&[first.clone(), second.clone()]);
        assert!(bytes.len() <= first.wire_size() + second.wire_size());
        let read = message_decoder::decode_messages(&mut bytes);
        assert_eq!(read.len(), 2);
        let property = |at: usize, name: &'static str| {
            read[at]
                .property(&cheetah_string::CheetahString::from_slice(name))
                .map(|value| value.to_string())
        };
        assert_eq!(read[0].get_body().unwrap(), &first.body);
        assert_eq!(property(0, "KEYS").as_deref(), Some("k 1"));
        assert_eq!(property(0, "TAGS").as_deref(), Some("tag"));
        assert_eq!(property(0, "n").as_deref(), Some("vä\n"));
        assert_eq!(property(0, "e=").as_deref(), Some("{\"a\":1}"));
        assert_eq!(read[1].get_body().unwrap(), &second.body);
        assert_eq!(property(1, "KEYS"), None);
        let ids = [
            property(0, "UNIQ_KEY").unwrap(),
            property(1, "UNIQ_KEY").unwrap(),
        ];
        assert_ne!(ids[0], ids[1]);
        assert!(ids[0].len() <= ID_PROPERTY_BYTES - 10);
    }
}
