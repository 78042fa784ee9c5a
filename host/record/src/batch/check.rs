//! The check at the wall: one pass over every row, nothing allocated per record. Must be total: whatever the parts
//! hold, it answers, and what it accepts can be read without a further look.

use std::sync::Arc;

use connect_rows::{ENTRY_SIZE, Entry, HEADER_SIZE, HeaderRow, Parts, Span, has};

use super::{BatchError, Origin, RowName};
use crate::schema::Kind;
use crate::{Limits, Schema};

/// Checks `parts`; answers the parsed schemas, in the order of their table.
pub(super) fn check(
    parts: &Parts,
    origin: Origin,
    limits: &Limits,
) -> Result<Vec<Arc<Schema>>, BatchError> {
    let records = rows(
        "entries",
        "entry-size",
        parts.entry_size,
        ENTRY_SIZE,
        &parts.entries,
        limits,
    )?;
    at_most("records", records as u64, limits.records.into())?;
    let headers = rows(
        "headers",
        "header-size",
        parts.header_size,
        HEADER_SIZE,
        &parts.headers,
        limits,
    )?;
    at_most("header rows", headers as u64, limits.headers.into())?;
    at_most("bytes in the arena", parts.arena.len() as u64, limits.bytes)?;
    table("topics", "bytes of topics", &parts.topics, limits)?;
    table(
        "partitions",
        "bytes of partitions",
        &parts.partitions,
        limits,
    )?;
    table("schemas", "bytes of schemas", &parts.schemas, limits)?;
    table(
        "header names",
        "bytes of header names",
        &parts.names,
        limits,
    )?;

    if let Some(index) = parts.names.iter().position(|name| name.starts_with(':')) {
        return Err(BatchError::ReservedName { index });
    }

    let schemas = parts.schemas.iter().enumerate().map(|(index, document)| {
        Schema::parse(document).map_err(|source| BatchError::Schema { index, source })
    });
    let schemas = schemas.collect::<Result<Vec<_>, _>>()?;
    let header_bytes = check_headers(parts)?;
    let text: Vec<bool> = schemas
        .iter()
        .map(|schema| schema.kind == Kind::String)
        .collect();
    Entries {
        parts,
        origin,
        limits,
        text: &text,
        headers,
    }
    .check(header_bytes)?;
    Ok(schemas)
}

/// Number of rows in `bytes`.
fn rows(
    list: &'static str,
    field: &'static str,
    size: u32,
    least: usize,
    bytes: &[u8],
    limits: &Limits,
) -> Result<usize, BatchError> {
    let least = u32::try_from(least).unwrap_or(u32::MAX);
    if size < least || size > limits.row_size.max(least) {
        return Err(BatchError::RowSize {
            field,
            size,
            least,
            most: limits.row_size.max(least),
        });
    }
    if !bytes.len().is_multiple_of(size as usize) {
        return Err(BatchError::Ragged {
            field: list,
            bytes: bytes.len(),
            size,
        });
    }
    Ok(bytes.len() / size as usize)
}

