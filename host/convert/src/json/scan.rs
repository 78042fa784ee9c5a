//! What can be said of JSON text without building anything from it.
//!
//! Expects text that serde_json has accepted as one value. Must never recurse.

use connect_record::Value;

use crate::error::{Fault, brief};

/// Refuses JSON that is nested deeper than any value may be.
pub(super) fn bounded(json: &str) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > Value::MAX_DEPTH {
                    return Err(Fault::new(
                        format!("at most {} levels", Value::MAX_DEPTH),
                        "more",
                    ));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// What a JSON value is, for an error.
pub(super) fn kind_of(json: &str) -> String {
    match json.as_bytes().first() {
        Some(b'{') => "an object".into(),
        Some(b'[') => "an array".into(),
        Some(b'"') => "text".into(),
        _ => brief(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_outside_of_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(bounded(&nested(64)).is_ok());
        assert!(bounded(&nested(65)).is_err());
        assert!(bounded(&nested(1_000_000)).is_err());
        assert!(bounded(&format!(r#"["{}\"[", {}]"#, "[".repeat(100), nested(63))).is_ok());
        assert!(bounded(&format!("[{}]", vec!["[]"; 1_000].join(","))).is_ok());
    }

    #[test]
    fn kinds_are_named_without_their_content() {
        for (json, kind) in [
            (r#"{"a":1}"#, "an object"),
            ("[1]", "an array"),
            (r#""secret""#, "text"),
            ("1.5", "1.5"),
        ] {
            assert_eq!(kind_of(json), kind);
        }
    }
}
