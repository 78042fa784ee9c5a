//! Converters: between the key or value of a record and the bytes of a message.
//!
//! Three of them, known by our names and by the Java project's class names, and byte-compatible
//! with it where it works:
//!
//! - `string`, the default: text and plain bytes as they are, anything else as its text form. Any
//!   bytes survive, where Java replaces what is not UTF-8.
//! - `json`: JSON text, with its schema beside it in Java's envelope (`schemas.enable`, on unless
//!   said otherwise) or without. JSON that comes without a schema is text when it is a string, and
//!   else goes on as it stands under the schema [`JSON_DOCUMENT`].
//! - `bytes`: the bytes, without a look at them.
//!
//! All are total: any bytes give a result or a [`ConvertError`], never a panic, and never more
//! memory than a bounded multiple of what came in.
//!
//! Knows no broker, no plugin and no policy. What happens to a record that cannot be converted is
//! decided elsewhere.
//!
//! ```
//! use std::collections::BTreeMap;
//! use bytes::Bytes;
//! use connect_record::Schema;
//!
//! let json = connect_convert::converter("json", &BTreeMap::new(), false)?;
//! let value = Bytes::from_static(b"a line");
//! let body = json.encode(Some(&Schema::string()), Some(&value))?;
//! assert_eq!(
//!     body.as_deref(),
//!     Some(br#"{"schema":{"type":"string","optional":true},"payload":"a line"}"#.as_slice()),
//! );
//! assert_eq!(json.decode(body.as_ref())?.value, Some(value));
//! # Ok::<_, connect_convert::ConvertError>(())
//! ```
#![forbid(unsafe_code)]

mod bytes;
mod error;
mod json;
mod string;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use ::bytes::Bytes;
use connect_record::Schema;

pub use error::ConvertError;
pub use json::JSON_DOCUMENT;

/// One direction and back between a record's key or value and a message's bytes.
pub trait Converter: Send + Sync + Debug {
    /// Our name of it.
    fn name(&self) -> &'static str;

    /// Record to message. `value` is what the record holds: plain bytes without a schema, the text
    /// or bytes themselves with one of kind string or bytes, else CBOR. `None` is null, in and out.
    ///
    /// # Errors
    /// [`ConvertError`] when the value is not what the schema says, or cannot be written this way.
    fn encode(
        &self,
        schema: Option<&Arc<Schema>>,
        value: Option<&Bytes>,
    ) -> Result<Option<Bytes>, ConvertError>;

    /// Message to record, the other way round.
    ///
    /// # Errors
    /// [`ConvertError`] when the body is not what this converter writes.
    fn decode(&self, body: Option<&Bytes>) -> Result<Decoded, ConvertError>;
}

/// A key or value as a record holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Its schema; without one the value is plain bytes.
    pub schema: Option<Arc<Schema>>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
}

/// Names besides the classes' own.
const OWN_NAMES: &[&str] = &[string::NAME, json::NAME, bytes::NAME];

const CLASSES: &[(&str, &str)] = &[
    (
        "org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter",
        bytes::NAME,
    ),
    (
        "org.apache.rocketmq.connect.runtime.converter.record.StringConverter",
        string::NAME,
    ),
    (
        "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter",
        json::NAME,
    ),
];

/// Where the Java project kept the JSON converter in earlier versions.
const EARLIER_JSON: &str = "org.apache.rocketmq.connect.runtime.converter.record.JsonConverter";

/// The converters: Java class and our name of each.
pub fn known() -> &'static [(&'static str, &'static str)] {
    CLASSES
}

/// The settings that the converter of this name has, or none when there is no such converter. A
/// Java class name may stand beside other settings, which are ignored; this is for warning of them.
pub fn settings_of(class: &str) -> Option<&'static [&'static str]> {
    Some(match name_of(class)? {
        (string::NAME, _) => string::SETTINGS,
        (json::NAME, _) => json::SETTINGS,
        _ => &[],
    })
}

