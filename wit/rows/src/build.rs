//! Writes a batch record by record. Must never leave half a record behind, and never allocates for a record what
//! the batch already has.

use crate::bytes::append;
use crate::intern::Interner;
use crate::{ENTRY_SIZE, EntryRow, HEADER_SIZE, HeaderRow, Parts, Span, TABLE_SIZE};

/// Room for this many headers a record is set aside at first.
const HEADERS_A_RECORD: usize = 4;

/// Why a record does not fit into a batch. The batch is as it was before the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// A table has no free index.
    #[error("a batch holds at most {TABLE_SIZE} different {table}")]
    Table {
        /// Which table: `topics`, `partitions`, `schemas` or `header names`.
        table: &'static str,
    },
    /// Spans count bytes and runs count rows in 32 bits.
    #[error("the {what} of a batch pass 32 bits")]
    Bytes {
        /// What there is too much of: `bytes` or `headers`.
        what: &'static str,
    },
}

/// Builds a batch. Texts (topics, partitions, schemas, header names) enter the batch once and are referred to by
/// index afterwards; use [`Builder::take`] to go on with the same memory.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    topics: Interner,
    partitions: Interner,
    schemas: Interner,
    names: Interner,
    parts: Parts,
    /// What finished records take of `headers` and `arena`; the rest belongs to a record that was never finished.
    kept_headers: usize,
    kept_arena: usize,
    draft: Draft,
}

/// The record that is being added.
#[derive(Clone, Copy, Debug, Default)]
struct Draft {
    row: EntryRow,
    topic: Option<u16>,
    partition: Option<u16>,
    too_large: Option<TooLarge>,
}

impl Builder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty builder with room for `records` records with four headers each and for `arena_bytes` bytes of
    /// keys, values, header values and positions.
    pub fn with_capacity(records: usize, arena_bytes: usize) -> Self {
        let mut builder = Self::default();
        builder.reserve(
            records * ENTRY_SIZE,
            records * HEADERS_A_RECORD * HEADER_SIZE,
            arena_bytes,
        );
        builder
    }

    /// Begins a record. It becomes part of the batch when [`RecordBuilder::finish`] succeeds; dropped before, it
    /// leaves nothing but perhaps a text in a table.
    #[inline]
    pub fn add(&mut self) -> RecordBuilder<'_> {
        self.discard();
        self.draft = Draft::default();
        RecordBuilder { batch: self }
    }

    /// Number of finished records.
    #[inline]
    pub fn len(&self) -> usize {
        self.parts.entries.len() / ENTRY_SIZE
    }

    /// Whether no record was finished yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.parts.entries.is_empty()
    }

    /// Bytes of keys, values, header values and positions so far.
    #[inline]
    pub fn arena_bytes(&self) -> usize {
        self.kept_arena
    }

    /// The batch.
    pub fn finish(mut self) -> Parts {
        self.parts()
    }

    /// The batch; the builder starts anew, with room for another one of this size.
    pub fn take(&mut self) -> Parts {
        let parts = self.parts();
        self.reserve(parts.entries.len(), parts.headers.len(), parts.arena.len());
        parts
    }

    fn parts(&mut self) -> Parts {
        self.discard();
        self.kept_headers = 0;
        self.kept_arena = 0;
        for interner in [
            &mut self.topics,
            &mut self.partitions,
            &mut self.schemas,
            &mut self.names,
        ] {
            interner.clear();
        }
        std::mem::take(&mut self.parts)
    }

    fn reserve(&mut self, entries: usize, headers: usize, arena: usize) {
        self.parts.entries.reserve_exact(entries);
        self.parts.headers.reserve_exact(headers);
        self.parts.arena.reserve_exact(arena);
    }

    #[inline]
    fn discard(&mut self) {
        self.parts.headers.truncate(self.kept_headers);
        self.parts.arena.truncate(self.kept_arena);
    }

    #[inline]
    fn store(&mut self, bytes: &[u8]) -> Option<Span> {
        let span = Span::at_end(&self.parts.arena, bytes);
        if span.is_some() {
            append(&mut self.parts.arena, bytes);
        } else {
            self.draft.too_large = Some(TooLarge::Bytes { what: "bytes" });
        }
        span
    }

    #[inline]
    fn fits(&mut self, index: Option<u16>, table: &'static str) -> Option<u16> {
        if index.is_none() {
            self.draft.too_large = Some(TooLarge::Table { table });
        }
        index
    }
}

/// A record on its way into a [`Builder`]. Set what it has, in any order, and [`finish`](Self::finish) it. A field
/// that is set twice keeps the second value; headers add up and keep their order.
#[derive(Debug)]
#[must_use = "a record is part of the batch only after `finish`"]
pub struct RecordBuilder<'a> {
    batch: &'a mut Builder,
}

