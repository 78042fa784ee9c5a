//! JSON text to values, as their shapes say.
//!
//! Objects and arrays are taken apart one level at a time into pieces of text, so that a number
//! keeps every digit until its shape says what it is, and nothing recurses deeper than the shape.
//! Must never trust a length or a depth of the text.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use connect_record::{Kind, Shape, Value};
use serde_json::value::RawValue;

use super::decimal::Decimal;
use super::parts::{each_item, each_member, members};
use super::write::part;
use super::{is_decimal, is_document, scale_of, scan};
use crate::error::Fault;

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a record's key or value. `body` is where the text comes from: what can be, is a slice of
/// it.
pub(super) fn whole(
    shape: &Shape,
    json: Option<&RawValue>,
    body: &Bytes,
) -> Result<Option<Bytes>, Fault> {
    let mut reader = Reader::new();
    let Some(json) = json else {
        return Ok(reader.missing(shape, 0)?.map(|value| as_held(shape, value)));
    };
    match shape.kind {
        Kind::String if is_document(shape) => {
            scan::bounded(json.get())?;
            Ok(Some(body.slice_ref(json.get().as_bytes())))
        }
        Kind::String => text(json.get(), body).map(Some),
        _ => reader
            .value(shape, json, 0)
            .map(|value| Some(as_held(shape, value))),
    }
}

/// What stands for a value that is not there: the default, or nothing where null is allowed.
pub(super) fn missing(shape: &Shape) -> Result<Option<Value>, Fault> {
    Reader::new().missing(shape, 0)
}

/// A JSON string as text; a slice of `body` when it has no escapes.
pub(super) fn text(json: &str, body: &Bytes) -> Result<Bytes, Fault> {
    match json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(plain) if !plain.contains('\\') => Ok(body.slice_ref(plain.as_bytes())),
        Some(_) => string(json).map(Bytes::from),
        None => Err(Fault::new("text", scan::kind_of(json))),
    }
}

/// Whether an integer is one of this kind.
pub(super) fn in_range(kind: Kind, number: i64) -> Result<(), Fault> {
    let (bits, fits) = match kind {
        Kind::Int8 => (8, i8::try_from(number).is_ok()),
        Kind::Int16 => (16, i16::try_from(number).is_ok()),
        Kind::Int32 => (32, i32::try_from(number).is_ok()),
        _ => (64, true),
    };
    if fits {
        Ok(())
    } else {
        Err(Fault::new(
            format!("an integer of {bits} bits"),
            number.to_string(),
        ))
    }
}

/// A value as a record holds it: text and bytes as they are, else CBOR.
fn as_held(shape: &Shape, value: Value) -> Bytes {
    match value {
        Value::Text(text) if shape.kind == Kind::String => text.into(),
        Value::Bytes(bytes) if shape.kind == Kind::Bytes => bytes,
        other => other.encode().into(),
    }
}

fn string(json: &str) -> Result<String, Fault> {
    if !json.starts_with('"') {
        return Err(Fault::new("text", scan::kind_of(json)));
    }
    serde_json::from_str(json)
        .map_err(|error| Fault::new("text", format!("text that is none: {error}")))
}

/// Most bytes of JSON that defaults may add to one value; as values they take up to about forty
/// times as much.
const MOST_DEFAULTS: usize = 1 << 20;

struct Reader {
    /// Values that may still be read.
    items: usize,
    /// Bytes of JSON of defaults that may still be put in.
    defaults: usize,
}

impl Reader {
    fn new() -> Self {
        Self {
            items: Value::MAX_ITEMS,
            defaults: MOST_DEFAULTS,
        }
    }

