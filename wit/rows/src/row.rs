//! One row: an entry or a header, read from and written to bytes. Must never look outside its own bytes; indices
//! and spans are only numbers here.

use std::ops::Range;

use crate::bytes::{u16_at, u32_at, u64_at, write};
use crate::{ENTRY_SIZE, HEADER_SIZE, has};

/// A byte range of a batch's arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte, counted from the start of the arena.
    pub offset: u32,
    /// Number of bytes; zero is a value of no bytes, not an absent value.
    pub length: u32,
}

impl Span {
    /// The range of this span, or an empty range at the end of the address space where it does not fit.
    #[inline]
    pub fn range(self) -> Range<usize> {
        let start = self.offset as usize;
        start..start.saturating_add(self.length as usize)
    }

    /// The bytes of this span, `None` if it reaches beyond `arena`.
    #[inline]
    pub fn of(self, arena: &[u8]) -> Option<&[u8]> {
        arena.get(self.range())
    }

    /// The first byte after this span; cannot overflow.
    #[inline]
    pub fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }

    /// The span that `bytes` have once they are appended to `arena`; `None` if 32 bits cannot say it.
    #[inline]
    pub(crate) fn at_end(arena: &[u8], bytes: &[u8]) -> Option<Self> {
        let offset = u32::try_from(arena.len()).ok()?;
        let length = u32::try_from(bytes.len()).ok()?;
        offset.checked_add(length).map(|_| Self { offset, length })
    }

    #[inline(always)]
    fn from_u64(raw: u64) -> Self {
        // Offset and length are adjacent, so one load reads both.
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the halves of the word are the two fields"
        )]
        Self {
            offset: raw as u32,
            length: (raw >> 32) as u32,
        }
    }

    #[inline(always)]
    pub(crate) fn to_u64(self) -> u64 {
        pair(self.offset, self.length)
    }
}

/// A borrowed entry row: reads single fields where they lie. The first 64 bytes of a longer row are read.
///
/// The raw accessors (`*_raw`) give a field's bytes whatever its presence bit says; a check needs them, others
/// want the plain ones.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a>(&'a [u8; ENTRY_SIZE]);

impl<'a> Entry<'a> {
    /// The row of zeros: topic 0, partition 0, nothing present.
    pub const ZERO: Entry<'static> = Entry(&[0; ENTRY_SIZE]);

    /// The row that `bytes` begin with; `None` if they are fewer than 64.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk::<ENTRY_SIZE>().map(Self)
    }

    /// Index into `topics`.
    #[inline]
    pub fn topic(self) -> u16 {
        u16_at::<0>(self.0)
    }

    /// Index into `partitions`.
    #[inline]
    pub fn partition(self) -> u16 {
        u16_at::<2>(self.0)
    }

    /// Index of the key's schema in `schemas`, `None` for plain bytes.
    #[inline]
    pub fn key_schema(self) -> Option<u16> {
        self.has(has::KEY_SCHEMA).then(|| self.key_schema_raw())
    }

    /// Index of the value's schema in `schemas`, `None` for plain bytes.
    #[inline]
    pub fn value_schema(self) -> Option<u16> {
        self.has(has::VALUE_SCHEMA).then(|| self.value_schema_raw())
    }

    /// The field of [`Entry::key_schema`], present or not.
    #[inline]
    pub fn key_schema_raw(self) -> u16 {
        u16_at::<4>(self.0)
    }

    /// The field of [`Entry::value_schema`], present or not.
    #[inline]
    pub fn value_schema_raw(self) -> u16 {
        u16_at::<6>(self.0)
    }

    /// Queue offset, where the record comes from a queue.
    #[inline]
    pub fn offset(self) -> u64 {
        u64_at::<8>(self.0)
    }

    /// Milliseconds since the epoch.
    #[inline]
    pub fn timestamp(self) -> u64 {
        u64_at::<16>(self.0)
    }

    /// The key; absent is not the same as empty.
    #[inline]
    pub fn key(self) -> Option<Span> {
        self.has(has::KEY).then(|| self.key_raw())
    }

    /// The value; absent is not the same as empty.
    #[inline]
    pub fn value(self) -> Option<Span> {
        self.has(has::VALUE).then(|| self.value_raw())
    }

    /// Where the source resumes after this record.
    #[inline]
    pub fn position(self) -> Option<Span> {
        self.has(has::POSITION).then(|| self.position_raw())
    }

    /// The field of [`Entry::key`], present or not.
    #[inline]
    pub fn key_raw(self) -> Span {
        Span::from_u64(u64_at::<24>(self.0))
    }

    /// The field of [`Entry::value`], present or not.
    #[inline]
    pub fn value_raw(self) -> Span {
        Span::from_u64(u64_at::<32>(self.0))
    }

    /// The field of [`Entry::position`], present or not.
    #[inline]
    pub fn position_raw(self) -> Span {
        Span::from_u64(u64_at::<48>(self.0))
    }

    /// First row of this record's headers.
    #[inline]
    pub fn first(self) -> u32 {
        u32_at::<40>(self.0)
    }

    /// Number of this record's headers.
    #[inline]
    pub fn count(self) -> u32 {
        u32_at::<44>(self.0)
    }

    /// The presence bits, see [`has`].
    #[inline]
    pub fn bits(self) -> u32 {
        u32_at::<56>(self.0)
    }

    /// In a transform's answer the index of the input that this entry comes from; elsewhere zero.
    #[inline]
    pub fn origin(self) -> u32 {
        u32_at::<60>(self.0)
    }

    #[inline(always)]
    fn has(self, bit: u32) -> bool {
        self.bits() & bit != 0
    }
}

