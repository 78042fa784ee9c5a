//! Values to JSON text, as their shapes say.
//!
//! Text goes straight into one buffer. Must never write JSON that [`super::read`] would not read
//! back as the same value.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connect_record::{Field, Kind, Shape, Value};
use serde_json::value::RawValue;

use super::decimal::Decimal;
use super::{DecimalFormat, MOST_BYTES, is_decimal, is_document, kind_of, read, scale_of, scan};
use crate::ConvertError;
use crate::error::Fault;

/// JSON text under construction.
pub(crate) struct Writer {
    converter: &'static str,
    decimals: DecimalFormat,
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(converter: &'static str, decimals: DecimalFormat) -> Self {
        Self {
            converter,
            decimals,
            out: Vec::new(),
        }
    }

    /// Begins an envelope around what is written next.
    pub(super) fn envelope(&mut self, schema: &str) {
        self.out.extend_from_slice(br#"{"schema":"#);
        self.out.extend_from_slice(schema.as_bytes());
        self.out.extend_from_slice(br#","payload":"#);
    }

    pub(super) fn end_envelope(&mut self) {
        self.out.push(b'}');
    }

    pub(crate) fn finish(self) -> Bytes {
        self.out.into()
    }

    /// Writes a record's key or value.
    pub(crate) fn whole(
        &mut self,
        shape: &Shape,
        value: Option<&Bytes>,
    ) -> Result<(), ConvertError> {
        let malformed = |source| ConvertError::Malformed {
            converter: self.converter,
            what: "value",
            source,
        };
        let value = match (shape.kind, value) {
            (_, None) => Value::Null,
            // text and bytes are the value themselves
            (Kind::Bytes, Some(bytes)) => Value::Bytes(bytes.clone()),
            (Kind::String, Some(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.into()))?;
                return self
                    .string(shape, text)
                    .map_err(|fault| fault.of(self.converter));
            }
            (_, Some(bytes)) => Value::decode(bytes).map_err(|error| malformed(error.into()))?,
        };
        self.value(shape, &value)
            .map_err(|fault| fault.of(self.converter))
    }

    fn value(&mut self, shape: &Shape, value: &Value) -> Result<(), Fault> {
        if self.out.len() > MOST_BYTES {
            return Err(Fault::new(
                format!("at most {MOST_BYTES} bytes of JSON"),
                "more",
            ));
        }
        let mismatch = |expected: &str| Err(Fault::new(expected, kind_of(value)));
        match (shape.kind, value) {
            (_, Value::Null) => self.null(shape),
            (Kind::Boolean, Value::Bool(value)) => {
                self.out
                    .extend_from_slice(if *value { b"true" } else { b"false" });
                Ok(())
            }
            (Kind::Boolean, _) => mismatch("a boolean"),
            (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, Value::Int(number)) => {
                read::in_range(shape.kind, *number)?;
                self.json(number)
            }
            (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, _) => mismatch("an integer"),
            (Kind::Float, Value::Int(_) | Value::Float(_)) => self.float(value),
            (Kind::Double, Value::Int(_) | Value::Float(_)) => self.double(value),
            (Kind::Float | Kind::Double, _) => mismatch("a number"),
            (Kind::String, Value::Text(text)) => self.string(shape, text),
            (Kind::String, _) => mismatch("text"),
            (Kind::Bytes, _) if is_decimal(shape) => self.decimal(shape, value),
            (Kind::Bytes, Value::Bytes(bytes)) => {
                self.base64(bytes);
                Ok(())
            }
            (Kind::Bytes, _) => mismatch("bytes"),
            (Kind::Array, Value::Array(items)) => self.array(shape, items),
            (Kind::Array, _) => mismatch("an array"),
            (Kind::Map, Value::Map(pairs)) => self.map(shape, pairs),
            (Kind::Map, _) => mismatch("a map"),
            (Kind::Struct, Value::Map(pairs)) => self.named(&shape.fields, pairs),
            (Kind::Struct, Value::Array(items)) => self.unnamed(&shape.fields, items),
            (Kind::Struct, _) => mismatch("a struct, as a map or an array"),
        }
    }

    fn null(&mut self, shape: &Shape) -> Result<(), Fault> {
        match read::missing(shape)? {
            // a default is written as any other value, since decimals may be written differently
            Some(default) => self.value(shape, &default),
            None => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
        }
    }

    fn float(&mut self, value: &Value) -> Result<(), Fault> {
        let number = match value {
            Value::Float(number) => *number,
            Value::Int(number) => exact(*number, 24)?,
            other => return Err(Fault::new("a number", kind_of(other))),
        };
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a float is the nearest number of 32 bits"
        )]
        let short = number as f32;
        if !short.is_finite() {
            return Err(Fault::new("a finite number of 32 bits", number.to_string()));
        }
        self.json(&short)
    }

    fn double(&mut self, value: &Value) -> Result<(), Fault> {
        let number = match value {
            Value::Float(number) => *number,
            Value::Int(number) => exact(*number, 53)?,
            other => return Err(Fault::new("a number", kind_of(other))),
        };
        if !number.is_finite() {
            return Err(Fault::new("a finite number", number.to_string()));
        }
        self.json(&number)
    }

    fn string(&mut self, shape: &Shape, text: &str) -> Result<(), Fault> {
        if !is_document(shape) {
            return self.json(text);
        }
        let document: &RawValue = serde_json::from_str(text).map_err(|error| {
            Fault::new("a JSON document", format!("text that is none: {error}"))
        })?;
        scan::bounded(document.get())?;
        self.out.extend_from_slice(document.get().as_bytes());
        Ok(())
    }

    /// Bytes as base64 text.
    pub(super) fn base64(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        self.out
            .extend_from_slice(STANDARD.encode(bytes).as_bytes());
        self.out.push(b'"');
    }

    fn decimal(&mut self, shape: &Shape, value: &Value) -> Result<(), Fault> {
        let scale = scale_of(shape)?;
        let decimal = match value {
            Value::Bytes(bytes) => Decimal::from_bytes(bytes, scale),
            other => Decimal::from_value(other),
        };
        let decimal = decimal.ok_or_else(|| {
            Fault::new(
                "a decimal, as tag 4 or unscaled bytes, of bounded size",
                kind_of(value),
            )
        })?;
        let decimal = decimal.with_scale(scale).ok_or_else(|| {
            Fault::new(
                format!("a decimal with {scale} digits after the point"),
                format!("one with {}", decimal.scale()),
            )
        })?;
        match self.decimals {
            DecimalFormat::Base64 => self.base64(&decimal.to_bytes()),
            DecimalFormat::Numeric => self.out.extend_from_slice(decimal.to_literal().as_bytes()),
        }
        Ok(())
    }

    fn array(&mut self, shape: &Shape, items: &[Value]) -> Result<(), Fault> {
        let of = part(shape.items.as_deref())?;
        let mut separator = b'[';
        for (index, item) in items.iter().enumerate() {
            self.out.push(separator);
            separator = b',';
            self.value(of, item).map_err(|fault| fault.in_item(index))?;
        }
        self.close(separator, b'[', b']')
    }

    fn map(&mut self, shape: &Shape, pairs: &[(Value, Value)]) -> Result<(), Fault> {
        let (keys, values) = (part(shape.keys.as_deref())?, part(shape.values.as_deref())?);
        if keys.kind != Kind::String {
            return self.pairs(keys, values, pairs);
        }
        let mut last = HashMap::with_capacity(pairs.len());
        for (index, (key, _)) in pairs.iter().enumerate() {
            let Value::Text(key) = key else {
                return Err(Fault::new("text as key", kind_of(key)).in_item(index));
            };
            last.insert(key.as_str(), index);
        }
        let mut separator = b'{';
        for (index, (key, value)) in pairs.iter().enumerate() {
            let Value::Text(key) = key else { continue };
            if last.get(key.as_str()) != Some(&index) {
                continue;
            }
            self.out.push(separator);
            separator = b',';
            self.json(key)?;
            self.out.push(b':');
            self.value(values, value)
                .map_err(|fault| fault.in_field(key))?;
        }
        self.close(separator, b'{', b'}')
    }

    fn pairs(
        &mut self,
        keys: &Shape,
        values: &Shape,
        pairs: &[(Value, Value)],
    ) -> Result<(), Fault> {
        let mut separator = b'[';
        for (index, (key, value)) in pairs.iter().enumerate() {
            self.out.extend_from_slice(&[separator, b'[']);
            separator = b',';
            self.value(keys, key)
                .map_err(|fault| fault.in_item(0).in_item(index))?;
            self.out.push(b',');
            self.value(values, value)
                .map_err(|fault| fault.in_item(1).in_item(index))?;
            self.out.push(b']');
        }
        self.close(separator, b'[', b']')
    }

    /// A struct with names.
    fn named(&mut self, fields: &[Field], pairs: &[(Value, Value)]) -> Result<(), Fault> {
        let in_order = pairs.len() == fields.len()
            && pairs
                .iter()
                .zip(fields)
                .all(|((key, _), field)| matches!(key, Value::Text(key) if *key == field.name));
        if in_order {
            return self.fields(fields.iter().zip(pairs.iter().map(|(_, value)| value)));
        }
        let mut by_name = HashMap::with_capacity(pairs.len());
        for (key, value) in pairs {
            let Value::Text(key) = key else {
                return Err(Fault::new("the name of a field", kind_of(key)));
            };
            by_name.insert(key.as_str(), value);
        }
        let taken: Vec<_> = fields
            .iter()
            .map(|field| {
                (
                    field,
                    by_name.remove(field.name.as_str()).unwrap_or(&Value::Null),
                )
            })
            .collect();
        // the smallest, so that the same value gives the same message each time
        if let Some(unknown) = by_name.into_keys().min() {
            return Err(Fault::new("a field of the schema", "another one").in_field(unknown));
        }
        self.fields(taken.into_iter())
    }

    /// A struct as its values in order.
    fn unnamed(&mut self, fields: &[Field], items: &[Value]) -> Result<(), Fault> {
        if fields.len() != items.len() {
            return Err(Fault::new(
                format!("{} fields", fields.len()),
                items.len().to_string(),
            ));
        }
        self.fields(fields.iter().zip(items))
    }

    fn fields<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a Field, &'a Value)>,
    ) -> Result<(), Fault> {
        let mut separator = b'{';
        for (field, value) in fields {
            self.out.push(separator);
            separator = b',';
            self.json(field.name.as_str())?;
            self.out.push(b':');
            self.value(&field.shape, value)
                .map_err(|fault| fault.in_field(&field.name))?;
        }
        self.close(separator, b'{', b'}')
    }

    fn close(&mut self, separator: u8, open: u8, close: u8) -> Result<(), Fault> {
        if separator == open {
            self.out.push(open);
        }
        self.out.push(close);
        Ok(())
    }

    /// A scalar as serde_json writes it.
    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        serde_json::to_writer(&mut self.out, value)
            .map_err(|error| Fault::new("a value that JSON can hold", error.to_string()))
    }
}

/// An integer as a number of so many bits of mantissa.
fn exact(number: i64, bits: u32) -> Result<f64, Fault> {
    let magnitude = number.unsigned_abs();
    let used = match magnitude {
        0 => 0,
        _ => u64::BITS - magnitude.leading_zeros() - magnitude.trailing_zeros(),
    };
    if used > bits {
        return Err(Fault::new(
            format!("a number that {bits} bits hold exactly"),
            number.to_string(),
        ));
    }
    #[allow(clippy::cast_precision_loss, reason = "checked above")]
    let exact = number as f64;
    Ok(exact)
}

/// A part that every shape of its kind has.
pub(super) fn part(shape: Option<&Shape>) -> Result<&Shape, Fault> {
    shape.ok_or_else(|| Fault::new("a schema that says what it holds", "none"))
}
