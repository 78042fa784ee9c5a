//! Why a batch was refused. Must never hold payload: these texts end up in logs and status.

use std::fmt;

use crate::SchemaError;

/// Which row of a batch an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowName {
    /// The entry with this index.
    Entry(u32),
    /// The row with this index in the header rows.
    Header(u32),
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Header(index) => write!(f, "header row {index}"),
        }
    }
}

/// What is wrong with a batch: place, field, value and bound.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The stated size of rows cannot be one.
    #[error("{field} is {size}, but must be from {least} to {most}")]
    RowSize {
        /// `entry-size` or `header-size`.
        field: &'static str,
        /// The size that the batch states.
        size: u32,
        /// Bytes of a row in this version.
        least: u32,
        /// The limit.
        most: u32,
    },
    /// The rows do not fill their list.
    #[error("{field} has {bytes} bytes, which is not a whole number of rows of {size} bytes")]
    Ragged {
        /// `entries` or `headers`.
        field: &'static str,
        /// Bytes in the list.
        bytes: usize,
        /// Bytes per row.
        size: u32,
    },
    /// There is more of something than the limits allow.
    #[error("the batch has {count} {what}, the limit is {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How much there is, at least.
        count: u64,
        /// How much there may be.
        limit: u64,
    },
    /// A schema document does not parse.
    #[error("schema {index} of the batch cannot be used")]
    Schema {
        /// Index in `schemas`.
        index: usize,
        /// What is wrong with it.
        source: SchemaError,
    },
    /// A header name that only the interface itself may use.
    #[error("header name {index} of the batch begins with `:`, which is kept for the interface")]
    ReservedName {
        /// Index in `names`.
        index: usize,
    },
    /// An index points outside its table.
    #[error("{row}: {field} is {value}, but its table has length {bound}")]
    Index {
        /// Where.
        row: RowName,
        /// The field.
        field: &'static str,
        /// The index.
        value: u16,
        /// Texts in the table.
        bound: usize,
    },
    /// A span points outside the arena.
    #[error("{row}: {field} span {offset}+{length} ends beyond the arena of {bound} bytes")]
    Span {
        /// Where.
        row: RowName,
        /// The field.
        field: &'static str,
        /// First byte.
        offset: u32,
        /// Number of bytes.
        length: u32,
        /// Bytes of the arena.
        bound: usize,
    },
    /// The headers of an entry are not all there.
    #[error("entry {entry}: headers {first}+{count} end beyond the {bound} header rows")]
    Run {
        /// The entry.
        entry: u32,
        /// First row.
        first: u32,
        /// Number of rows.
        count: u32,
        /// Header rows of the batch.
        bound: usize,
    },
    /// Presence bits that this version does not know.
    #[error("entry {entry}: has is {bits:#x}, but only bits of {known:#x} are known")]
    Bits {
        /// The entry.
        entry: u32,
        /// Its bits.
        bits: u32,
        /// All known bits.
        known: u32,
    },
    /// A field that is not there, or not used, is not zero.
    #[error("{row}: {field} is {value:#x}, but must be zero because {reason}")]
    NotZero {
        /// Where.
        row: RowName,
        /// The field.
        field: &'static str,
        /// What it holds.
        value: u64,
        /// Why it must be zero.
        reason: &'static str,
    },
    /// An entry of a transform's answer names an input that does not exist.
    #[error("entry {entry}: origin is {origin}, but there were {inputs} inputs")]
    Origin {
        /// The entry.
        entry: u32,
        /// Its origin.
        origin: u32,
        /// Entries of the batch that was given to the transform.
        inputs: u32,
    },
    /// The origins of a transform's answer fall.
    #[error(
        "entry {entry}: origin is {origin}, but the entry before it has {before}, and origins never fall"
    )]
    OriginFalls {
        /// The entry.
        entry: u32,
        /// Its origin.
        origin: u32,
        /// The origin of the entry before it.
        before: u32,
    },
    /// A text is not UTF-8.
    #[error("entry {entry}: {field} is not UTF-8 at byte {at}, but its schema is of type string")]
    Text {
        /// The entry.
        entry: u32,
        /// `key` or `value`.
        field: &'static str,
        /// First byte of the text that is not UTF-8.
        at: usize,
    },
}
