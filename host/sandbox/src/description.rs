//! What a plugin says of itself, checked: names that can be used as names, sizes that can be stored
//! and shown, each option once. A description that got this far is safe to put into lists, logs and
//! error messages.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bindings::v0_1::exports::rocketmq::connect::connector;
use crate::bindings::v0_1::setting_pairs;
use crate::text;

const NAME_BYTES: usize = 64;
const ALIAS_BYTES: usize = 256;
const ALIASES: usize = 32;
const KEY_BYTES: usize = 256;
const OPTIONS: usize = 512;
const ALLOWED: usize = 256;
const ATTRIBUTES: usize = 64;
const SHORT_BYTES: usize = 4 << 10;
const DOC_BYTES: usize = 64 << 10;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name: letters, digits, `-`, `_`, `.`; at most 64.
    pub name: String,
    /// Its version: as the name, and `+`.
    pub version: String,
    /// What it does.
    pub doc: String,
    /// Other names `connector.class` may use, such as a Java class name.
    pub aliases: Vec<String>,
    /// Its settings, each key once.
    pub options: Vec<OptionSpec>,
    /// Versions with the same number read each other's positions.
    pub position_format: u32,
    /// What this worker does not know yet.
    pub attributes: Vec<(String, String)>,
}

/// One setting of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionSpec {
    /// Its key. One that ends in `*` stands for every key with that beginning.
    pub key: String,
    /// What its value is.
    pub kind: OptionKind,
    /// Whether it must be there.
    pub required: bool,
    /// What holds when it is not there.
    pub default: Option<String>,
    /// What it does.
    pub doc: String,
    /// The only values it may have; any when empty.
    pub allowed: Vec<String>,
    /// What this worker does not know yet.
    pub attributes: Vec<(String, String)>,
}

/// What the value of a setting is, and how it is handed to the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptionKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Decimal,
    /// Text as written.
    Text,
    /// A JSON array of texts.
    TextList,
    /// Whole milliseconds.
    Duration,
    /// Bytes.
    Size,
    /// Text that is never shown again.
    Secret,
}

impl From<connector::Kind> for OptionKind {
    fn from(kind: connector::Kind) -> Self {
        match kind {
            connector::Kind::Boolean => Self::Boolean,
            connector::Kind::Integer => Self::Integer,
            connector::Kind::Decimal => Self::Decimal,
            connector::Kind::Text => Self::Text,
            connector::Kind::TextList => Self::TextList,
            connector::Kind::Duration => Self::Duration,
            connector::Kind::Size => Self::Size,
            connector::Kind::Secret => Self::Secret,
        }
    }
}

impl From<connector::Description> for Description {
    fn from(raw: connector::Description) -> Self {
        Self {
            name: raw.name,
            version: raw.version,
            doc: raw.doc,
            aliases: raw.aliases,
            options: raw.options.into_iter().map(OptionSpec::from).collect(),
            position_format: raw.position_format,
            attributes: setting_pairs(raw.attributes),
        }
    }
}

impl From<connector::OptionSpec> for OptionSpec {
    fn from(raw: connector::OptionSpec) -> Self {
        Self {
            key: raw.key,
            kind: raw.kind.into(),
            required: raw.required,
            default: raw.default,
            doc: raw.doc,
            allowed: raw.allowed,
            attributes: setting_pairs(raw.attributes),
        }
    }
}

impl Description {
    /// Stands in until the plugin has said what it is.
    pub(crate) fn unknown() -> Self {
        Self {
            name: String::new(),
            version: String::new(),
            doc: String::new(),
            aliases: Vec::new(),
            options: Vec::new(),
            position_format: 0,
            attributes: Vec::new(),
        }
    }

    /// Checks everything that other parts rely on.
    ///
    /// # Errors
    /// The field, its value, and what would be right.
    pub(crate) fn check(&self) -> Result<(), String> {
        word("name", &self.name, NAME_BYTES, "-_.")?;
        word("version", &self.version, NAME_BYTES, "-_.+")?;
        at_most("doc", self.doc.len(), DOC_BYTES, "bytes")?;
        at_most("aliases", self.aliases.len(), ALIASES, "entries")?;
        each_once("alias", self.aliases.iter())?;
        for alias in &self.aliases {
            word("alias", alias, ALIAS_BYTES, "-_.$")?;
        }
        attributes("the plugin", &self.attributes)?;
        at_most("options", self.options.len(), OPTIONS, "entries")?;
        each_once("option", self.options.iter().map(|option| &option.key))?;
        self.options.iter().try_for_each(OptionSpec::check)
    }
}

