//! Stored messages from wire bytes. Total over any bytes: a message that cannot be read is an
//! error with its place, never skipped.

use crate::message::Incoming;
use bytes::Bytes;
use rocketmq_model::common::message::MessageConst;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use rocketmq_protocol::common::compression::compressor_factory::CompressorFactory;
use rocketmq_protocol::protocol::body::message_codec::{DecodedMessageFrame, decode_message_frame};
use std::net::IpAddr;

/// Reads all messages of a pull's answer.
///
/// # Errors
/// Says which message, counted from 0, cannot be read and why.
pub(super) fn messages(mut bytes: Bytes) -> Result<Vec<Incoming>, String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let at = messages.len();
        let frame = decode_message_frame(&mut bytes)
            .map_err(|error| format!("message {at} of the answer cannot be read: {error}"))?;
        let offset = frame.queue_offset;
        let message = message(frame);
        messages.push(message.map_err(|reason| format!("message at offset {offset}: {reason}"))?);
    }
    Ok(messages)
}

fn message(frame: DecodedMessageFrame) -> Result<Incoming, String> {
    let queue_offset =
        u64::try_from(frame.queue_offset).map_err(|_| "its offset is negative".to_owned())?;
    let broker_id = || broker_message_id(&frame);
    let id = frame
        .properties
        .get(MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX);
    let message_id = id.map_or_else(broker_id, ToString::to_string);
    let mut properties: Vec<(String, String)> = frame
        .properties
        .into_iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    properties.sort_unstable();
    Ok(Incoming {
        queue_offset,
        message_id,
        born_timestamp: u64::try_from(frame.born_timestamp).unwrap_or(0),
        store_timestamp: u64::try_from(frame.store_timestamp).unwrap_or(0),
        body: body(frame.body, frame.sys_flag)?,
        properties,
    })
}

/// Other producers compress large bodies; readers always see them whole.
fn body(stored: Bytes, flags: i32) -> Result<Bytes, String> {
    if !MessageSysFlag::check(flags, MessageSysFlag::COMPRESSED_FLAG) || stored.is_empty() {
        return Ok(stored);
    }
    let kind = MessageSysFlag::try_get_compression_type(flags)
        .map_err(|error| format!("its compression is unknown: {error}"))?;
    CompressorFactory::get_compressor(kind)
        .decompress(&stored)
        .map_err(|error| format!("its body cannot be decompressed: {error}"))
}

/// The id by which the broker finds the message: its address and the place in its log.
fn broker_message_id(frame: &DecodedMessageFrame) -> String {
    let mut id = String::with_capacity(56);
    let mut put = |bytes: &[u8]| {
        for byte in bytes {
            id.push_str(&format!("{byte:02X}"));
        }
    };
    match frame.store_host.ip() {
        IpAddr::V4(ip) => put(&ip.octets()),
        IpAddr::V6(ip) => put(&ip.octets()),
    }
    put(&u32::from(frame.store_host.port()).to_be_bytes());
    put(&frame.commit_log_offset.to_be_bytes());
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{BufMut, BytesMut};
    use rocketmq_protocol::protocol::body::message_codec::MESSAGE_MAGIC_CODE;

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
    fn properties_are_sorted_and_the_id_is_the_brokers_when_there_is_no_other() {
        let bytes = frame(b"body", 0, "b\u{1}2\u{2}TAGS\u{1}x\u{2}a\u{1}1\u{2}");
        let read = messages(bytes).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].queue_offset, 7);
        assert_eq!((read[0].born_timestamp, read[0].store_timestamp), (11, 12));
        assert_eq!(read[0].message_id, "7F00000100002A9F0000000000001234");
        let names: Vec<&str> = read[0]
            .properties
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
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
}
