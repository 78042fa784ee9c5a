//! The byte rows of a batch: how `rocketmq:connect` 0.1 lays out entries and headers, written once for the
//! worker and for guests in Rust. Must never trust a row (every read is bounded, none panics), and must never
//! know more than the layout: whether a batch may pass the wall is decided by `connect-record`.
//!
//! - [`Parts`] is the image of the WIT record `batch`; generated types convert by moving the vectors.
//! - [`Builder`] writes a batch, record by record; each distinct text enters its table once.
//! - [`View`] reads a batch that was checked already; what is out of bounds reads as absent.
//! - [`Editor`] changes a batch in place, for transforms.
//! - [`Entry`], [`EntryRow`] and [`HeaderRow`] are the rows themselves.
//!
//! ```
//! use connect_rows::{Builder, View};
//!
//! let mut builder = Builder::new();
//! builder.add().topic("orders").key(b"42").value(b"two chairs").header("shop", b"north").finish()?;
//! let parts = builder.finish();
//!
//! let record = View::new(&parts).record(0).ok_or("one record was added")?;
//! assert_eq!(record.topic(), "orders");
//! assert_eq!(record.value(), Some(&b"two chairs"[..]));
//! assert_eq!(record.header("shop"), Some(&b"north"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod build;
mod bytes;
mod edit;
mod intern;
mod parts;
mod row;
#[cfg(test)]
mod tests;
mod view;

pub use build::{Builder, RecordBuilder, TooLarge};
pub use edit::{Editor, RecordEditor};
pub use parts::Parts;
pub use row::{Entry, EntryRow, HeaderRow, Span};
pub use view::{Headers, RecordView, Records, View};

/// Bytes of an entry row as this version writes it.
pub const ENTRY_SIZE: usize = 64;

/// Bytes of a header row as this version writes it.
pub const HEADER_SIZE: usize = 12;

/// Most texts that one table of a batch (topics, partitions, schemas, names) takes.
pub const TABLE_SIZE: usize = u16::MAX as usize;

/// Bits of an entry's `has` field: which of its optional fields are there.
pub mod has {
    /// The record has a key.
    pub const KEY: u32 = 1;
    /// The record has a value.
    pub const VALUE: u32 = 2;
    /// The record says where its source resumes after it.
    pub const POSITION: u32 = 4;
    /// The key has a schema.
    pub const KEY_SCHEMA: u32 = 8;
    /// The value has a schema.
    pub const VALUE_SCHEMA: u32 = 16;
    /// Every bit that this version knows.
    pub const ALL: u32 = KEY | VALUE | POSITION | KEY_SCHEMA | VALUE_SCHEMA;
}