/// An entry row as values. See the comment of `records` in the WIT for the meaning of each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryRow {
    /// Index into `topics`.
    pub topic: u16,
    /// Index into `partitions`.
    pub partition: u16,
    /// Index of the key's schema in `schemas`.
    pub key_schema: Option<u16>,
    /// Index of the value's schema in `schemas`.
    pub value_schema: Option<u16>,
    /// Queue offset, where the record comes from a queue.
    pub offset: u64,
    /// Milliseconds since the epoch.
    pub timestamp: u64,
    /// The key's bytes.
    pub key: Option<Span>,
    /// The value's bytes.
    pub value: Option<Span>,
    /// First row of this record's headers.
    pub first: u32,
    /// Number of this record's headers.
    pub count: u32,
    /// Where the source resumes after this record.
    pub position: Option<Span>,
    /// In a transform's answer the index of the input that this entry comes from; elsewhere zero.
    pub origin: u32,
}

impl EntryRow {
    /// Reads the row that `row` begins with; `None` if it has fewer than 64 bytes. A field whose presence bit is
    /// clear reads as `None`, whatever it holds.
    #[inline]
    pub fn read(row: &[u8]) -> Option<Self> {
        let entry = Entry::of(row)?;
        Some(Self {
            topic: entry.topic(),
            partition: entry.partition(),
            key_schema: entry.key_schema(),
            value_schema: entry.value_schema(),
            offset: entry.offset(),
            timestamp: entry.timestamp(),
            key: entry.key(),
            value: entry.value(),
            first: entry.first(),
            count: entry.count(),
            position: entry.position(),
            origin: entry.origin(),
        })
    }

    /// The 64 bytes of this row.
    #[inline]
    pub fn to_bytes(&self) -> [u8; ENTRY_SIZE] {
        let mut row = [0; ENTRY_SIZE];
        let (places, _) = row.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(self.words()) {
            *place = word.to_le_bytes();
        }
        row
    }

    /// Appends the 64 bytes of this row.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(ENTRY_SIZE);
        for word in self.words() {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// The row as eight words, which a guest writes faster than bytes.
    #[inline(always)]
    fn words(&self) -> [u64; ENTRY_SIZE / 8] {
        let bit = |present: bool, bit: u32| if present { bit } else { 0 };
        let bits = bit(self.key.is_some(), has::KEY)
            | bit(self.value.is_some(), has::VALUE)
            | bit(self.position.is_some(), has::POSITION)
            | bit(self.key_schema.is_some(), has::KEY_SCHEMA)
            | bit(self.value_schema.is_some(), has::VALUE_SCHEMA);
        let span = |span: Option<Span>| span.unwrap_or_default().to_u64();
        let schema = |schema: Option<u16>| u64::from(schema.unwrap_or(0));
        [
            u64::from(self.topic)
                | u64::from(self.partition) << 16
                | schema(self.key_schema) << 32
                | schema(self.value_schema) << 48,
            self.offset,
            self.timestamp,
            span(self.key),
            span(self.value),
            pair(self.first, self.count),
            span(self.position),
            pair(bits, self.origin),
        ]
    }
}

#[inline(always)]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// A header row as values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderRow {
    /// Index into `names`.
    pub name: u16,
    /// The header's bytes.
    pub value: Span,
}

impl HeaderRow {
    /// Reads the row that `row` begins with; `None` if it has fewer than 12 bytes.
    #[inline]
    pub fn read(row: &[u8]) -> Option<Self> {
        let row = row.first_chunk::<HEADER_SIZE>()?;
        Some(Self {
            name: u16_at::<0>(row),
            value: Span::from_u64(u64_at::<4>(row)),
        })
    }

    /// The field at byte 2 that is zero in this version; `None` if `row` has fewer than 12 bytes.
    #[inline]
    pub fn read_zero(row: &[u8]) -> Option<u16> {
        row.first_chunk::<HEADER_SIZE>().map(|row| u16_at::<2>(row))
    }

    /// The 12 bytes of this row.
    #[inline]
    pub fn to_bytes(&self) -> [u8; HEADER_SIZE] {
        let mut row = [0; HEADER_SIZE];
        write::<0, 2>(&mut row, self.name.to_le_bytes());
        write::<4, 8>(&mut row, self.value.to_u64().to_le_bytes());
        row
    }

    /// Appends the 12 bytes of this row.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(HEADER_SIZE);
        out.extend_from_slice(&u32::from(self.name).to_le_bytes());
        out.extend_from_slice(&self.value.to_u64().to_le_bytes());
    }
}
