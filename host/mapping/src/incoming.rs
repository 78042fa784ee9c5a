//! Message to record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connect_broker::Incoming;
use connect_convert::Converter;
use connect_record::Queue;
use connect_rows::{Builder, RecordBuilder};

use crate::{
    BINARY_HEADERS, EMPTY_HEADERS, HEADER_PREFIX, KEY, MESSAGE_ID, MappingError, SEPARATOR, SYSTEM,
    TIMESTAMP, VALUE,
};

/// Properties that are read here and are no headers of the record.
const OWN: [&str; 6] = [TIMESTAMP, VALUE, KEY, EMPTY_HEADERS, BINARY_HEADERS, "KEYS"];

/// Appends the record of one message to a batch for a sink.
///
/// # Errors
/// [`MappingError`] when body, key or a property cannot be read; the batch is as before then.
pub fn append_message(
    batch: &mut Builder,
    queue: &Queue,
    partition: &str,
    message: &Incoming,
    keys: &dyn Converter,
    values: &dyn Converter,
) -> Result<(), MappingError> {
    let property = |name: &str| message.properties.get(name);
    let key = key_of(property("KEYS"), property(KEY))?;
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
    let body = match property(VALUE) {
        None => Some(&message.body),
        Some("empty") => Some(&empty),
        Some("null") => None,
        Some(other) => {
            return Err(MappingError::Property {
                property: VALUE,
                found: other.to_owned(),
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
    let timestamp = property(TIMESTAMP)
        .and_then(|text| text.parse().ok())
        .unwrap_or(message.born_timestamp);
    let binary = binary_headers(message)?;

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
    with_headers(record, message, &binary)
        .finish()
        .map_err(|error| MappingError::TooLarge(error.to_string()))
}

fn key_of(keys: Option<&str>, note: Option<&str>) -> Result<Option<Bytes>, MappingError> {
    Ok(match (note, keys) {
        (Some("empty"), _) => Some(Bytes::new()),
        (Some("base64"), Some(text)) => Some(decode64("KEYS", text)?),
        (_, Some(text)) => Some(Bytes::copy_from_slice(text.as_bytes())),
        (_, None) => None,
    })
}

fn decode64(property: &'static str, text: &str) -> Result<Bytes, MappingError> {
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| MappingError::Property {
            property,
            found: text.to_owned(),
            reason: "it is marked as base64 and is not",
        })
}

/// The headers whose values are base64 in the message, by name.
fn binary_headers(message: &Incoming) -> Result<Vec<(&str, Bytes)>, MappingError> {
    let list = message.properties.get(BINARY_HEADERS);
    let names = list.into_iter().flat_map(|list| list.split(SEPARATOR));
    let decoded = names.filter_map(|name| {
        let value = message.properties.get(&format!("{HEADER_PREFIX}{name}"))?;
        Some(decode64(BINARY_HEADERS, value).map(|bytes| (name, bytes)))
    });
    decoded.collect()
}

/// Adds the properties that are headers to a record.
fn with_headers<'a>(
    mut record: RecordBuilder<'a>,
    message: &Incoming,
    binary: &[(&str, Bytes)],
) -> RecordBuilder<'a> {
    let empty = message.properties.get(EMPTY_HEADERS);
    for (property, value) in message.properties.iter() {
        if OWN.contains(&property) {
            continue;
        }
        record = if let Some(name) = property.strip_prefix(HEADER_PREFIX) {
            match binary.iter().find(|(known, _)| *known == name) {
                Some((_, bytes)) => record.header(name, bytes),
                None => record.header(name, value.as_bytes()),
            }
        } else {
            let system = SYSTEM.iter().find(|(known, _)| *known == property);
            let name = system.map_or(property, |(_, name)| name);
            record.header(name, value.as_bytes())
        };
    }
    for name in empty.into_iter().flat_map(|list| list.split(SEPARATOR)) {
        record = record.header(name, b"");
    }
    record.header(MESSAGE_ID, message.message_id().as_bytes())
}
