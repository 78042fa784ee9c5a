//! What is wrong with a value, a message body or a converter's settings, and where in it.
//!
//! Texts name kinds and numbers, never a whole payload: they end up in logs and statuses, and the
//! payload may be large or private.

use std::error::Error;
use std::fmt;

use connect_record::SchemaError;

/// A conversion or a converter's set-up that failed. Nothing was converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// No converter has this name.
    #[error("there is no converter `{class}`; known are {}", known())]
    Unknown {
        /// The name as configured.
        class: String,
    },
    /// A setting that this converter does not have.
    #[error("the {converter} converter has no setting `{key}`; it has {}", list(.known))]
    UnknownSetting {
        /// Our name of the converter.
        converter: &'static str,
        /// The key, without the prefix.
        key: String,
        /// What it has.
        known: &'static [&'static str],
    },
    /// A setting whose value cannot be used.
    #[error("{converter} converter: `{key}` is `{value}`; it is {expected}")]
    Setting {
        /// Our name of the converter.
        converter: &'static str,
        /// The key, without the prefix.
        key: &'static str,
        /// The value as configured.
        value: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A value that is not what its schema or the converter calls for.
    #[error("{converter} converter: {path}: expected {expected}, found {found}")]
    Mismatch {
        /// Our name of the converter.
        converter: &'static str,
        /// Where: `$` is the whole value, `$.orders[3].price` a part of it.
        path: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Bytes that are not JSON, or not CBOR, at all.
    #[error("{converter} converter: the {what} is malformed")]
    Malformed {
        /// Our name of the converter.
        converter: &'static str,
        /// `body` or `value`.
        what: &'static str,
        /// The parser's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A body whose schema cannot be used.
    #[error("{converter} converter: the schema in the body cannot be used")]
    Schema {
        /// Our name of the converter.
        converter: &'static str,
        /// What is wrong with it.
        source: SchemaError,
    },
}

fn known() -> String {
    let names: Vec<_> = crate::OWN_NAMES.to_vec();
    format!("{}, and their Java class names", list(&names))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A mismatch on its way up: each level adds the step that leads to it, so that a conversion that
/// goes well never builds a path.
#[derive(Debug)]
pub(crate) struct Fault {
    steps: Vec<Step>,
    expected: String,
    found: String,
}

/// One step into a value.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

impl Fault {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The same fault seen from one level further out.
    pub(crate) fn in_field(mut self, name: &str) -> Self {
        self.steps.push(Step::Field(brief(name)));
        self
    }

    /// The same fault seen from one level further out.
    pub(crate) fn in_item(mut self, index: usize) -> Self {
        self.steps.push(Step::Index(index));
        self
    }

    pub(crate) fn of(self, converter: &'static str) -> ConvertError {
        let path = Path(&self.steps).to_string();
        ConvertError::Mismatch {
            converter,
            path,
            expected: self.expected,
            found: self.found,
        }
    }
}

struct Path<'a>(&'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        // the innermost step was added first
        self.0.iter().rev().try_for_each(|step| match step {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// At most 40 characters of a name or a number that came from outside.
pub(crate) fn brief(text: &str) -> String {
    const MOST: usize = 40;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_its_path_from_the_outside() {
        let fault = Fault::new("an integer of 8 bits", "300")
            .in_field("price")
            .in_item(3)
            .in_field("orders");
        assert_eq!(
            fault.of("json").to_string(),
            "json converter: $.orders[3].price: expected an integer of 8 bits, found 300"
        );
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(brief(&"é".repeat(41)).chars().count(), 41);
        assert_eq!(brief("short"), "short");
    }
}