/// Makes a converter.
///
/// `class` is one of our names, a Java class name, or the last part of one. `settings` are those of
/// this converter, with `key.converter.` or `value.converter.` taken off. A setting that is not
/// known is an error under our own names and ignored under a Java name, since configurations that
/// exist carry such (see [`settings_of`]). `is_key` says which of the two it is for; no converter
/// makes a difference so far.
///
/// # Errors
/// [`ConvertError::Unknown`], [`ConvertError::UnknownSetting`] or [`ConvertError::Setting`].
pub fn converter(
    class: &str,
    settings: &BTreeMap<String, String>,
    _is_key: bool,
) -> Result<Arc<dyn Converter>, ConvertError> {
    let (Some((name, java)), Some(known)) = (name_of(class), settings_of(class)) else {
        return Err(ConvertError::Unknown {
            class: error::brief(class),
        });
    };
    if !java && let Some(key) = settings.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(ConvertError::UnknownSetting {
            converter: name,
            key: error::brief(key),
            known,
        });
    }
    Ok(match name {
        string::NAME => Arc::new(string::StringConverter::new(settings)?),
        json::NAME => Arc::new(json::JsonConverter::new(settings)?),
        _ => Arc::new(bytes::BytesConverter),
    })
}

/// Our name of a converter, and whether it was asked for by a Java name.
fn name_of(class: &str) -> Option<(&'static str, bool)> {
    if let Some(own) = OWN_NAMES.iter().find(|own| **own == class) {
        return Some((own, false));
    }
    if class == EARLIER_JSON {
        return Some((json::NAME, true));
    }
    let simple = |full: &'static str| full.rsplit('.').next().unwrap_or(full);
    CLASSES
        .iter()
        .find(|(full, _)| *full == class || simple(full) == class)
        .map(|(_, own)| (*own, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(class: &str, settings: &[(&str, &str)]) -> Result<&'static str, String> {
        let settings = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        converter(class, &settings, false)
            .map(|it| it.name())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_converter_has_its_names() {
        let package = "org.apache.rocketmq.connect.runtime.converter.record";
        for (own, simple, class) in [
            (
                "string",
                "StringConverter",
                format!("{package}.StringConverter"),
            ),
            (
                "bytes",
                "ByteArrayConverter",
                format!("{package}.ByteArrayConverter"),
            ),
            (
                "json",
                "JsonConverter",
                format!("{package}.json.JsonConverter"),
            ),
            ("json", "JsonConverter", format!("{package}.JsonConverter")),
        ] {
            for name in [own, simple, class.as_str()] {
                assert_eq!(made(name, &[]), Ok(own), "{name}");
            }
        }
        for name in [
            "",
            "String",
            "strings",
            "com.acme.StringConverter",
            "java.lang.String",
        ] {
            let text = made(name, &[]).unwrap_err();
            assert!(
                text.contains(&format!("`{name}`")) && text.contains("`json`"),
                "{text}"
            );
        }
    }

    #[test]
    fn settings_are_checked() {
        let java = "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter";
        for (class, settings) in [
            (
                "json",
                &[
                    ("schemas.enable", "FALSE"),
                    ("decimal.format", "numeric"),
                    ("schemas.cache.size", "10"),
                ][..],
            ),
            (java, &[("schemas.enable", "true"), ("something.else", "1")]),
            (
                "string",
                &[
                    ("serializer.encoding", "UTF8"),
                    ("deserializer.encoding", "utf-8"),
                ],
            ),
        ] {
            assert!(made(class, settings).is_ok(), "{class} {settings:?}");
        }
        for (class, settings, part) in [
            (
                "json",
                ("schemas.enabled", "false"),
                "no setting `schemas.enabled`; it has `schemas.enable`",
            ),
            (
                "json",
                ("schemas.enable", "no"),
                "`schemas.enable` is `no`; it is `true` or `false`",
            ),
            (java, ("schemas.enable", ""), "it is `true` or `false`"),
            (
                "json",
                ("decimal.format", "text"),
                "it is `BASE64` or `NUMERIC`",
            ),
            ("json", ("schemas.cache.size", "many"), "a number"),
            ("bytes", ("schemas.enable", "true"), "it has none"),
            ("StringConverter", ("serializer.encoding", "GBK"), "UTF-8"),
        ] {
            let text = made(class, &[settings]).unwrap_err();
            assert!(text.contains(part), "{text}");
        }
    }
}
