//! The JSON converter: values as JSON text, with their schema beside them or without.
//!
//! With `schemas.enable` (the default) a body is the Java project's envelope
//! `{"schema":…,"payload":…}`; its schema documents are our own, so they are taken over as they
//! stand. Without, a body is the payload alone.
//!
//! | kind | JSON |
//! | --- | --- |
//! | boolean, int8 … int64, float, double | `true`, `1`, `1.5`; NaN and infinities are errors |
//! | string | text |
//! | bytes | text, base64 |
//! | array | array |
//! | map | object when its keys are strings, else an array of pairs `[key, value]` |
//! | struct | object with every field, null ones too |
//! | Decimal | text, base64 of the unscaled number; with `decimal.format=NUMERIC` a number. Both are read |
//! | Date, Time, Timestamp | the number |
//!
//! A null where there is a default is the default; else it is null where that is allowed, and an
//! error where not. Members of an object that the schema does not know are ignored. A member that
//! occurs twice counts as the last one.
//!
//! **Without a schema**, a JSON string is text, null is null, and everything else is a *JSON
//! document*: its text as it stands, under the schema [`JSON_DOCUMENT`]. So nothing is lost, not a
//! digit of a number nor the order of members, and a sink that speaks JSON writes it on as it is;
//! one that wants a part of it can read JSON in every language. Such a value is written as that
//! JSON again, and in an envelope its schema is null, as Java writes values without one. A value
//! without schema is plain bytes and written as base64, as in Java.
//!
//! Must never lose or change a value silently, nor go deeper than [`Value::MAX_DEPTH`].

mod decimal;
mod parts;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use connect_record::{Kind, Schema, Shape, Value};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{Fault, brief};
use crate::{ConvertError, Converter, Decoded};

pub(crate) use write::Writer;

pub(crate) const NAME: &str = "json";
const SCHEMAS_ENABLE: &str = "schemas.enable";
const DECIMAL_FORMAT: &str = "decimal.format";
const SCHEMAS_CACHE_SIZE: &str = "schemas.cache.size";
pub(crate) const SETTINGS: &[&str] = &[SCHEMAS_ENABLE, DECIMAL_FORMAT, SCHEMAS_CACHE_SIZE];

/// Name of the string schema whose text is a JSON document: an object, an array, a number or a
/// boolean that came without a schema.
pub const JSON_DOCUMENT: &str = "connect.json";

/// Name of the bytes schema that is a decimal number.
const DECIMAL: &str = "io.openmessaging.connector.api.data.logical.Decimal";

/// Most bytes of JSON, or of values read from it: defaults could otherwise multiply a small input.
const MOST_BYTES: usize = 32 << 20;

/// How decimals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalFormat {
    Base64,
    Numeric,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct JsonConverter {
    schemas: bool,
    decimals: DecimalFormat,
}

impl JsonConverter {
    pub(crate) fn new(settings: &BTreeMap<String, String>) -> Result<Self, ConvertError> {
        let upper = |key| {
            settings
                .get(key)
                .map(|value| value.trim().to_ascii_uppercase())
        };
        let refuse = |key, expected| ConvertError::Setting {
            converter: NAME,
            key,
            value: settings
                .get(key)
                .map(|value| brief(value))
                .unwrap_or_default(),
            expected,
        };
        let schemas = match upper(SCHEMAS_ENABLE).as_deref() {
            None | Some("TRUE") => true,
            Some("FALSE") => false,
            _ => return Err(refuse(SCHEMAS_ENABLE, "`true` or `false`")),
        };
        let decimals = match upper(DECIMAL_FORMAT).as_deref() {
            None | Some("BASE64") => DecimalFormat::Base64,
            Some("NUMERIC") => DecimalFormat::Numeric,
            _ => return Err(refuse(DECIMAL_FORMAT, "`BASE64` or `NUMERIC`")),
        };
        // schemas are cached by all converters together; the size is accepted for the sake of
        // configurations that exist
        if upper(SCHEMAS_CACHE_SIZE).is_some_and(|size| size.parse::<u32>().is_err()) {
            return Err(refuse(SCHEMAS_CACHE_SIZE, "a number of schemas"));
        }
        Ok(Self { schemas, decimals })
    }
}

