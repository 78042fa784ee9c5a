//! The string converter: text and plain bytes as they are, anything else as its text form.
//!
//! The default of keys and values, as in the Java project, but any bytes survive: a line that is
//! not UTF-8 goes through unchanged, where Java replaces what it cannot read. Structs, maps and
//! arrays are written as JSON, numbers and booleans as JSON writes them, decimals in digits.
//!
//! Must never change text or bytes, nor tell empty from null wrongly.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use connect_record::{Kind, Schema};

use crate::json::{DecimalFormat, Writer, is_decimal};
use crate::{ConvertError, Converter, Decoded};

pub(crate) const NAME: &str = "string";
const ENCODINGS: [&str; 2] = ["serializer.encoding", "deserializer.encoding"];
pub(crate) const SETTINGS: &[&str] = &ENCODINGS;

/// See the module.
#[derive(Debug)]
pub(crate) struct StringConverter(());

impl StringConverter {
    pub(crate) fn new(settings: &BTreeMap<String, String>) -> Result<Self, ConvertError> {
        for key in ENCODINGS {
            // ignoring another encoding would garble every record without a word
            match settings.get(key) {
                Some(value) if !matches!(value.to_ascii_uppercase().as_str(), "UTF8" | "UTF-8") => {
                    return Err(ConvertError::Setting {
                        converter: NAME,
                        key,
                        value: crate::error::brief(value),
                        expected: "`UTF-8`, the only encoding there is",
                    });
                }
                _ => {}
            }
        }
        Ok(Self(()))
    }
}

impl Converter for StringConverter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn encode(
        &self,
        schema: Option<&Arc<Schema>>,
        value: Option<&Bytes>,
    ) -> Result<Option<Bytes>, ConvertError> {
        let (Some(schema), Some(value)) = (schema, value) else {
            return Ok(value.cloned());
        };
        match schema.kind {
            Kind::String => Ok(Some(value.clone())),
            Kind::Bytes if !is_decimal(schema) => Ok(Some(value.clone())),
            _ => {
                let mut writer = Writer::new(NAME, DecimalFormat::Numeric);
                writer.whole(schema, Some(value))?;
                Ok(Some(writer.finish()))
            }
        }
    }

    fn decode(&self, body: Option<&Bytes>) -> Result<Decoded, ConvertError> {
        let schema = body
            .filter(|body| std::str::from_utf8(body).is_ok())
            .map(|_| Schema::string());
        Ok(Decoded {
            schema,
            value: body.cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use connect_record::Value;
    use proptest::prelude::*;

    use super::*;

    fn string() -> Arc<dyn Converter> {
        crate::converter("string", &BTreeMap::new(), false).unwrap()
    }

    fn text_of(document: &str, value: &[u8]) -> String {
        let schema = Schema::parse(document).unwrap();
        let body = string()
            .encode(Some(&schema), Some(&Bytes::copy_from_slice(value)))
            .unwrap()
            .unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn null_and_empty_are_two_things() {
        let string = string();
        assert_eq!(string.encode(None, None).unwrap(), None);
        assert_eq!(string.encode(Some(&Schema::string()), None).unwrap(), None);
        assert_eq!(
            string
                .encode(Some(&Schema::string()), Some(&Bytes::new()))
                .unwrap(),
            Some(Bytes::new())
        );
        assert_eq!(
            string.decode(None).unwrap(),
            Decoded {
                schema: None,
                value: None
            }
        );
        let empty = Decoded {
            schema: Some(Schema::string()),
            value: Some(Bytes::new()),
        };
        assert_eq!(string.decode(Some(&Bytes::new())).unwrap(), empty);
    }

    #[test]
    fn other_kinds_have_a_text_form() {
        assert_eq!(
            text_of(r#"{"type":"int64"}"#, &Value::Int(-7).encode()),
            "-7"
        );
        assert_eq!(
            text_of(r#"{"type":"boolean"}"#, &Value::Bool(true).encode()),
            "true"
        );
        assert_eq!(
            text_of(r#"{"type":"double"}"#, &Value::Float(1.0).encode()),
            "1.0"
        );
        let decimal = r#"{"type":"bytes","name":"io.openmessaging.connector.api.data.logical.Decimal","parameters":{"scale":"2"}}"#;
        assert_eq!(text_of(decimal, &[0x00, 0x9c]), "1.56");
        let struct_ = r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true}]}"#;
        let value = Value::Map(vec![(Value::Text("a".into()), Value::Int(1))]);
        assert_eq!(text_of(struct_, &value.encode()), r#"{"a":1,"b":null}"#);
    }

    #[test]
    fn bytes_that_are_not_cbor_are_an_error() {
        let schema = Schema::parse(r#"{"type":"int64"}"#).unwrap();
        let text = string()
            .encode(Some(&schema), Some(&Bytes::from_static(b"\xff")))
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("string converter: the value is malformed"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let bytes = Bytes::from(bytes);
            let string = string();
            let decoded = string.decode(Some(&bytes)).unwrap();
            prop_assert_eq!(decoded.schema.is_some(), std::str::from_utf8(&bytes).is_ok());
            let body = string.encode(decoded.schema.as_ref(), decoded.value.as_ref()).unwrap();
            prop_assert_eq!(body, Some(bytes));
        }
    }
}
