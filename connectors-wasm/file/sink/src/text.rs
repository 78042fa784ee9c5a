//! The text of a value: as it is when it has no schema or one of text or bytes, else written as JSON.

use std::borrow::Cow;

use crate::cbor;

/// Turns values into text; remembers what the schema last seen means.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    schema: String,
    plain: bool,
}

impl Texts {
    /// The bytes of the line for a value; else why there are none.
    #[inline]
    pub(crate) fn of<'a>(
        &mut self,
        schema: Option<&str>,
        value: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, String> {
        let Some(schema) = schema else {
            return Ok(Cow::Borrowed(value));
        };
        if self.schema != schema {
            self.plain = matches!(kind(schema), Some("string" | "bytes"));
            schema.clone_into(&mut self.schema);
        }
        if self.plain {
            return Ok(Cow::Borrowed(value));
        }
        cbor::text(value).map(|text| Cow::Owned(text.into_bytes()))
    }
}

/// The value of `type` in the outermost object of a schema document, which the worker has checked.
fn kind(document: &str) -> Option<&str> {
    let (mut depth, mut name) = (0, None);
    let mut rest = document;
    while let Some(at) = rest.find(['{', '}', '[', ']', '"']) {
        let (symbol, after) = rest.get(at..)?.split_at_checked(1)?;
        rest = after;
        match symbol {
            "{" | "[" => depth += 1,
            "}" | "]" => depth -= 1,
            _ => {
                let text = rest.get(..string_end(rest)?)?;
                rest = rest.get(text.len() + 1..)?;
                let is_name = rest.trim_start().starts_with(':');
                match name {
                    Some("type") if depth == 1 && !is_name => return Some(text),
                    _ => name = (depth == 1 && is_name).then_some(text),
                }
            }
        }
    }
    None
}

/// Where a JSON string ends.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_type_counts() {
        for (document, expected) in [
            (r#"{"type":"string"}"#, Some("string")),
            (
                r#"{ "name" : "type", "optional":false, "type" : "int64" }"#,
                Some("int64"),
            ),
            (
                r#"{"fields":[{"type":"string","field":"a"}],"type":"struct"}"#,
                Some("struct"),
            ),
            (
                r#"{"name":"\"type\":\"string","type":"bytes"}"#,
                Some("bytes"),
            ),
            (r#"{"parameters":{"type":"string"}}"#, None),
            ("", None),
        ] {
            assert_eq!(kind(document), expected, "{document}");
        }
    }

    #[test]
    fn plain_values_stay_as_they_are_and_others_are_written_out() {
        let mut texts = Texts::default();
        for schema in [
            None,
            Some(r#"{"type":"string"}"#),
            Some(r#"{"type":"bytes"}"#),
        ] {
            assert_eq!(
                texts.of(schema, b"\xff\x01"),
                Ok(Cow::Borrowed(&b"\xff\x01"[..]))
            );
        }
        assert_eq!(
            texts.of(Some(r#"{"type":"int64"}"#), &[0x18, 123]),
            Ok(Cow::Owned(b"123".to_vec()))
        );
        assert!(texts.of(Some(r#"{"type":"int64"}"#), &[0x18]).is_err());
    }
}
