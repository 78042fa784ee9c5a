//! Message to record.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connect_broker::Incoming;
use connect_convert::Converter;
use connect_record::Queue;
use connect_rows::{Builder, RecordBuilder};

use crate::{
    BINARY_HEADERS, EMPTY_HEADERS, HEADER_PREFIX, KEY, KEYS, MESSAGE_ID, MappingError, SEPARATOR,
    TIMESTAMP, VALUE, system,
};

/// Properties that say how the message is to be read, found in one go.
#[derive(Default)]
struct Notes<'a> {
    keys: Option<&'a str>,
    key: Option<&'a str>,
    value: Option<&'a str>,
    timestamp: Option<&'a str>,
    empty: Option<&'a str>,
    binary: Option<&'a str>,
}

impl<'a> Notes<'a> {
    fn of(message: &'a Incoming) -> Self {
        let mut notes = Self::default();
        for (name, value) in message.properties.iter() {
            if let Some(note) = notes.place(name) {
                *note = Some(value);
            }
        }
        notes
    }

    /// Where a property is kept that is no header of the record.
    fn place(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        match name {
            KEYS => Some(&mut self.keys),
            KEY => Some(&mut self.key),
            VALUE => Some(&mut self.value),
            TIMESTAMP => Some(&mut self.timestamp),
            EMPTY_HEADERS => Some(&mut self.empty),
            BINARY_HEADERS => Some(&mut self.binary),
            _ => None,
        }
    }
}

/// Appends the record of one message to a batch for a sink.
///
/// # Errors
/// [`MappingError`] when body, key or a property cannot be read; the batch is as before then, but for
/// texts in its tables where it is too large.
pub fn append_message(
    batch: &mut Builder,
    queue: &Queue,
    partition: &str,
    message: &Incoming,
    keys: &dyn Converter,
    values: &dyn Converter,
) -> Result<(), MappingError> {
    let notes = Notes::of(message);
    let key = key_of(notes.keys, notes.key)?;
    let key = match key {
        Some(key) => keys
            .decode(Some(&key))
            .map_err(|source| MappingError::Convert {
                part: "key",
                source,
            })?,
        None => connect_convert::Decoded {
            schema: None,
            value: None,
        },
    };
    let empty = Bytes::new();
    let body = match notes.value {
        None => Some(&message.body),
        Some("empty") => Some(&empty),
        Some("null") => None,
        Some(other) => {
            return Err(MappingError::Property {
                property: VALUE.to_owned(),
                found: other.chars().take(SHOWN).collect(),
                reason: "it is `empty` or `null`",
            });
        }
    };
    let value = values
        .decode(body)
        .map_err(|source| MappingError::Convert {
            part: "value",
            source,
        })?;
    let timestamp = notes
        .timestamp
        .and_then(|text| text.parse().ok())
        .unwrap_or(message.born_timestamp);
    let binary = binary_headers(message, notes.binary)?;

    // From here on nothing but its size may be wrong: a batch keeps the names of what is not finished.
    let mut record = batch
        .add()
        .topic(&queue.topic)
        .partition(partition)
        .offset(message.queue_offset)
        .timestamp(timestamp);
    if let Some(bytes) = &key.value {
        record = record.key(bytes);
        if let Some(schema) = &key.schema {
            record = record.key_schema(schema.document());
        }
    }
    if let Some(bytes) = &value.value {
        record = record.value(bytes);
    }
    if let Some(schema) = &value.schema {
        record = record.value_schema(schema.document());
    }
    with_headers(record, message, notes, &binary)
        .finish()
        .map_err(|error| MappingError::TooLarge(error.to_string()))
}

fn key_of(keys: Option<&str>, note: Option<&str>) -> Result<Option<Bytes>, MappingError> {
    Ok(match (note, keys) {
        (Some("empty"), _) => Some(Bytes::new()),
        (Some("base64"), Some(text)) => Some(decode64(KEYS, text)?),
        (_, Some(text)) => Some(Bytes::copy_from_slice(text.as_bytes())),
        (_, None) => None,
    })
}

fn decode64(property: &str, text: &str) -> Result<Bytes, MappingError> {
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| MappingError::Property {
            property: property.to_owned(),
            found: text.chars().take(SHOWN).collect(),
            reason: "it is marked as base64 and is not",
        })
}

/// So much of a property is shown in an error, in characters.
const SHOWN: usize = 100;

/// The headers whose values are base64 in the message, by name.
fn binary_headers<'a>(
    message: &'a Incoming,
    list: Option<&str>,
) -> Result<Vec<(&'a str, Bytes)>, MappingError> {
    let Some(list) = list else {
        return Ok(Vec::new());
    };
    let listed: HashSet<&str> = list.split(SEPARATOR).collect();
    // each property once, however often it is listed
    let headers = message.properties.iter().filter_map(|(property, value)| {
        let name = property.strip_prefix(HEADER_PREFIX)?;
        let listed = listed.contains(name);
        listed.then(|| decode64(property, value).map(|bytes| (name, bytes)))
    });
    headers.collect()
}

/// Adds the properties that are headers to a record.
fn with_headers<'a>(
    mut record: RecordBuilder<'a>,
    message: &Incoming,
    mut notes: Notes<'_>,
    binary: &[(&str, Bytes)],
) -> RecordBuilder<'a> {
    for (property, value) in message.properties.iter() {
        if notes.place(property).is_some() {
            continue;
        }
        record = if let Some(name) = property.strip_prefix(HEADER_PREFIX) {
            match binary.iter().find(|(known, _)| *known == name) {
                Some((_, bytes)) => record.header(name, bytes),
                None => record.header(name, value.as_bytes()),
            }
        } else {
            record.header(system(property).unwrap_or(property), value.as_bytes())
        };
    }
    for name in notes
        .empty
        .into_iter()
        .flat_map(|list| list.split(SEPARATOR))
    {
        record = record.header(name, b"");
    }
    record.header(MESSAGE_ID, message.message_id().as_bytes())
}
