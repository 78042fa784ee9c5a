//! The batch that cannot be wrong. Its only way into being is the check (or being empty), so whoever holds one reads
//! it without looking back; must never be changed in place.

mod check;
mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use connect_rows::{Entry, HeaderRow, Parts, Span};

use crate::{Limits, Schema};

pub use error::{BatchError, RowName};

/// Who made a batch; decides what its origins have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A source: every origin is zero.
    Source,
    /// A transform, given a batch of `inputs` records: origins never fall and are less than `inputs`.
    Transform {
        /// Records of the batch that the transform was given.
        inputs: u32,
    },
}

/// Records that were checked at the wall. Cheap to clone; all clones share their memory.
#[derive(Clone)]
pub struct Batch(Arc<Checked>);

/// Every index in here is below its table's length, every span ends inside the arena, every run inside the headers.
struct Checked {
    topics: Vec<String>,
    partitions: Vec<String>,
    documents: Vec<String>,
    schemas: Vec<Arc<Schema>>,
    names: Vec<String>,
    entry_size: u32,
    header_size: u32,
    entries: Vec<u8>,
    headers: Vec<u8>,
    arena: Bytes,
}

impl Checked {
    fn slice(&self, span: Span) -> Bytes {
        let range = span.range();
        // `Bytes::slice` panics beyond the end; the check has excluded that, and this line keeps it excluded.
        if range.end > self.arena.len() {
            return Bytes::new();
        }
        self.arena.slice(range)
    }
}

impl Batch {
    /// Checks what a guest returned, completely and once: row sizes, tables, schemas, every row, every index and span.
    ///
    /// # Errors
    /// The first thing that is wrong, see [`BatchError`].
    pub fn check(parts: Parts, origin: Origin, limits: &Limits) -> Result<Self, BatchError> {
        let schemas = check::check(&parts, origin, limits)?;
        Ok(Self::new(parts, schemas))
    }

    /// The batch without records.
    pub fn empty() -> Self {
        Self::new(Parts::default(), Vec::new())
    }

    fn new(parts: Parts, schemas: Vec<Arc<Schema>>) -> Self {
        Self(Arc::new(Checked {
            topics: parts.topics,
            partitions: parts.partitions,
            documents: parts.schemas,
            schemas,
            names: parts.names,
            entry_size: parts.entry_size,
            header_size: parts.header_size,
            entries: parts.entries,
            headers: parts.headers,
            arena: parts.arena.into(),
        }))
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.0.entries.len() / self.0.entry_size.max(1) as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// Bytes of memory that its rows and its arena take.
    pub fn bytes(&self) -> usize {
        self.0.entries.len() + self.0.headers.len() + self.0.arena.len()
    }

    /// The record at `index`, counted from zero.
    pub fn record(&self, index: usize) -> Option<Record<'_>> {
        let size = self.0.entry_size as usize;
        let row = Entry::of(self.0.entries.get(index.checked_mul(size)?..)?)?;
        Some(Record {
            batch: &self.0,
            row,
            index,
        })
    }

    /// All records, in order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> + Clone {
        let rows = self
            .0
            .entries
            .chunks_exact(self.0.entry_size.max(1) as usize);
        rows.enumerate().map(|(index, row)| Record {
            batch: &self.0,
            // A checked row is never shorter than an entry.
            row: Entry::of(row).unwrap_or(Entry::ZERO),
            index,
        })
    }

    /// The batch as it crosses the wall. Moves where this is the only clone and none of its slices is alive,
    /// copies otherwise.
    pub fn into_parts(self) -> Parts {
        let batch = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Checked {
            topics: shared.topics.clone(),
            partitions: shared.partitions.clone(),
            documents: shared.documents.clone(),
            schemas: Vec::new(),
            names: shared.names.clone(),
            entry_size: shared.entry_size,
            header_size: shared.header_size,
            entries: shared.entries.clone(),
            headers: shared.headers.clone(),
            arena: shared.arena.clone(),
        });
        Parts {
            topics: batch.topics,
            partitions: batch.partitions,
            schemas: batch.documents,
            names: batch.names,
            entry_size: batch.entry_size,
            header_size: batch.header_size,
            entries: batch.entries,
            headers: batch.headers,
            arena: batch.arena.into(),
        }
    }
}

/// Shows sizes, not payload.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("records", &self.len())
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// One record of a checked batch, borrowed. Copying it copies two pointers and an index.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a Checked,
    row: Entry<'a>,
    index: usize,
}

impl<'a> Record<'a> {
    /// Its place in the batch, counted from zero.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The topic that it goes to; the empty name means the connector's own topic.
    pub fn topic(&self) -> &'a str {
        text(&self.batch.topics, self.row.topic())
    }

    /// The source's partition that it comes from. In a transform's answer it says nothing: the origin's counts.
    pub fn partition(&self) -> &'a str {
        text(&self.batch.partitions, self.row.partition())
    }

    /// The key; absent is not the same as empty. A slice of the arena, not a copy.
    pub fn key(&self) -> Option<Bytes> {
        self.row.key().map(|span| self.batch.slice(span))
    }

    /// The value; absent (null) is not the same as empty. A slice of the arena, not a copy.
    pub fn value(&self) -> Option<Bytes> {
        self.row.value().map(|span| self.batch.slice(span))
    }

    /// The schema of the key; `None` for plain bytes.
    pub fn key_schema(&self) -> Option<&'a Arc<Schema>> {
        self.batch.schemas.get(usize::from(self.row.key_schema()?))
    }

    /// The schema of the value; `None` for plain bytes.
    pub fn value_schema(&self) -> Option<&'a Arc<Schema>> {
        self.batch
            .schemas
            .get(usize::from(self.row.value_schema()?))
    }

    /// Name and value of each header, in order; a name may occur more than once. The values are slices of the arena.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&'a str, Bytes)> + use<'a> {
        let batch = self.batch;
        let size = batch.header_size as usize;
        let first = self.row.first() as usize;
        // Counted and not cut into chunks, which would divide once a record.
        (0..self.row.count() as usize).map(move |index| {
            let start = (first + index) * size;
            let row = batch
                .headers
                .get(start..)
                .and_then(HeaderRow::read)
                .unwrap_or_default();
            (text(&batch.names, row.name), batch.slice(row.value))
        })
    }

    /// Where its source resumes after it; `None` if a later record of the same partition says it.
    pub fn position(&self) -> Option<Bytes> {
        self.row.position().map(|span| self.batch.slice(span))
    }

    /// Queue offset for a sink; free for a source.
    pub fn offset(&self) -> u64 {
        self.row.offset()
    }

    /// When it came to be, in milliseconds since the epoch; zero if its source does not say.
    pub fn timestamp(&self) -> u64 {
        self.row.timestamp()
    }

    /// In a transform's answer the index of the input that it comes from; elsewhere zero.
    pub fn origin(&self) -> u32 {
        self.row.origin()
    }
}

/// Shows the record's place, not its payload.
impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("index", &self.index)
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

fn text(table: &[String], index: u16) -> &str {
    table
        .get(usize::from(index))
        .map(String::as_str)
        .unwrap_or_default()
}
