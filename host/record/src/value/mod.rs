//! Values that are neither bytes nor text, as they cross the wall: CBOR (RFC 8949). Must never allocate by a length
//! that the bytes merely claim.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use decode::ValueError;

/// A value. What it means beyond this (a date, a decimal) is in its schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// Values in order. A struct without names, or an array.
    Array(Vec<Value>),
    /// Keys with values, in the order in which they were written; a key may occur more than once.
    Map(Vec<(Value, Value)>),
    /// A value with a tag that says what it means, such as 4 for a decimal.
    Tag(u64, Box<Value>),
}

impl Value {
    /// Most values inside each other.
    pub const MAX_DEPTH: usize = 64;

    /// Most values in one, all together: an item of one byte takes about forty times its size in memory.
    pub const MAX_ITEMS: usize = 1 << 20;

    /// Reads a value. `undefined` reads as null, and lengths that end by a mark are accepted.
    ///
    /// # Errors
    /// [`ValueError`] if the bytes are not exactly one value, nest deeper than [`Value::MAX_DEPTH`], or hold more
    /// than [`Value::MAX_ITEMS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ValueError> {
        decode::decode(bytes)
    }

    /// Writes the value: every length in front, every integer as short as it can be, floating point numbers in 32
    /// bits where that loses nothing. What [`Value::decode`] gave reads back as it was.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode::encode(self, &mut out);
        out
    }
}
