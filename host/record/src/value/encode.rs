//! Value to CBOR. Must write the one form per value that its callers compare and hash.

use super::Value;

/// The first three bits of an item.
mod major {
    pub(super) const UNSIGNED: u8 = 0;
    pub(super) const NEGATIVE: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const TAG: u8 = 6;
}

pub(super) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        // A negative integer is written as -1 - n, which is its complement.
        Value::Int(number) if *number < 0 => head(major::NEGATIVE, (!*number).cast_unsigned(), out),
        Value::Int(number) => head(major::UNSIGNED, number.cast_unsigned(), out),
        Value::Float(number) => float(*number, out),
        Value::Text(text) => {
            head(major::TEXT, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            head(major::BYTES, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            head(major::ARRAY, items.len() as u64, out);
            for item in items {
                encode(item, out);
            }
        }
        Value::Map(pairs) => {
            head(major::MAP, pairs.len() as u64, out);
            for (key, value) in pairs {
                encode(key, out);
                encode(value, out);
            }
        }
        Value::Tag(tag, value) => {
            head(major::TAG, *tag, out);
            encode(value, out);
        }
    }
}

fn float(number: f64, out: &mut Vec<u8>) {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "taken only if it loses nothing"
    )]
    let short = number as f32;
    if f64::from(short).to_bits() == number.to_bits() {
        out.push(0xfa);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// The kind of an item and its number in the shortest form.
fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let kind = major << 5;
    if let Ok(number) = u8::try_from(number) {
        if number < 24 {
            out.push(kind | number);
        } else {
            out.extend_from_slice(&[kind | 24, number]);
        }
    } else if let Ok(number) = u16::try_from(number) {
        out.push(kind | 25);
        out.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        out.push(kind | 26);
        out.extend_from_slice(&number.to_be_bytes());
    } else {
        out.push(kind | 27);
        out.extend_from_slice(&number.to_be_bytes());
    }
}