impl Converter for JsonConverter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn encode(
        &self,
        schema: Option<&Arc<Schema>>,
        value: Option<&Bytes>,
    ) -> Result<Option<Bytes>, ConvertError> {
        let mut writer = Writer::new(NAME, self.decimals);
        match (schema, value) {
            (None, None) => return Ok(None),
            (Some(schema), _) => {
                if !self.schemas && value.is_none() && schema.default.is_none() && schema.optional {
                    // the payload would be `null`; without an envelope Java sends a null body
                    return Ok(None);
                }
                if self.schemas {
                    let document = if is_document(schema) {
                        "null"
                    } else {
                        schema.document()
                    };
                    writer.envelope(document);
                }
                writer.whole(schema, value)?;
            }
            (None, Some(value)) => {
                if self.schemas {
                    writer.envelope("null");
                }
                writer.base64(value);
            }
        }
        if self.schemas {
            writer.end_envelope();
        }
        Ok(Some(writer.finish()))
    }

    fn decode(&self, body: Option<&Bytes>) -> Result<Decoded, ConvertError> {
        let Some(body) = body else {
            return Ok(Decoded::default());
        };
        let text = std::str::from_utf8(body).map_err(|error| malformed(error.into()))?;
        if !self.schemas {
            let payload: &RawValue =
                serde_json::from_str(text).map_err(|error| malformed(error.into()))?;
            return without_schema(body, payload);
        }
        if !text.trim_start().starts_with('{') {
            let found = match serde_json::from_str::<&RawValue>(text) {
                Ok(json) => scan::kind_of(json.get()),
                Err(_) if text.trim().is_empty() => "nothing".into(),
                Err(_) => "text that is no JSON".into(),
            };
            return Err(Fault::new(ENVELOPE, found).of(NAME));
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| match error.classify() {
                // an object, but another one
                serde_json::error::Category::Data => {
                    Fault::new(ENVELOPE, brief(&error.to_string())).of(NAME)
                }
                _ => malformed(error.into()),
            })?;
        let null = |raw: &&RawValue| raw.get() != "null";
        let payload = envelope.payload.filter(null);
        if envelope.schema.is_none() && envelope.payload.is_none() {
            return Err(Fault::new(ENVELOPE, "an empty object").of(NAME));
        }
        let Some(schema) = envelope.schema.filter(null) else {
            return payload.map_or_else(
                || Ok(Decoded::default()),
                |payload| without_schema(body, payload),
            );
        };
        let schema = Schema::parse(schema.get()).map_err(|source| ConvertError::Schema {
            converter: NAME,
            source,
        })?;
        let value = read::whole(&schema, payload, body).map_err(|fault| fault.of(NAME))?;
        Ok(Decoded {
            schema: Some(schema),
            value,
        })
    }
}

const ENVELOPE: &str =
    "an object with `schema` and `payload` (for plain JSON set `schemas.enable` to `false`)";

/// Java's envelope. Either member may be missing and is null then: some writers leave nulls out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    schema: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
}

/// Null that is written is present, unlike a member that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn without_schema(body: &Bytes, payload: &RawValue) -> Result<Decoded, ConvertError> {
    static DOCUMENT: LazyLock<Option<Arc<Schema>>> = LazyLock::new(|| {
        Schema::parse(&format!(
            r#"{{"type":"string","optional":true,"name":"{JSON_DOCUMENT}"}}"#
        ))
        .ok()
    });
    let json = payload.get();
    let fault = |fault: Fault| fault.of(NAME);
    Ok(match json.as_bytes().first() {
        Some(b'n') => Decoded::default(),
        Some(b'"') => Decoded {
            schema: Some(Schema::string()),
            value: Some(read::text(json, body).map_err(fault)?),
        },
        _ => {
            scan::bounded(json).map_err(fault)?;
            Decoded {
                schema: DOCUMENT.clone(),
                value: Some(body.slice_ref(json.as_bytes())),
            }
        }
    })
}

fn malformed(source: Box<dyn std::error::Error + Send + Sync>) -> ConvertError {
    ConvertError::Malformed {
        converter: NAME,
        what: "body",
        source,
    }
}

/// Whether values of this shape are decimal numbers.
pub(crate) fn is_decimal(shape: &Shape) -> bool {
    shape.kind == Kind::Bytes && shape.name.as_deref() == Some(DECIMAL)
}

/// Whether values of this shape are JSON documents.
fn is_document(shape: &Shape) -> bool {
    shape.kind == Kind::String && shape.name.as_deref() == Some(JSON_DOCUMENT)
}

/// Digits after the point of a decimal of this shape.
fn scale_of(shape: &Shape) -> Result<i64, Fault> {
    let scale = shape.parameters.get("scale");
    scale
        .and_then(|scale| scale.parse::<i32>().ok())
        .map(i64::from)
        .ok_or_else(|| {
            let found =
                scale.map_or_else(|| "none".to_owned(), |scale| format!("`{}`", brief(scale)));
            Fault::new(
                "a decimal whose schema has a number as parameter `scale`",
                found,
            )
        })
}

/// What a value is, for an error.
fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(_) => "text".into(),
        Value::Bytes(_) => "bytes".into(),
        Value::Array(_) => "an array".into(),
        Value::Map(_) => "a map".into(),
        Value::Tag(tag, _) => format!("tag {tag}"),
    }
}
