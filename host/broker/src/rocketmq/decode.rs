//! Stored messages from wire bytes, in two steps: where they are, which a reader needs to go on, and
//! what is in them, which whoever takes them needs. Total over any bytes: a message that cannot be read
//! is an error with its place, never skipped.
//!
//! The frame is read here and not by the client library, which fills a map of new strings for each
//! message. It judges this one in the tests.

use super::body;
use crate::message::Incoming;
use crate::properties::Properties;
use bytes::{Buf, Bytes};
use rocketmq_model::common::message::MessageConst;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use rocketmq_protocol::protocol::body::message_codec::{MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2};

/// Finds all messages of a pull's answer. `next` is where the broker says that they end.
///
/// # Errors
/// Says which message, counted from 0, cannot be read and why.
pub(super) fn frames(mut bytes: Bytes, next: u64) -> Result<Vec<Frame>, String> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let at = entries.len();
        let entry = frame(&mut bytes)
            .map_err(|error| format!("message {at} of the answer cannot be read: {error}"))?;
        entries.push(entry);
    }
    if !entries.iter().any(Frame::is_wrapped) {
        return Ok(entries);
    }
    let ends: Vec<u64> = entries.iter().skip(1).map(Frame::queue_offset).collect();
    let mut frames = Vec::with_capacity(entries.len());
    for (entry, end) in entries.into_iter().zip(ends.into_iter().chain([next])) {
        if entry.is_wrapped() {
            unwrap(entry, end, &mut frames);
        } else {
            frames.push(entry);
        }
    }
    Ok(frames)
}

/// Marks several messages that the broker keeps as one entry: their queue is of the kind `BatchCQ`.
const WRAPPED: i32 = MessageSysFlag::INNER_BATCH_FLAG | MessageSysFlag::NEED_UNWRAP_FLAG;

/// Takes an entry's messages out of it; each has the next offset. One that cannot be taken apart stays as
/// it is and can never be read. So does one with more messages than there are offsets before `end`, where
/// the next one begins, or with another number of them than it says: anybody may mark a message so, and none
/// may be passed over for it.
fn unwrap(entry: Frame, end: u64, frames: &mut Vec<Frame>) {
    let room = end.saturating_sub(entry.queue_offset).max(1);
    let first = frames.len();
    let mut rest = entry.body.clone();
    let mut offsets = (entry.queue_offset..).take(usize::try_from(room).unwrap_or(usize::MAX));
    while !rest.is_empty() {
        let (Ok((body, properties)), Some(queue_offset)) = (inner(&mut rest), offsets.next())
        else {
            frames.truncate(first);
            break;
        };
        frames.push(Frame {
            queue_offset,
            flags: entry.flags & !WRAPPED,
            body,
            properties,
            store_host: entry.store_host.clone(),
            ..entry
        });
    }
    let properties = Properties::from_wire(&entry.properties);
    let count = properties.get(MessageConst::PROPERTY_INNER_NUM);
    let count: Option<u64> = count.and_then(|count| count.parse().ok());
    // the broker gives it this many offsets: with fewer messages, those behind them would never come
    if count.is_some_and(|count| count != (frames.len() - first) as u64) {
        frames.truncate(first);
    }
    if frames.len() == first {
        let places = room.min(count.unwrap_or(1)).max(1);
        frames.push(Frame { places, ..entry });
    }
}

/// Takes the next message of an entry: size, magic code, checksum, flag, body with its length in 4 bytes,
/// properties with 2.
fn inner(rest: &mut Bytes) -> Result<(Bytes, Bytes), &'static str> {
    let size = rest.clone().try_get_u32().map_err(|_| SHORT)?;
    let mut one = take(rest, usize::try_from(size).unwrap_or(usize::MAX))?;
    take(&mut one, 4 * 4)?;
    let length = one.try_get_u32().map_err(|_| SHORT)?;
    let body = take(&mut one, usize::try_from(length).unwrap_or(usize::MAX))?;
    let length = one.try_get_u16().map_err(|_| SHORT)?.into();
    let properties = take(&mut one, length)?;
    one.is_empty()
        .then_some((body, properties))
        .ok_or("it is longer than its parts")
}

const SHORT: &str = "it ends early";

/// What is used of a message's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    queue_offset: u64,
    /// How many offsets it takes: several where it holds messages that cannot be taken out of it.
    places: u64,
    commit_log_offset: i64,
    flags: i32,
    born_timestamp: i64,
    store_timestamp: i64,
    /// The broker's address: 4 or 16 bytes, and a port in 4.
    store_host: Bytes,
    body: Bytes,
    properties: Bytes,
}