fn at_most(what: &'static str, count: u64, limit: u64) -> Result<(), BatchError> {
    if count > limit {
        Err(BatchError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

fn table(
    what: &'static str,
    bytes: &'static str,
    texts: &[String],
    limits: &Limits,
) -> Result<(), BatchError> {
    at_most(what, texts.len() as u64, limits.tables.into())?;
    at_most(
        bytes,
        texts.iter().map(|text| text.len() as u64).sum(),
        limits.table_bytes,
    )
}

/// Checks every header row, whether an entry refers to it or not; answers the bytes of all header values together.
fn check_headers(parts: &Parts) -> Result<u64, BatchError> {
    let arena = parts.arena.len();
    let names = parts.names.len();
    let mut bytes = 0;
    for (index, row) in (0u32..).zip(parts.headers.chunks_exact(parts.header_size as usize)) {
        let (header, zero) = HeaderRow::read(row)
            .zip(HeaderRow::read_zero(row))
            .unwrap_or_default();
        let at = RowName::Header(index);
        if usize::from(header.name) >= names {
            return Err(BatchError::Index {
                row: at,
                field: "name",
                value: header.name,
                bound: names,
            });
        }
        if zero != 0 {
            let reason = "this version keeps it free";
            return Err(BatchError::NotZero {
                row: at,
                field: "bytes 2 and 3",
                value: zero.into(),
                reason,
            });
        }
        inside(at, "value", header.value, arena)?;
        bytes += u64::from(header.value.length);
    }
    Ok(bytes)
}

#[inline(always)]
fn inside(row: RowName, field: &'static str, span: Span, bound: usize) -> Result<(), BatchError> {
    if span.end() <= bound as u64 {
        return Ok(());
    }
    Err(BatchError::Span {
        row,
        field,
        offset: span.offset,
        length: span.length,
        bound,
    })
}

struct Entries<'a> {
    parts: &'a Parts,
    origin: Origin,
    limits: &'a Limits,
    /// For each schema, whether what it describes must be UTF-8.
    text: &'a [bool],
    /// Number of header rows.
    headers: usize,
}

impl Entries<'_> {
    fn check(&self, header_bytes: u64) -> Result<(), BatchError> {
        // What records refer to, all together. Header rows are counted once above; only rows that more than one
        // entry may refer to are counted again.
        let mut payload = header_bytes;
        let mut headers = 0u64;
        let mut next_run = 0u64;
        let mut before = 0;
        for (index, row) in (0u32..).zip(
            self.parts
                .entries
                .chunks_exact(self.parts.entry_size as usize),
        ) {
            let entry = Entry::of(row).unwrap_or(Entry::ZERO);
            self.indices(index, entry)?;
            let (key, value, position) = (entry.key_raw(), entry.value_raw(), entry.position_raw());
            let arena = self.parts.arena.len();
            inside(RowName::Entry(index), "key", key, arena)?;
            inside(RowName::Entry(index), "value", value, arena)?;
            inside(RowName::Entry(index), "position", position, arena)?;
            payload += u64::from(key.length) + u64::from(value.length) + u64::from(position.length);

            let (first, count) = (entry.first(), entry.count());
            let end = u64::from(first) + u64::from(count);
            if end > self.headers as u64 {
                return Err(BatchError::Run {
                    entry: index,
                    first,
                    count,
                    bound: self.headers,
                });
            }
            headers += u64::from(count);
            if u64::from(first) < next_run && count > 0 {
                at_most(
                    "headers in all records",
                    headers,
                    self.limits.headers.into(),
                )?;
                payload += self.run_bytes(first, count);
            }
            next_run = next_run.max(end);
            // Before anything is read: overlapping spans must not make the check itself long.
            at_most("bytes in all records", payload, self.limits.payload)?;

            self.texts(index, entry)?;
            self.origin(index, entry.origin(), before)?;
            before = entry.origin();
        }
        at_most(
            "headers in all records",
            headers,
            self.limits.headers.into(),
        )?;
        at_most("bytes in all records", payload, self.limits.payload)
    }

    /// Tables, presence bits and the fields that they switch off.
    #[inline(always)]
    fn indices(&self, index: u32, entry: Entry<'_>) -> Result<(), BatchError> {
        let bits = entry.bits();
        if bits & !has::ALL != 0 {
            return Err(BatchError::Bits {
                entry: index,
                bits,
                known: has::ALL,
            });
        }
        let row = RowName::Entry(index);
        let in_table = |field, value: u16, bound: usize| {
            if usize::from(value) < bound {
                Ok(())
            } else {
                Err(BatchError::Index {
                    row,
                    field,
                    value,
                    bound,
                })
            }
        };
        let absent = |field, bit: u32, value: u64| {
            if bits & bit != 0 || value == 0 {
                return Ok(());
            }
            let reason = "its bit in `has` is clear";
            Err(BatchError::NotZero {
                row,
                field,
                value,
                reason,
            })
        };
        in_table("topic", entry.topic(), self.parts.topics.len())?;
        in_table("partition", entry.partition(), self.parts.partitions.len())?;
        absent("key-schema", has::KEY_SCHEMA, entry.key_schema_raw().into())?;
        absent(
            "value-schema",
            has::VALUE_SCHEMA,
            entry.value_schema_raw().into(),
        )?;
        if let Some(schema) = entry.key_schema() {
            in_table("key-schema", schema, self.text.len())?;
        }
        if let Some(schema) = entry.value_schema() {
            in_table("value-schema", schema, self.text.len())?;
        }
        let raw = |span: Span| u64::from(span.offset) | u64::from(span.length) << 32;
        absent("key", has::KEY, raw(entry.key_raw()))?;
        absent("value", has::VALUE, raw(entry.value_raw()))?;
        absent("position", has::POSITION, raw(entry.position_raw()))
    }

    /// Bytes of the header values of one run.
    fn run_bytes(&self, first: u32, count: u32) -> u64 {
        let rows = self
            .parts
            .headers
            .chunks_exact(self.parts.header_size as usize);
        let run = rows.skip(first as usize).take(count as usize);
        run.filter_map(HeaderRow::read)
            .map(|header| u64::from(header.value.length))
            .sum()
    }

    /// What is described as a string must be one.
    #[inline(always)]
    fn texts(&self, index: u32, entry: Entry<'_>) -> Result<(), BatchError> {
        let is_text = |schema: Option<u16>| {
            schema
                .is_some_and(|schema| self.text.get(usize::from(schema)).copied().unwrap_or(false))
        };
        if is_text(entry.key_schema()) {
            self.utf8(index, "key", entry.key())?;
        }
        if is_text(entry.value_schema()) {
            self.utf8(index, "value", entry.value())?;
        }
        Ok(())
    }

    fn utf8(&self, entry: u32, field: &'static str, span: Option<Span>) -> Result<(), BatchError> {
        let text = span
            .and_then(|span| span.of(&self.parts.arena))
            .unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(BatchError::Text {
                entry,
                field,
                at: error.valid_up_to(),
            }),
        }
    }

    #[inline(always)]
    fn origin(&self, entry: u32, origin: u32, before: u32) -> Result<(), BatchError> {
        match self.origin {
            Origin::Source if origin == 0 => Ok(()),
            Origin::Source => {
                let reason = "only a transform's answer has origins";
                let row = RowName::Entry(entry);
                Err(BatchError::NotZero {
                    row,
                    field: "origin",
                    value: origin.into(),
                    reason,
                })
            }
            Origin::Transform { inputs } if origin >= inputs => Err(BatchError::Origin {
                entry,
                origin,
                inputs,
            }),
            Origin::Transform { .. } if origin < before => Err(BatchError::OriginFalls {
                entry,
                origin,
                before,
            }),
            Origin::Transform { .. } => Ok(()),
        }
    }
}
