//! A connector's configuration as it is posted: a JSON object, its values turned to text as in the
//! Java project, and echoed without its secrets.
//!
//! Number literals keep their text (`1.50` stays `1.50`), which is why values are kept raw. Must
//! never know what a key means.

#[cfg(test)]
mod corpus;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::Refusal;

/// A posted configuration: pairs in their order, each key once.
#[derive(Debug)]
pub(crate) struct Posted(Vec<(String, Box<RawValue>)>);

impl Posted {
    /// Reads the text of a request.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::bad_request(
                "the configuration is missing: post a JSON object, or give it as query parameter `config`",
            ));
        }
        serde_json::from_slice(text).map_err(|error| {
            Refusal::bad_request(format!("the configuration is malformed: {error}"))
        })
    }

    /// The values as text: strings as they are, numbers as they were written, objects and arrays as
    /// JSON without white space.
    pub(crate) fn settings(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let mut settings = BTreeMap::new();
        for (key, raw) in &self.0 {
            let Some(text) = text_of(raw) else {
                // JSON can write half a character, which is no text.
                let why = match raw.get() {
                    "null" => "is null; give it a value or leave it out",
                    _ => "holds half of a surrogate pair; write the character itself",
                };
                return Err(Refusal::bad_request(format!("`{key}` {why}")));
            };
            settings.insert(key.clone(), text);
        }
        Ok(settings)
    }

    /// The posted object, with every value that the worker shows differently as the worker shows
    /// it, and without those that it does not show. That leaves no way for a secret.
    pub(crate) fn echo<'a>(&'a self, shown: &'a BTreeMap<String, String>) -> Echo<'a> {
        Echo {
            posted: self,
            shown,
        }
    }
}

fn text_of(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'n') => None,
        Some(b'"') => serde_json::from_str(json).ok(),
        Some(b'{' | b'[') => Some(compact(json)),
        _ => Some(json.to_owned()),
    }
}

/// Valid JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
        } else if c == '"' {
            in_string = true;
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        out.push(c);
    }
    out
}

/// See [`Posted::echo`].
pub(crate) struct Echo<'a> {
    posted: &'a Posted,
    shown: &'a BTreeMap<String, String>,
}

impl Serialize for Echo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, raw) in &self.posted.0 {
            match self.shown.get(key) {
                Some(shown) if text_of(raw).as_ref() == Some(shown) => {
                    map.serialize_entry(key, raw)?
                }
                Some(shown) => map.serialize_entry(key, shown)?,
                None => {}
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Posted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Posted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object of settings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Posted, A::Error> {
                let mut pairs = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom(format_args!("`{key}` is there twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(Posted(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match Posted::parse(text.as_bytes()).and_then(|posted| posted.settings()) {
            Ok(settings) => panic!("{text} was taken as {settings:?}"),
            Err(refusal) => refusal.message().to_owned(),
        }
    }

    #[test]
    fn values_become_text_as_in_the_java_project() {
        let posted = Posted::parse(
            r#"{"i":1,"f":1.50,"b":true,"o":{ "z": 1, "a": [1, "x y\" "] },"s":"q\"\u00e9\n","big":12345678901234567890}"#
                .as_bytes(),
        )
        .unwrap();
        let settings = posted.settings().unwrap();
        let expected = [
            ("b", "true"),
            ("big", "12345678901234567890"),
            ("f", "1.50"),
            ("i", "1"),
            ("o", r#"{"z":1,"a":[1,"x y\" "]}"#),
            ("s", "q\"\u{e9}\n"),
        ];
        let settings: Vec<_> = settings
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_echo_is_what_was_posted() {
        let text = r#"{"connector.class":"x","f":1.50,"o":{ "z": 1 }}"#;
        let posted = Posted::parse(text.as_bytes()).unwrap();
        let shown = posted.settings().unwrap();
        let echo = serde_json::to_string(&posted.echo(&shown)).unwrap();
        assert_eq!(echo, text);
    }

    #[test]
    fn the_echo_shows_no_secret() {
        let posted =
            Posted::parse(br#"{"user":"u","password":"hunter2","pin":1234,"gone":"hunter2"}"#)
                .unwrap();
        let mut shown = posted.settings().unwrap();
        shown.insert("password".into(), "<secret>".into());
        shown.insert("pin".into(), "<secret>".into());
        shown.remove("gone");
        let echo = serde_json::to_string(&posted.echo(&shown)).unwrap();
        assert_eq!(
            echo,
            r#"{"user":"u","password":"<secret>","pin":"<secret>"}"#
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_place() {
        assert!(refused("").contains("missing"));
        assert!(refused(" \n").contains("missing"));
        assert!(refused(r#"{"connector.class":"#).contains("line 1"));
        for text in [
            "hello",
            "[]",
            r#"[{"a":1}]"#,
            "null",
            r#""x""#,
            "1",
            "{} {}",
            "\u{feff}{}",
        ] {
            assert!(refused(text).contains("malformed"), "{text}");
        }
        assert!(refused(r#"{"a":null}"#).contains("`a` is null"));
        assert!(refused(r#"{"a":"\ud83d"}"#).contains("`a` holds half of a surrogate pair"));
        assert!(refused(r#"{"a":1,"b":2,"a":3}"#).contains("`a` is there twice"));
        assert!(Posted::parse(b"{\"a\":\"\xff\"}").is_err());
        let deep = format!("{{\"a\":{}}}", "[".repeat(200_000));
        assert!(refused(&deep).contains("malformed"));
    }
}