/// Takes the next frame. Big-endian: size, magic code, checksum, queue, flag, offset in the queue, offset
/// in the log, system flags, born at, born where, stored at, stored where, tries, transaction, body with
/// its length in 4 bytes, topic with its length in 1 (2 in the second version), properties with 2.
fn frame(bytes: &mut Bytes) -> Result<Frame, &'static str> {
    let size = bytes.clone().try_get_u32().map_err(|_| SHORT)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > bytes.len() {
        return Err(SHORT);
    }
    let mut rest = bytes.split_to(size);
    let skip = |rest: &mut Bytes, count: usize| {
        let enough = rest.len() >= count;
        enough.then(|| rest.advance(count)).ok_or(SHORT)
    };
    skip(&mut rest, 4)?;
    let magic = rest.try_get_i32().map_err(|_| SHORT)?;
    if magic != MESSAGE_MAGIC_CODE && magic != MESSAGE_MAGIC_CODE_V2 {
        return Err("its magic code is unknown");
    }
    skip(&mut rest, 3 * 4)?;
    let queue_offset = rest.try_get_i64().map_err(|_| SHORT)?;
    let queue_offset = u64::try_from(queue_offset).map_err(|_| "its offset is negative")?;
    let commit_log_offset = rest.try_get_i64().map_err(|_| SHORT)?;
    let flags = rest.try_get_i32().map_err(|_| SHORT)?;
    let host = |flag: i32| if flags & flag == 0 { 4 + 4 } else { 16 + 4 };
    let born_timestamp = rest.try_get_i64().map_err(|_| SHORT)?;
    skip(&mut rest, host(MessageSysFlag::BORNHOST_V6_FLAG))?;
    let store_timestamp = rest.try_get_i64().map_err(|_| SHORT)?;
    let store_host = take(&mut rest, host(MessageSysFlag::STOREHOSTADDRESS_V6_FLAG))?;
    skip(&mut rest, 4 + 8)?;
    let length = rest.try_get_u32().map_err(|_| SHORT)?;
    let body = take(&mut rest, usize::try_from(length).unwrap_or(usize::MAX))?;
    let topic = if magic == MESSAGE_MAGIC_CODE_V2 {
        rest.try_get_u16().map_err(|_| SHORT)?.into()
    } else {
        rest.try_get_u8().map_err(|_| SHORT)?.into()
    };
    skip(&mut rest, topic)?;
    let length = rest.try_get_u16().map_err(|_| SHORT)?.into();
    let properties = take(&mut rest, length)?;
    // Whatever is left would be passed over, and might be another message.
    if !rest.is_empty() {
        return Err("it is longer than its parts");
    }
    Ok(Frame {
        queue_offset,
        places: 1,
        commit_log_offset,
        flags,
        born_timestamp,
        store_timestamp,
        store_host,
        body,
        properties,
    })
}

impl Frame {
    pub(super) fn queue_offset(&self) -> u64 {
        self.queue_offset
    }

    fn is_wrapped(&self) -> bool {
        self.flags & WRAPPED == WRAPPED
    }

    /// The offset behind it.
    pub(super) fn end(&self) -> u64 {
        self.queue_offset.saturating_add(self.places)
    }

    /// The most bytes that reading it may make beside those it has.
    pub(super) fn most(&self) -> usize {
        body::most(self.flags)
    }

    /// Of the body, as it is stored, and of the properties.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.properties.len()
    }

    /// Reads what is in it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(self) -> Result<Incoming, String> {
        message(self)
    }

    /// One at an offset, and nothing else.
    #[cfg(test)]
    pub(super) fn at(queue_offset: u64) -> Self {
        Self {
            queue_offset,
            places: 1,
            commit_log_offset: 0,
            flags: 0,
            born_timestamp: 0,
            store_timestamp: 0,
            store_host: Bytes::new(),
            body: Bytes::from_static(b"x"),
            properties: Bytes::new(),
        }
    }
}

fn take(rest: &mut Bytes, count: usize) -> Result<Bytes, &'static str> {
    if count > rest.len() {
        return Err(SHORT);
    }
    Ok(rest.split_to(count))
}

fn message(frame: Frame) -> Result<Incoming, String> {
    if frame.is_wrapped() {
        return Err("it is a batch of messages that cannot be taken apart".to_owned());
    }
    let properties = Properties::from_wire(&frame.properties);
    let id = properties.get(MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX);
    let broker_id = match id {
        Some(_) => String::new(),
        None => broker_message_id(&frame),
    };
    Ok(Incoming {
        queue_offset: frame.queue_offset,
        broker_id,
        born_timestamp: u64::try_from(frame.born_timestamp).unwrap_or(0),
        store_timestamp: u64::try_from(frame.store_timestamp).unwrap_or(0),
        body: body::whole(frame.body, frame.flags)?,
        properties,
    })
}

