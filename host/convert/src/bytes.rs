//! The bytes converter: value and body are the same bytes.
//!
//! Must never look into them.

use std::sync::Arc;

use bytes::Bytes;
use connect_record::{Kind, Schema};

use crate::error::Fault;
use crate::{ConvertError, Converter, Decoded};

pub(crate) const NAME: &str = "bytes";

/// See the module.
#[derive(Debug)]
pub(crate) struct BytesConverter;

impl Converter for BytesConverter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn encode(
        &self,
        schema: Option<&Arc<Schema>>,
        value: Option<&Bytes>,
    ) -> Result<Option<Bytes>, ConvertError> {
        match schema.map(|schema| schema.kind) {
            None | Some(Kind::Bytes | Kind::String) => Ok(value.cloned()),
            // Java refuses as well: CBOR in a message would be a surprise for every reader
            Some(kind) => Err(Fault::new(
                "type bytes or string, or no schema",
                format!("type {kind}"),
            )
            .of(NAME)),
        }
    }

    fn decode(&self, body: Option<&Bytes>) -> Result<Decoded, ConvertError> {
        Ok(Decoded {
            schema: None,
            value: body.cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_go_through_and_the_rest_is_refused() {
        let value = Bytes::from_static(b"\xff\0text");
        for schema in [None, Some(Schema::bytes()), Some(Schema::string())] {
            assert_eq!(
                BytesConverter
                    .encode(schema.as_ref(), Some(&value))
                    .unwrap(),
                Some(value.clone())
            );
            assert_eq!(BytesConverter.encode(schema.as_ref(), None).unwrap(), None);
        }
        let decoded = Decoded {
            schema: None,
            value: Some(value.clone()),
        };
        assert_eq!(BytesConverter.decode(Some(&value)).unwrap(), decoded);
        assert_eq!(BytesConverter.decode(None).unwrap(), Decoded::default());
        let schema = Schema::parse(r#"{"type":"int64"}"#).unwrap();
        let text = BytesConverter
            .encode(Some(&schema), Some(&value))
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "bytes converter: $: expected type bytes or string, or no schema, found type int64"
        );
    }
}
