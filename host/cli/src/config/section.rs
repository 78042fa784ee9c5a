//! Reads one table of a TOML file, key by key, into what the key is meant to hold.
//!
//! Whatever was not asked for when the table is finished is an unknown key. Must never quote a
//! value (it may be a secret), except where the caller says what it is.

use super::report::{Report, nearest};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A TOML file and what was found wrong with it.
pub(crate) struct Document<'i> {
    text: &'i str,
    root: DeTable<'i>,
    pub(crate) report: Report,
}

impl<'i> Document<'i> {
    /// Reads the text; what cannot be read is in the report, and the rest is there.
    pub(crate) fn parse(text: &'i str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self {
            text,
            root: root.into_inner(),
            report: Report::default(),
        };
        for error in errors {
            // The library's own text would quote the line.
            let line = error.span().map(|span| document.line(span.start));
            document.report.add(
                line,
                format!("not TOML: {}", error.message().replace('\n', ", ")),
            );
        }
        document
    }

    /// The top of the file.
    pub(crate) fn root(&self) -> Section<'_, 'i> {
        Section {
            document: self,
            path: String::new(),
            line: None,
            table: Some(&self.root),
            asked: Vec::new(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// One table. Dropping it without [`Section::finish`] would let unknown keys pass.
#[must_use]
pub(crate) struct Section<'d, 'i> {
    document: &'d Document<'i>,
    path: String,
    /// Where the table stands.
    line: Option<usize>,
    /// `None` where the file has none, or something else in its place.
    table: Option<&'d DeTable<'i>>,
    asked: Vec<&'static str>,
}

impl<'d, 'i> Section<'d, 'i> {
    /// Whether the file has this table.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the table has the key, of whatever type.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether the key holds a text.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        let value = self.find(key).map(Spanned::get_ref);
        matches!(value, Some(DeValue::String(_)))
    }

    fn find(&self, key: &str) -> Option<&'d Spanned<DeValue<'i>>> {
        self.table?
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
            .map(|(_, value)| value)
    }

    fn take(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'i>>> {
        self.asked.push(key);
        self.find(key)
    }

    /// The full name of a key.
    fn name(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }

    fn line_of(&self, key: &str) -> Option<usize> {
        self.find(key)
            .map(|value| self.document.line(value.span().start))
            .or(self.line)
    }

    /// Notes that the value of `key` cannot be used.
    pub(crate) fn reject(&self, key: &str, why: impl std::fmt::Display) {
        let text = format!("`{}`: {why}", self.name(key));
        self.document.report.add(self.line_of(key), text);
    }

    fn mistyped(&self, key: &str, expected: &str, found: &DeValue<'_>) {
        self.reject(key, format!("expected {expected}, found {}", kind(found)));
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)?.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => {
                self.mistyped(key, "a text in quotes", other);
                None
            }
        }
    }

    /// A text that is not empty.
    pub(crate) fn filled(&mut self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        if text.trim().is_empty() {
            self.reject(key, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// A list of texts, none of them empty.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let expected = "a list of texts, such as [\"one\", \"two\"]";
        let DeValue::Array(items) = self.take(key)?.get_ref() else {
            let found = self.find(key)?.get_ref();
            self.mistyped(key, expected, found);
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) if !text.trim().is_empty() => {
                    texts.push(text.clone().into_owned());
                }
                DeValue::String(_) => self.reject(key, "holds an empty text"),
                other => self.mistyped(key, &format!("{expected}; in it"), other),
            }
        }
        Some(texts)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.take(key)?.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => {
                self.mistyped(key, "true or false", other);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(crate) fn number<N>(&mut self, key: &'static str, within: RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<i128> + Copy + Into<u64>,
    {
        let (low, high): (u64, u64) = ((*within.start()).into(), (*within.end()).into());
        let bounds = match high == u64::MAX {
            true => format!("a whole number from {low} up"),
            false => format!("a whole number from {low} to {high}"),
        };
        let value = match self.take(key)?.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            other => {
                self.mistyped(key, &bounds, other);
                return None;
            }
        };
        let fitting = value
            .filter(|value| (i128::from(low)..=i128::from(high)).contains(value))
            .and_then(|value| N::try_from(value).ok());
        if fitting.is_none() {
            self.reject(key, format!("expected {bounds}"));
        }
        fitting
    }

    /// A time in whole milliseconds, within bounds.
    pub(crate) fn milliseconds(
        &mut self,
        key: &'static str,
        within: RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.number(key, within).map(Duration::from_millis)
    }

    /// A table below this one; without keys where the file has none.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'d, 'i> {
        let value = self.take(key);
        let table = match value.map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => {
                self.mistyped(key, &format!("a table [{}]", self.name(key)), other);
                None
            }
            None => None,
        };
        self.below(key, value, table)
    }

    /// The tables of a `[[list]]`.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Section<'d, 'i>> {
        let expected = format!("tables, each headed by [[{}]]", self.name(key));
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.mistyped(key, &expected, value.get_ref());
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(self.below(key, Some(item), Some(table))),
                other => self.mistyped(key, &expected, other),
            }
        }
        tables
    }

    /// The tables in this one, each under a name of the user's choice.
    pub(crate) fn named(self) -> Vec<(String, Section<'d, 'i>)> {
        let mut named = Vec::new();
        for (name, value) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name = name.get_ref().as_ref();
            let shown = format!("\"{}\"", printable(name));
            match value.get_ref() {
                DeValue::Table(table) => {
                    let section = self.below(&shown, Some(value), Some(table));
                    named.push((name.to_owned(), section));
                }
                other => {
                    let text = format!(
                        "`{}`: expected a table [{0}], found {}",
                        self.name(&shown),
                        kind(other)
                    );
                    let line = self.document.line(value.span().start);
                    self.document.report.add(Some(line), text);
                }
            }
        }
        named
    }

    /// Notes that this table cannot be used.
    pub(crate) fn refuse(&self, why: impl std::fmt::Display) {
        let text = format!("`{}`: {why}", self.path);
        self.document.report.add(self.line, text);
    }

    fn below(
        &self,
        key: &str,
        value: Option<&Spanned<DeValue<'i>>>,
        table: Option<&'d DeTable<'i>>,
    ) -> Section<'d, 'i> {
        Section {
            document: self.document,
            path: self.name(key),
            line: value.map(|value| self.document.line(value.span().start)),
            table,
            asked: Vec::new(),
        }
    }

    /// Everything that was not asked for, as texts; tables within become dotted keys.
    pub(crate) fn rest(self) -> BTreeMap<String, String> {
        let mut rest = BTreeMap::new();
        if let Some(table) = self.table {
            for (key, value) in table.iter() {
                let key = key.get_ref().as_ref();
                if !self.asked.contains(&key) {
                    self.flatten(key.to_owned(), value.get_ref(), &mut rest);
                }
            }
        }
        rest
    }

    fn flatten(&self, key: String, value: &DeValue<'_>, into: &mut BTreeMap<String, String>) {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Table(table) => {
                for (name, value) in table.iter() {
                    self.flatten(format!("{key}.{}", name.get_ref()), value.get_ref(), into);
                }
                return;
            }
            other => {
                self.mistyped(&key, "a text, a number, true or false", other);
                return;
            }
        };
        into.insert(key, text);
    }

    /// Ends the table: what was not asked for is unknown.
    pub(crate) fn finish(self) {
        let Some(table) = self.table else {
            return;
        };
        for name in table.keys() {
            let key = name.get_ref().as_ref();
            if self.asked.contains(&key) {
                continue;
            }
            let hint = match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("did you mean `{}`?", self.name(near)),
                None => {
                    let known: Vec<_> = self.asked.iter().map(|key| format!("`{key}`")).collect();
                    format!("known here are {}", known.join(", "))
                }
            };
            let line = self.document.line(name.span().start);
            let text = format!("unknown key `{}`; {hint}", self.name(&printable(key)));
            self.document.report.add(Some(line), text);
        }
    }
}

/// The beginning of a key that nobody knows.
fn printable(text: &str) -> String {
    super::report::printable(text).chars().take(100).collect()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
