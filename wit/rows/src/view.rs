//! Reads a batch that is trusted: on the guest's side, the worker has checked it. Must never panic all the same;
//! what is out of bounds reads as absent.

use std::slice::ChunksExact;

use crate::bytes::{same, u16_at};
use crate::{ENTRY_SIZE, Entry, HEADER_SIZE, HeaderRow, Parts, Span};

/// The records of a batch, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    parts: &'a Parts,
}

impl<'a> View<'a> {
    /// A view of `parts`.
    #[inline]
    pub fn new(parts: &'a Parts) -> Self {
        Self { parts }
    }

    /// Number of records.
    #[inline]
    pub fn len(&self) -> usize {
        self.parts.records()
    }

    /// Whether there is no record.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at `index`, counted from zero.
    #[inline]
    pub fn record(&self, index: usize) -> Option<RecordView<'a>> {
        if index >= self.len() {
            return None;
        }
        let start = index.checked_mul(self.parts.entry_size as usize)?;
        let row = Entry::of(self.parts.entries.get(start..)?)?;
        Some(RecordView {
            parts: self.parts,
            row,
            index: u32::try_from(index).ok()?,
        })
    }

    /// All records, in order.
    #[inline]
    pub fn records(&self) -> Records<'a> {
        // A row size that is too small to be one means no records; it must not reach `chunks_exact` as zero.
        let size = self.parts.entry_size as usize;
        let rows = if size < ENTRY_SIZE {
            [].chunks_exact(1)
        } else {
            self.parts.entries.chunks_exact(size)
        };
        Records {
            parts: self.parts,
            rows,
            next: 0,
        }
    }
}

impl<'a> IntoIterator for View<'a> {
    type Item = RecordView<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.records()
    }
}

/// Iterator over the records of a [`View`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    parts: &'a Parts,
    rows: ChunksExact<'a, u8>,
    next: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordView<'a>> {
        let row = Entry::of(self.rows.next()?)?;
        let index = self.next;
        self.next = index.wrapping_add(1);
        Some(RecordView {
            parts: self.parts,
            row,
            index,
        })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl ExactSizeIterator for Records<'_> {}

/// One record of a batch, borrowed. Copying it copies two pointers.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    parts: &'a Parts,
    row: Entry<'a>,
    index: u32,
}

impl<'a> RecordView<'a> {
    /// The topic it goes to (source) or comes from (sink).
    #[inline]
    pub fn topic(&self) -> &'a str {
        text(&self.parts.topics, self.row.topic()).unwrap_or_default()
    }

    /// The partition it comes from; in a sink `topic TAB broker TAB queue id`.
    #[inline]
    pub fn partition(&self) -> &'a str {
        text(&self.parts.partitions, self.row.partition()).unwrap_or_default()
    }

    /// The key; absent is not the same as empty.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.bytes(self.row.key())
    }

    /// The value; absent (null) is not the same as empty.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.bytes(self.row.value())
    }

    /// The schema document of the key; `None` for plain bytes.
    #[inline]
    pub fn key_schema(&self) -> Option<&'a str> {
        text(&self.parts.schemas, self.row.key_schema()?)
    }

    /// The schema document of the value; `None` for plain bytes.
    #[inline]
    pub fn value_schema(&self) -> Option<&'a str> {
        text(&self.parts.schemas, self.row.value_schema()?)
    }

    /// Name and value of each header, in order; a name may occur more than once.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        Headers {
            parts: self.parts,
            rows: self
                .header_rows()
                .unwrap_or(HeaderRows { rest: &[], size: 1 }),
        }
    }

    /// The value of the first header of this name.
    #[inline]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let named = |row: &&[u8; HEADER_SIZE]| {
            text(&self.parts.names, u16_at::<0>(*row)).is_some_and(|known| same(known, name))
        };
        let mut rows = self.header_rows()?;
        let row = if rows.size == HEADER_SIZE {
            // Rows of the size that this version knows are not measured again, each by each.
            rows.rest.as_chunks().0.iter().find(named)
        } else {
            rows.find(named)
        };
        HeaderRow::read(row?)?.value.of(&self.parts.arena)
    }

    /// Where the source resumes after this record.
    #[inline]
    pub fn position(&self) -> Option<&'a [u8]> {
        self.bytes(self.row.position())
    }

    /// The queue offset it comes from, in a sink.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.row.offset()
    }

    /// When it came to be, in milliseconds since the epoch.
    #[inline]
    pub fn timestamp(&self) -> u64 {
        self.row.timestamp()
    }

    /// Its place in the batch, counted from zero.
    #[inline]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// In a transform's answer the index of the input that it comes from.
    #[inline]
    pub fn origin(&self) -> u32 {
        self.row.origin()
    }

    #[inline]
    fn bytes(&self, span: Option<Span>) -> Option<&'a [u8]> {
        span?.of(&self.parts.arena)
    }

    #[inline]
    fn header_rows(&self) -> Option<HeaderRows<'a>> {
        let size = self.parts.header_size as usize;
        if size < HEADER_SIZE {
            return None;
        }
        let start = (self.row.first() as usize).checked_mul(size)?;
        let length = (self.row.count() as usize).checked_mul(size)?;
        Some(HeaderRows {
            rest: self.parts.headers.get(start..)?.get(..length)?,
            size,
        })
    }
}

/// The header rows of one record. Unlike `chunks_exact` it divides nothing, which would take longer than to read the
/// headers of a usual record.
#[derive(Clone, Debug)]
struct HeaderRows<'a> {
    /// A whole number of rows.
    rest: &'a [u8],
    size: usize,
}

impl<'a> Iterator for HeaderRows<'a> {
    type Item = &'a [u8; HEADER_SIZE];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8; HEADER_SIZE]> {
        let (row, rest) = self.rest.split_at_checked(self.size)?;
        self.rest = rest;
        row.first_chunk()
    }
}

/// Iterator over the headers of a record: name and value. Skips what is out of bounds.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    parts: &'a Parts,
    rows: HeaderRows<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, &'a [u8])> {
        loop {
            let row = HeaderRow::read(self.rows.next()?)?;
            let name = text(&self.parts.names, row.name);
            let value = row.value.of(&self.parts.arena);
            if let Some(header) = name.zip(value) {
                return Some(header);
            }
        }
    }
}

#[inline]
fn text(table: &[String], index: u16) -> Option<&str> {
    table.get(usize::from(index)).map(String::as_str)
}
