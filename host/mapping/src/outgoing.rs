//! Record to message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connect_broker::Outgoing;
use connect_convert::Converter;
use connect_record::Record;

use crate::{
    BINARY_HEADERS, EMPTY_HEADERS, HEADER_PREFIX, KEY, MappingError, SEPARATOR, TIMESTAMP, VALUE,
    plain,
};

/// The body that stands for a value a message cannot carry.
const PLACEHOLDER: &[u8] = b"\0";

/// Builds the message of one record.
///
/// # Errors
/// [`MappingError`] when the record cannot be written as a message without losing something.
pub fn message_of(
    record: &Record<'_>,
    keys: &dyn Converter,
    values: &dyn Converter,
) -> Result<Outgoing, MappingError> {
    let mut properties = Vec::new();
    let (keys, key_note) = key_of(record, keys)?;
    if let Some(note) = key_note {
        properties.push((KEY.to_owned(), note.to_owned()));
    }
    if record.timestamp() != 0 {
        properties.push((TIMESTAMP.to_owned(), record.timestamp().to_string()));
    }
    let mut message = Outgoing {
        keys,
        tags: None,
        properties,
        body: Bytes::new(),
    };
    headers(record, &mut message)?;
    let value = record.value();
    let body = values
        .encode(record.value_schema(), value.as_ref())
        .map_err(|source| MappingError::Convert {
            part: "value",
            source,
        })?;
    message.body = match body {
        Some(body) if !body.is_empty() => body,
        other => {
            let what = if other.is_some() { "empty" } else { "null" };
            message.properties.push((VALUE.to_owned(), what.to_owned()));
            Bytes::from_static(PLACEHOLDER)
        }
    };
    message.check()?;
    Ok(message)
}

type Key = (Option<String>, Option<&'static str>);

fn key_of(record: &Record<'_>, keys: &dyn Converter) -> Result<Key, MappingError> {
    let key = record.key();
    if key.is_none() {
        return Ok((None, None));
    }
    let encoded = keys
        .encode(record.key_schema(), key.as_ref())
        .map_err(|source| MappingError::Convert {
            part: "key",
            source,
        })?;
    let Some(encoded) = encoded else {
        return Ok((None, None));
    };
    if encoded.is_empty() {
        return Ok((None, Some("empty")));
    }
    Ok(match std::str::from_utf8(&encoded) {
        Ok(text) if plain(text) => (Some(text.to_owned()), None),
        _ => (Some(STANDARD.encode(&encoded)), Some("base64")),
    })
}

fn headers(record: &Record<'_>, message: &mut Outgoing) -> Result<(), MappingError> {
    let mut empty: Vec<&str> = Vec::new();
    let mut binary: Vec<&str> = Vec::new();
    for (name, value) in record.headers() {
        check_name(name)?;
        let property = [HEADER_PREFIX, name].concat();
        // a later header of the same name replaces an earlier one, as in the Java project's map
        empty.retain(|known| *known != name);
        binary.retain(|known| *known != name);
        message.properties.retain(|(known, _)| *known != property);
        let text = std::str::from_utf8(&value).ok().filter(|text| plain(text));
        match text {
            Some("") => empty.push(name),
            Some(text) if name == "TAGS" => message.tags = Some(text.to_owned()),
            Some(text) if name == "KEYS" && message.keys.is_none() => {
                message.keys = Some(text.to_owned())
            }
            Some(text) => message.properties.push((property, text.to_owned())),
            None => {
                binary.push(name);
                message.properties.push((property, STANDARD.encode(&value)));
            }
        }
    }
    for (property, names) in [(EMPTY_HEADERS, empty), (BINARY_HEADERS, binary)] {
        if !names.is_empty() {
            message
                .properties
                .push((property.to_owned(), names.join(&SEPARATOR.to_string())));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), MappingError> {
    let refuse = |reason| {
        Err(MappingError::HeaderName {
            name: name.to_owned(),
            reason,
        })
    };
    if name.is_empty() {
        return refuse("is empty");
    }
    if name.starts_with(':') {
        return refuse("begins with `:`, which is kept for the interface");
    }
    if name.contains(SEPARATOR) {
        return refuse("holds a comma");
    }
    if !plain(name) {
        return refuse("holds U+0001 or U+0002, which separate properties on the wire");
    }
    Ok(())
}