impl OptionSpec {
    fn check(&self) -> Result<(), String> {
        let Self {
            key,
            kind,
            default,
            doc,
            allowed,
            ..
        } = self;
        // `*` alone takes every key there is.
        if key != "*" {
            word(
                "option",
                key.strip_suffix('*').unwrap_or(key),
                KEY_BYTES,
                "-_.$/:[]",
            )?;
        }
        let of = |what: &str| format!("{what} of option `{key}`");
        at_most(&of("doc"), doc.len(), DOC_BYTES, "bytes")?;
        at_most(
            &of("default"),
            default.as_ref().map_or(0, String::len),
            SHORT_BYTES,
            "bytes",
        )?;
        at_most(&of("allowed"), allowed.len(), ALLOWED, "entries")?;
        each_once(&of("allowed value"), allowed.iter())?;
        for value in allowed {
            at_most(&of("an allowed value"), value.len(), SHORT_BYTES, "bytes")?;
        }
        if *kind == OptionKind::Secret && default.is_some() {
            return Err(format!(
                "option `{key}` is a secret and cannot have a default"
            ));
        }
        attributes(&of("attributes"), &self.attributes)
    }
}

/// A name that can stand in a configuration, a path of the REST interface and a log line.
fn word(what: &str, value: &str, max: usize, signs: &str) -> Result<(), String> {
    let fits = !value.is_empty()
        && value.len() <= max
        && value
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || signs.contains(character));
    if fits {
        return Ok(());
    }
    let value = text::reason(&text::cut(value, max));
    Err(format!(
        "{what} is `{value}`; expected 1 to {max} of a-z, A-Z, 0-9 and `{signs}`"
    ))
}

fn at_most(what: &str, found: usize, max: usize, unit: &str) -> Result<(), String> {
    if found <= max {
        Ok(())
    } else {
        Err(format!(
            "{what} has {found} {unit}, at most {max} are accepted"
        ))
    }
}

fn each_once<'a>(what: &str, values: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(format!(
                "{what} `{}` is there twice",
                text::reason(&text::cut(value, KEY_BYTES))
            ));
        }
    }
    Ok(())
}

fn attributes(of: &str, found: &[(String, String)]) -> Result<(), String> {
    at_most(
        &format!("attributes of {of}"),
        found.len(),
        ATTRIBUTES,
        "entries",
    )?;
    found.iter().try_for_each(|(key, value)| {
        at_most(
            &format!("an attribute of {of}"),
            key.len() + value.len(),
            SHORT_BYTES,
            "bytes",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(key: &str) -> OptionSpec {
        OptionSpec {
            key: key.into(),
            kind: OptionKind::Text,
            required: false,
            default: None,
            doc: String::new(),
            allowed: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn good() -> Description {
        Description {
            name: "file-source".into(),
            version: "0.1.0+build.7".into(),
            doc: "Reads files.".into(),
            aliases: vec!["org.apache.rocketmq.connect.file.FileSourceConnector".into()],
            options: vec![option("filename"), option("header.*"), option("*")],
            position_format: 1,
            attributes: vec![("group".into(), "files".into())],
        }
    }

    #[test]
    fn a_sound_description_passes_and_survives_the_cache() {
        good().check().unwrap();
        let stored = serde_json::to_vec(&good()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Description>(&stored).unwrap(),
            good()
        );
    }

    #[test]
    fn each_fault_is_named() {
        type Break = fn(&mut Description);
        let faults: [(Break, &str); 12] = [
            (|d| d.name = String::new(), "name"),
            (|d| d.name = "a@b".into(), "`a@b`"),
            (|d| d.name = "a\u{1b}[2J".into(), "u{1b}"),
            (|d| d.version = "1 2".into(), "version"),
            (|d| d.doc = "x".repeat(DOC_BYTES + 1), "doc has 65537 bytes"),
            (
                |d| d.aliases = vec!["a".into(), "a".into()],
                "alias `a` is there twice",
            ),
            (
                |d| d.aliases = vec!["x".into(); ALIASES + 1],
                "aliases has 33",
            ),
            (
                |d| d.options.push(option("filename")),
                "option `filename` is there twice",
            ),
            (|d| d.options.push(option("")), "option is ``"),
            (|d| d.options.push(option("a*b")), "option is `a*b`"),
            (
                |d| {
                    d.options.push(OptionSpec {
                        allowed: vec![String::new(); 2],
                        ..option("x")
                    })
                },
                "option `x`",
            ),
            (
                |d| d.attributes = vec![("k".into(), "v".repeat(SHORT_BYTES))],
                "attribute",
            ),
        ];
        for (fault, expected) in faults {
            let mut description = good();
            fault(&mut description);
            let error = description.check().unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(error.len() < 1_000 && !error.contains('\u{1b}'), "{error}");
        }
        let secret = OptionSpec {
            kind: OptionKind::Secret,
            default: Some("x".into()),
            ..option("password")
        };
        assert!(secret.check().unwrap_err().contains("password"));
    }
}
