//! The rules of the WIT once more, read from its comment and written as plainly as possible, to hold the check
//! against. Must share no code with it but the names of types.

use connect_rows::Parts;

use super::Origin;
use crate::Limits;

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size]
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Whether the worker has to take this batch.
pub(super) fn accepts(parts: &Parts, origin: Origin, limits: &Limits) -> bool {
    let entry_size = parts.entry_size as usize;
    let header_size = parts.header_size as usize;
    let row_size = limits.row_size as usize;
    if !(64..=row_size.max(64)).contains(&entry_size)
        || !(12..=row_size.max(12)).contains(&header_size)
    {
        return false;
    }
    if !parts.entries.len().is_multiple_of(entry_size)
        || !parts.headers.len().is_multiple_of(header_size)
    {
        return false;
    }
    let entries: Vec<&[u8]> = parts.entries.chunks(entry_size).collect();
    let headers: Vec<&[u8]> = parts.headers.chunks(header_size).collect();
    let arena = parts.arena.len() as u64;
    if entries.len() as u64 > limits.records.into() || headers.len() as u64 > limits.headers.into()
    {
        return false;
    }
    if arena > limits.bytes {
        return false;
    }
    for table in [
        &parts.topics,
        &parts.partitions,
        &parts.schemas,
        &parts.names,
    ] {
        let bytes: usize = table.iter().map(String::len).sum();
        if table.len() as u64 > limits.tables.into() || bytes as u64 > limits.table_bytes {
            return false;
        }
    }
    if parts
        .names
        .iter()
        .any(|name| name.bytes().next() == Some(b':'))
    {
        return false;
    }
    let mut text = Vec::new();
    for document in &parts.schemas {
        match crate::Schema::parse(document) {
            Ok(schema) => text.push(schema.shape().kind.name() == "string"),
            Err(_) => return false,
        }
    }
    let inside = |row: &[u8], at: usize| number(row, at, 4) + number(row, at + 4, 4) <= arena;
    for row in &headers {
        if number(row, 0, 2) >= parts.names.len() as u64
            || number(row, 2, 2) != 0
            || !inside(row, 4)
        {
            return false;
        }
    }
    let mut last_origin = 0;
    let mut total_headers = 0;
    let mut payload: u64 = headers.iter().map(|row| number(row, 8, 4)).sum();
    let mut seen = 0;
    for row in entries {
        let bits = number(row, 56, 4);
        if bits > 31 {
            return false;
        }
        if number(row, 0, 2) >= parts.topics.len() as u64
            || number(row, 2, 2) >= parts.partitions.len() as u64
        {
            return false;
        }
        // place, size and bit of each optional field
        for (at, size, bit) in [(24, 8, 1), (32, 8, 2), (48, 8, 4), (4, 2, 8), (6, 2, 16)] {
            if bits & bit == 0 && number(row, at, size) != 0 {
                return false;
            }
            let span = size == 8;
            if span && !inside(row, at) {
                return false;
            }
            if span {
                payload += number(row, at + 4, 4);
            } else if bits & bit != 0 && number(row, at, 2) >= parts.schemas.len() as u64 {
                return false;
            }
        }
        let (first, count) = (number(row, 40, 4), number(row, 44, 4));
        if first + count > headers.len() as u64 {
            return false;
        }
        total_headers += count;
        if first < seen && count > 0 {
            payload += headers[first as usize..(first + count) as usize]
                .iter()
                .map(|row| number(row, 8, 4))
                .sum::<u64>();
        }
        seen = seen.max(first + count);
        for (schema, schema_bit, span, span_bit) in [(4, 8, 24, 1), (6, 16, 32, 2)] {
            if bits & schema_bit != 0
                && bits & span_bit != 0
                && text[number(row, schema, 2) as usize]
            {
                let start = number(row, span, 4) as usize;
                let bytes = &parts.arena[start..start + number(row, span + 4, 4) as usize];
                if String::from_utf8(bytes.to_vec()).is_err() {
                    return false;
                }
            }
        }
        let own = number(row, 60, 4);
        match origin {
            Origin::Source if own != 0 => return false,
            Origin::Transform { inputs } if own >= inputs.into() || own < last_origin => {
                return false;
            }
            _ => last_origin = own,
        }
    }
    total_headers <= limits.headers.into() && payload <= limits.payload
}