/// The id by which the broker finds the message: its address and the place in its log.
fn broker_message_id(frame: &Frame) -> String {
    let log = frame.commit_log_offset.to_be_bytes();
    let bytes = frame.store_host.iter().chain(&log);
    bytes.map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Frame, Incoming, MESSAGE_MAGIC_CODE, MessageSysFlag, WRAPPED, frames};
    use crate::message::Outgoing;
    use crate::rocketmq::{Messages, encode};
    use bytes::{BufMut, Bytes, BytesMut};
    use connect_record::Queue;
    use proptest::prelude::*;
    use rocketmq_protocol::common::compression::compressor_factory::CompressorFactory;
    use rocketmq_protocol::protocol::body::message_codec::decode_message_frame;

    fn messages(bytes: Bytes) -> Result<Vec<Incoming>, String> {
        let read = |frame: Frame| {
            let offset = frame.queue_offset;
            frame
                .read()
                .map_err(|reason| format!("message at offset {offset}: {reason}"))
        };
        frames(bytes, u64::MAX)?.into_iter().map(read).collect()
    }

    fn frame(body: &[u8], flags: i32, properties: &str) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i32(0);
        out.put_i32(MESSAGE_MAGIC_CODE);
        out.put_u32(0);
        out.put_i32(1); // queue
        out.put_i32(0);
        out.put_i64(7);
        out.put_i64(0x1234);
        out.put_i32(flags);
        out.put_i64(11);
        out.put_slice(&[127, 0, 0, 1]);
        out.put_i32(1);
        out.put_i64(12);
        out.put_slice(&[127, 0, 0, 1]);
        out.put_i32(10911);
        out.put_i32(0);
        out.put_i64(0);
        out.put_i32(i32::try_from(body.len()).unwrap());
        out.put_slice(body);
        out.put_u8(1);
        out.put_slice(b"t");
        out.put_i16(i16::try_from(properties.len()).unwrap());
        out.put_slice(properties.as_bytes());
        let length = u32::try_from(out.len()).unwrap().to_be_bytes();
        out[..4].copy_from_slice(&length);
        out.freeze()
    }

    #[test]
    fn messages_that_are_kept_as_one_entry_are_taken_apart() {
        let mut second = Outgoing::new("two");
        second.properties = vec![("n".into(), "v".into())];
        let body = encode::batch(&[Outgoing::new("one"), second]);
        let about = "INNER_NUM\u{1}2\u{2}";
        let read = messages(frame(&body, WRAPPED, about)).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((&*read[0].body, &*read[1].body), (&b"one"[..], &b"two"[..]));
        assert_eq!(read[0].queue_offset + 1, read[1].queue_offset);
        assert_eq!(
            (read[0].property("n"), read[1].property("n")),
            (None, Some("v"))
        );
        // one flag alone means something else
        let flag = MessageSysFlag::INNER_BATCH_FLAG;
        assert_eq!(messages(frame(&body, flag, about)).unwrap()[0].body, body);

        let base = read[0].queue_offset;
        for end in 1..body.len() {
            let cut = frames(frame(&body[..end], WRAPPED, about), base + 2).unwrap();
            // also where the first of them is there as a whole: nobody would come to the second's offset
            assert_eq!((cut.len(), cut[0].end()), (1, base + 2), "{end}");
            let error = cut[0].clone().read().unwrap_err();
            assert!(error.contains("taken apart"), "{error}");
        }
    }

    #[test]
    fn a_message_that_only_says_it_is_many_passes_over_no_other() {
        let body = encode::batch(&[Outgoing::new("one"), Outgoing::new("two")]);
        let liar = frame(&body, WRAPPED, "INNER_NUM\u{1}1000\u{2}");
        let base = frames(frame(b"x", 0, ""), 0).unwrap()[0].queue_offset;
        // at the end of an answer, and before a message of the next offset
        let read = frames(liar.clone(), base + 1).unwrap();
        assert_eq!((read.len(), read[0].end()), (1, base + 1));
        assert!(read[0].clone().read().is_err());
        let mut next = frame(b"x", 0, "").to_vec();
        next[20..28].copy_from_slice(&(base + 1).to_be_bytes());
        let both = [&liar[..], &next].concat();
        let read = frames(both.into(), base + 2).unwrap();
        let places: Vec<u64> = read.iter().map(Frame::queue_offset).collect();
        assert_eq!(places, [base, base + 1]);
        assert!(read[0].clone().read().is_err() && read[1].clone().read().is_ok());
    }

    #[test]
    fn properties_are_sorted_and_the_id_is_the_brokers_when_there_is_no_other() {
        let bytes = frame(b"body", 0, "b\u{1}2\u{2}TAGS\u{1}x\u{2}a\u{1}1\u{2}");
        let read = messages(bytes).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].queue_offset, 7);
        assert_eq!((read[0].born_timestamp, read[0].store_timestamp), (11, 12));
        assert_eq!(read[0].message_id(), "7F00000100002A9F0000000000001234");
        let names: Vec<&str> = read[0].properties.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["TAGS", "a", "b"]);
        assert_eq!(read[0].property("b"), Some("2"));
        assert_eq!(read[0].property("c"), None);
        assert_eq!(&read[0].body[..], b"body");
    }

    #[test]
    fn a_compressed_body_comes_out_whole() {
        let whole = vec![b'x'; 10_000];
        let kind = rocketmq_model::common::compression::compression_type::CompressionType::Zlib;
        let packed = CompressorFactory::get_compressor(kind)
            .compress(&whole, 5)
            .unwrap();
        assert!(packed.len() < 1000);
        let read = messages(frame(&packed, MessageSysFlag::COMPRESSED_FLAG, "")).unwrap();
        assert_eq!(read[0].body, whole);
        let broken = messages(frame(b"no zlib", MessageSysFlag::COMPRESSED_FLAG, ""));
        assert!(broken.unwrap_err().contains("offset 7"));
    }

    #[test]
    fn bytes_that_end_early_are_an_error_and_never_a_shorter_list() {
        let mut bytes = BytesMut::new();
        bytes.put_slice(&frame(b"one", 0, ""));
        bytes.put_slice(&frame(b"two", 0, ""));
        let whole = bytes.freeze();
        assert_eq!(messages(whole.clone()).unwrap().len(), 2);
        let one = whole.len() / 2;
        for cut in (0..whole.len()).filter(|cut| *cut != 0 && *cut != one) {
            assert!(messages(whole.slice(..cut)).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn one_that_cannot_be_read_does_not_hide_the_others() {
        let mut bytes = BytesMut::new();
        bytes.put_slice(&frame(b"one", 0, ""));
        bytes.put_slice(&frame(b"not so", MessageSysFlag::COMPRESSED_FLAG, ""));
        bytes.put_slice(&frame(b"three", 0, ""));
        let queue = Queue::new("t", "b", 0);
        let mut messages = Messages::new(queue, frames(bytes.freeze(), u64::MAX).unwrap());
        let all = messages.clone();
        assert_eq!(&messages.next().unwrap().unwrap().body[..], b"one");
        let unreadable = messages.next().unwrap().unwrap_err();
        assert!(unreadable.reason.contains("decompressed"), "{unreadable}");
        assert_eq!(&messages.next().unwrap().unwrap().body[..], b"three");
        assert!(messages.is_empty() && messages.next().is_none());
        let error = all.read().unwrap_err().to_string();
        assert!(error.contains("decompressed"), "{error}");
    }

    #[test]
    fn a_size_that_takes_in_the_next_message_is_an_error() {
        let one = frame(b"one", 0, "");
        let mut bytes = one.repeat(3);
        let both = u32::try_from(2 * one.len()).unwrap().to_be_bytes();
        bytes[..4].copy_from_slice(&both);
        let error = messages(bytes.into()).unwrap_err();
        assert!(
            error.contains("message 0") && error.contains("longer"),
            "{error}"
        );
    }

    /// What the library makes of the same bytes; none where it refuses them.
    fn library(mut bytes: Bytes) -> Option<Vec<(i64, i64, Bytes, usize)>> {
        let mut read = Vec::new();
        while !bytes.is_empty() {
            let frame = decode_message_frame(&mut bytes).ok()?;
            let count = frame.properties.len();
            read.push((frame.queue_offset, frame.born_timestamp, frame.body, count));
        }
        Some(read)
    }

    proptest! {
        #[test]
        fn frames_are_read_as_the_library_reads_them(
            body in proptest::collection::vec(any::<u8>(), 0..50),
            properties in "[a-c\u{1}\u{2}]{0,40}",
            copies in 1_usize..4,
        ) {
            let one = frame(&body, 0, &properties);
            let whole: Bytes = one.repeat(copies).into();
            let ours = messages(whole.clone()).unwrap();
            let theirs = library(whole).unwrap();
            prop_assert_eq!(ours.len(), theirs.len());
            for (ours, (offset, born, body, count)) in ours.iter().zip(theirs) {
                prop_assert_eq!(i64::try_from(ours.queue_offset).unwrap(), offset);
                prop_assert_eq!(i64::try_from(ours.born_timestamp).unwrap(), born);
                prop_assert_eq!(&ours.body, &body);
                prop_assert_eq!(ours.properties.iter().count(), count);
            }
        }

        /// Whatever a broker sends: an error or messages, and no more of them than bytes.
        #[test]
        fn bytes_that_were_changed_are_messages_or_an_error(
            at in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = frame(b"body", 0, "a\u{1}b\u{2}").repeat(2);
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let length = bytes.len();
            if let Ok(read) = messages(bytes.into()) {
                prop_assert!(read.len() <= length / 60);
            }
        }
    }
}