impl RecordBuilder<'_> {
    /// The topic it goes to (source) or comes from (sink). Not set: the empty name, which from a source means the
    /// connector's own topic.
    #[inline]
    pub fn topic(self, topic: &str) -> Self {
        let index = self
            .batch
            .topics
            .intern(&mut self.batch.parts.topics, 0, topic);
        self.batch.draft.topic = self.batch.fits(index, "topics");
        self
    }

    /// The partition of the source that it was read from; its order is kept and its position is stored under this
    /// name. Not set: the empty name.
    #[inline]
    pub fn partition(self, partition: &str) -> Self {
        let index = self
            .batch
            .partitions
            .intern(&mut self.batch.parts.partitions, 0, partition);
        self.batch.draft.partition = self.batch.fits(index, "partitions");
        self
    }

    /// The key. An empty key is a key.
    #[inline]
    pub fn key(self, key: &[u8]) -> Self {
        self.batch.draft.row.key = self.batch.store(key);
        self
    }

    /// The value. An empty value is a value; not set is null.
    #[inline]
    pub fn value(self, value: &[u8]) -> Self {
        self.batch.draft.row.value = self.batch.store(value);
        self
    }

    /// The schema document of the key. Not set: plain bytes.
    #[inline]
    pub fn key_schema(self, document: &str) -> Self {
        let index = self
            .batch
            .schemas
            .intern(&mut self.batch.parts.schemas, 0, document);
        self.batch.draft.row.key_schema = self.batch.fits(index, "schemas");
        self
    }

    /// The schema document of the value. Not set: plain bytes.
    #[inline]
    pub fn value_schema(self, document: &str) -> Self {
        let index = self
            .batch
            .schemas
            .intern(&mut self.batch.parts.schemas, 1, document);
        self.batch.draft.row.value_schema = self.batch.fits(index, "schemas");
        self
    }

    /// One more header.
    #[inline]
    pub fn header(self, name: &str, value: &[u8]) -> Self {
        let place = self.batch.draft.row.count as usize;
        let index = self
            .batch
            .names
            .intern(&mut self.batch.parts.names, place, name);
        if let (Some(name), Some(value)) = (
            self.batch.fits(index, "header names"),
            self.batch.store(value),
        ) {
            HeaderRow { name, value }.write(&mut self.batch.parts.headers);
            self.batch.draft.row.count += 1;
        }
        self
    }

    /// Where the source resumes after this record, in the connector's own form. Not set: covered by a later record
    /// of the same partition.
    #[inline]
    pub fn position(self, position: &[u8]) -> Self {
        self.batch.draft.row.position = self.batch.store(position);
        self
    }

    /// The queue offset it comes from. Not set: zero.
    #[inline]
    pub fn offset(self, offset: u64) -> Self {
        self.batch.draft.row.offset = offset;
        self
    }

    /// When it came to be, in milliseconds since the epoch. Not set: zero.
    #[inline]
    pub fn timestamp(self, milliseconds: u64) -> Self {
        self.batch.draft.row.timestamp = milliseconds;
        self
    }

    /// In a transform's answer the index of the input that it comes from. Not set: zero.
    #[inline]
    pub fn origin(self, index: u32) -> Self {
        self.batch.draft.row.origin = index;
        self
    }

    /// Adds the record to the batch.
    ///
    /// # Errors
    /// [`TooLarge`] if the batch has no room for it; the batch is then as it was before [`Builder::add`], can be
    /// finished, and the record belongs into the next one.
    #[inline]
    pub fn finish(self) -> Result<(), TooLarge> {
        let Self { batch } = self;
        let topic = match batch.draft.topic {
            None => batch
                .topics
                .intern(&mut batch.parts.topics, 0, "")
                .ok_or(TooLarge::Table { table: "topics" }),
            Some(topic) => Ok(topic),
        };
        let partition = match batch.draft.partition {
            None => batch
                .partitions
                .intern(&mut batch.parts.partitions, 0, "")
                .ok_or(TooLarge::Table {
                    table: "partitions",
                }),
            Some(partition) => Ok(partition),
        };
        let first = u32::try_from(batch.kept_headers / HEADER_SIZE)
            .ok()
            .filter(|first| first.checked_add(batch.draft.row.count).is_some())
            .ok_or(TooLarge::Bytes { what: "headers" });
        if let Some(too_large) = batch.draft.too_large {
            return Err(too_large);
        }
        let row = EntryRow {
            topic: topic?,
            partition: partition?,
            first: first?,
            ..batch.draft.row
        };
        row.write(&mut batch.parts.entries);
        batch.kept_headers = batch.parts.headers.len();
        batch.kept_arena = batch.parts.arena.len();
        Ok(())
    }
}