    /// One value that has `depth` values around it.
    fn value(&mut self, shape: &Shape, json: &RawValue, depth: usize) -> Result<Value, Fault> {
        let text = json.get();
        let mismatch = |expected: &str| Fault::new(expected, scan::kind_of(text));
        if text == "null" {
            return self.null(shape, depth);
        }
        self.spend(1)?;
        match shape.kind {
            Kind::Boolean => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(mismatch("a boolean")),
            },
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => {
                let number = text
                    .parse::<i64>()
                    .map_err(|_| mismatch("an integer of 64 bits at most"))?;
                in_range(shape.kind, number)?;
                Ok(Value::Int(number))
            }
            Kind::Float => {
                let number = number::<f32>(text)?;
                if number.is_finite() {
                    Ok(Value::Float(number.into()))
                } else {
                    Err(mismatch("a number of 32 bits"))
                }
            }
            Kind::Double => {
                let number = number::<f64>(text)?;
                if number.is_finite() {
                    Ok(Value::Float(number))
                } else {
                    Err(mismatch("a number of 64 bits"))
                }
            }
            Kind::String if is_document(shape) => {
                scan::bounded(text)?;
                Ok(Value::Text(text.to_owned()))
            }
            Kind::String => string(text).map(Value::Text),
            Kind::Bytes if is_decimal(shape) => {
                // at most: the array in the tag, its two parts, and what is in a large number's tag
                self.spend(4)?;
                decimal(shape, text, depth)
            }
            Kind::Bytes => bytes(text).map(|bytes| Value::Bytes(bytes.into())),
            Kind::Array => self.array(shape, text, depth),
            Kind::Map => self.map(shape, text, depth),
            Kind::Struct => self.structure(shape, text, depth),
        }
    }

    fn null(&mut self, shape: &Shape, depth: usize) -> Result<Value, Fault> {
        self.spend(1)?;
        Ok(self.missing(shape, depth)?.unwrap_or(Value::Null))
    }

    fn missing(&mut self, shape: &Shape, depth: usize) -> Result<Option<Value>, Fault> {
        let Some(default) = &shape.default else {
            if shape.optional {
                return Ok(None);
            }
            return Err(Fault::new(
                format!("a value of type {}", shape.kind),
                "null, and there is no default",
            ));
        };
        let text = default.to_string();
        self.defaults = self.defaults.checked_sub(text.len()).ok_or_else(|| {
            Fault::new(
                format!("at most {MOST_DEFAULTS} bytes of defaults in one value"),
                "more",
            )
        })?;
        let json = RawValue::from_string(text)
            .map_err(|error| Fault::new("a default in JSON", error.to_string()))?;
        self.value(shape, &json, depth)
            .map(Some)
            .map_err(|fault| fault.in_field("(default)"))
    }

    fn array(&mut self, shape: &Shape, text: &str, depth: usize) -> Result<Value, Fault> {
        let of = part(shape.items.as_deref())?;
        nest(depth)?;
        let mut items = Vec::new();
        each_item(text, |item| {
            let index = items.len();
            items.push(
                self.value(of, item, depth + 1)
                    .map_err(|fault| fault.in_item(index))?,
            );
            Ok(())
        })?;
        Ok(Value::Array(items))
    }

    fn map(&mut self, shape: &Shape, text: &str, depth: usize) -> Result<Value, Fault> {
        let (keys, values) = (part(shape.keys.as_deref())?, part(shape.values.as_deref())?);
        nest(depth)?;
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        if keys.kind != Kind::String {
            each_item(text, |pair| {
                let index = pairs.len();
                let pair = self
                    .pair(keys, values, pair.get(), depth)
                    .map_err(|fault| fault.in_item(index))?;
                pairs.push(pair);
                Ok(())
            })?;
            return Ok(Value::Map(pairs));
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        each_member(text, |key, value| {
            let value = self
                .value(values, value, depth + 1)
                .map_err(|fault| fault.in_field(&key))?;
            match places.get(&key).and_then(|place| pairs.get_mut(*place)) {
                Some(pair) => pair.1 = value,
                None => {
                    self.spend(1)?;
                    places.insert(key.clone(), pairs.len());
                    pairs.push((Value::Text(key), value));
                }
            }
            Ok(())
        })?;
        Ok(Value::Map(pairs))
    }

    fn pair(
        &mut self,
        keys: &Shape,
        values: &Shape,
        text: &str,
        depth: usize,
    ) -> Result<(Value, Value), Fault> {
        let mut parts = Vec::new();
        each_item(text, |part| {
            let index = parts.len();
            let shape = match index {
                0 => keys,
                1 => values,
                _ => return Err(Fault::new("a pair", "more than two values")),
            };
            parts.push(
                self.value(shape, part, depth + 1)
                    .map_err(|fault| fault.in_item(index))?,
            );
            Ok(())
        })?;
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next()) {
            (Some(key), Some(value)) => Ok((key, value)),
            _ => Err(Fault::new("a pair", "fewer than two values")),
        }
    }

    fn structure(&mut self, shape: &Shape, text: &str, depth: usize) -> Result<Value, Fault> {
        nest(depth)?;
        let members = members(text)?;
        let mut pairs = Vec::with_capacity(shape.fields.len());
        for field in &shape.fields {
            self.spend(1)?;
            let value = match members.get(field.name.as_str()) {
                Some(json) => self.value(&field.shape, json, depth + 1),
                None => self.null(&field.shape, depth + 1),
            };
            pairs.push((
                Value::Text(field.name.clone()),
                value.map_err(|fault| fault.in_field(&field.name))?,
            ));
        }
        Ok(Value::Map(pairs))
    }

    fn spend(&mut self, items: usize) -> Result<(), Fault> {
        self.items = self
            .items
            .checked_sub(items)
            .ok_or_else(|| Fault::new(format!("at most {} values", Value::MAX_ITEMS), "more"))?;
        Ok(())
    }
}

fn nest(depth: usize) -> Result<(), Fault> {
    if depth < Value::MAX_DEPTH {
        Ok(())
    } else {
        Err(Fault::new(
            format!("at most {} levels", Value::MAX_DEPTH),
            "more",
        ))
    }
}

/// A JSON number; the text is valid JSON, so anything that begins like one is one.
fn number<T: std::str::FromStr>(text: &str) -> Result<T, Fault> {
    let mismatch = || Fault::new("a number", scan::kind_of(text));
    // Rust reads `inf` and `nan` too, which JSON does not have
    let like_one = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if like_one {
        text.parse().map_err(|_| mismatch())
    } else {
        Err(mismatch())
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, Fault> {
    if !text.starts_with('"') {
        return Err(Fault::new("bytes as base64 text", scan::kind_of(text)));
    }
    let encoded = string(text)?;
    BASE64.decode(&encoded).map_err(|error| {
        Fault::new(
            "bytes as base64 text",
            format!("text that is none: {error}"),
        )
    })
}

/// A decimal: alone it is its unscaled bytes, inside of other values `4([exponent, unscaled])`.
fn decimal(shape: &Shape, text: &str, depth: usize) -> Result<Value, Fault> {
    let scale = scale_of(shape)?;
    let size = || Fault::new("a decimal of bounded size", scan::kind_of(text));
    let decimal = match text.as_bytes().first() {
        Some(b'"') => Decimal::from_bytes(&bytes(text)?, scale).ok_or_else(size)?,
        Some(b'-' | b'0'..=b'9') => Decimal::from_literal(text)
            .ok_or_else(size)?
            .with_scale(scale)
            .ok_or_else(|| {
                Fault::new(
                    format!("at most {scale} digits after the point"),
                    scan::kind_of(text),
                )
            })?,
        _ => {
            return Err(Fault::new(
                "a decimal as base64 text or number",
                scan::kind_of(text),
            ));
        }
    };
    if depth == 0 {
        return Ok(Value::Bytes(decimal.to_bytes().into()));
    }
    // a tag, the array in it, and maybe another tag
    nest(depth + 2)?;
    Ok(decimal.to_value())
}
