//! The settings of a connector or task, read by type. Values come as the host hands them over
//! (durations in milliseconds, sizes in bytes, lists as JSON); defaults come from the description.

use std::str::FromStr;
use std::time::Duration;

use crate::Result;
use crate::describe::Description;
use crate::failure::Failure;
use crate::json;

/// Settings by key. Reading one that is missing or of the wrong type is an error that names it.
///
/// ```
/// use connect_sdk::{Description, OptionSpec, Settings};
/// let description = Description::new("demo", "1.0.0", "")
///     .option(OptionSpec::text("table"))
///     .option(OptionSpec::duration("interval").default(500));
/// let settings = Settings::from([("table", "orders")]).with_defaults(&description);
/// assert_eq!(settings.text("table"), Ok("orders"));
/// assert_eq!(settings.duration("interval").unwrap().as_millis(), 500);
/// assert_eq!(settings.integer("rows").unwrap_err().to_string(), "settings that cannot work: rows: is missing");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: Vec<(String, String)>,
    defaults: Vec<(String, String)>,
}

impl Settings {
    /// Settings as key and value; of two with the same key the last one counts.
    pub fn new(values: Vec<(String, String)>) -> Self {
        Self {
            values,
            defaults: Vec::new(),
        }
    }

    /// Adds the defaults that `description` declares. Connector functions get settings that have them.
    #[must_use]
    pub fn with_defaults(mut self, description: &Description) -> Self {
        let declared = description.options.iter();
        self.defaults = declared
            .filter_map(|option| Some((option.key.clone(), option.default.clone()?)))
            .collect();
        self
    }

    /// A copy with one value set, for [`Plan`](crate::Plan).
    #[must_use]
    pub fn with(&self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let mut copy = self.clone();
        copy.set(key, value);
        copy
    }

    /// Sets a value.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let key = key.into();
        self.values.retain(|(have, _)| *have != key);
        self.values.push((key, value.into()));
    }

    /// Sets a value that [`list`](Self::list) reads, whatever the items contain.
    pub fn set_list<I>(&mut self, key: impl Into<String>, items: I)
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.set(key, json::write_texts(items));
    }

    /// The value as it is, else the default, else nothing.
    pub fn get(&self, key: &str) -> Option<&str> {
        let find = |list: &'_ [(String, String)]| list.iter().rposition(|(have, _)| have == key);
        find(&self.values)
            .and_then(|at| self.values.get(at))
            .or_else(|| find(&self.defaults).and_then(|at| self.defaults.get(at)))
            .map(|(_, value)| value.as_str())
    }

    /// What was set, in order, without defaults.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What was set, without defaults.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.values
    }

    /// A text as written.
    ///
    /// # Errors
    /// The key is missing and has no default.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.get(key)
            .ok_or_else(|| Failure::invalid(key, "is missing"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// Missing, or not a whole number of 64 bits.
    pub fn integer(&self, key: &str) -> Result<i64> {
        self.parsed(key, "a whole number")
    }

    /// A number with a fraction.
    ///
    /// # Errors
    /// Missing, or not a number.
    pub fn decimal(&self, key: &str) -> Result<f64> {
        self.parsed(key, "a number")
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// Missing, or anything else.
    pub fn boolean(&self, key: &str) -> Result<bool> {
        self.parsed(key, "true or false")
    }

    /// A span of time.
    ///
    /// # Errors
    /// Missing, or not whole milliseconds.
    pub fn duration(&self, key: &str) -> Result<Duration> {
        self.parsed(key, "a time in whole milliseconds")
            .map(Duration::from_millis)
    }

    /// A number of bytes.
    ///
    /// # Errors
    /// Missing, or not a whole number of bytes.
    pub fn size(&self, key: &str) -> Result<u64> {
        self.parsed(key, "a number of bytes")
    }

    /// Several texts: a JSON array, or items between commas, which lose the spaces around them.
    ///
    /// # Errors
    /// Missing, or begins with `[` but is not a JSON array of texts.
    pub fn list(&self, key: &str) -> Result<Vec<String>> {
        let text = self.text(key)?.trim();
        if text.starts_with('[') {
            return json::read_texts(text)
                .ok_or_else(|| Failure::invalid(key, "is not a list of texts"));
        }
        Ok(text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Anything that can be read from text; `expected` ends the sentence "is not …".
    ///
    /// # Errors
    /// Missing, or not what was expected.
    pub fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Result<T> {
        let text = self.text(key)?;
        text.trim()
            .parse()
            .map_err(|_| Failure::invalid(key, format!("{text:?} is not {expected}")))
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Settings {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self::new(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::OptionSpec;

    #[test]
    fn wrong_types_name_the_key_and_the_value() {
        let settings = Settings::from([
            ("count", "many"),
            ("on", "yes"),
            ("wait", "-1"),
            ("size", "1k"),
        ]);
        let reason = |failure: Failure| failure.to_string();
        assert_eq!(
            reason(settings.integer("count").unwrap_err()),
            "settings that cannot work: count: \"many\" is not a whole number"
        );
        assert!(
            reason(settings.boolean("on").unwrap_err())
                .contains("on: \"yes\" is not true or false")
        );
        assert!(reason(settings.duration("wait").unwrap_err()).contains("whole milliseconds"));
        assert!(reason(settings.size("size").unwrap_err()).contains("a number of bytes"));
    }

    #[test]
    fn a_value_wins_over_its_default_and_the_last_one_over_earlier_ones() {
        let description =
            Description::new("x", "1", "").option(OptionSpec::integer("n").default(7));
        let unset = Settings::default().with_defaults(&description);
        assert_eq!(unset.integer("n"), Ok(7));
        assert_eq!(unset.with("n", "8").integer("n"), Ok(8));
        assert_eq!(Settings::from([("n", "1"), ("n", "2")]).integer("n"), Ok(2));
        assert_eq!(unset.into_pairs(), Vec::new());
    }

    #[test]
    fn lists_come_as_json_or_with_commas() {
        let mut settings = Settings::from([
            ("a", r#" ["x, y", "\u00e9\n"] "#),
            ("b", "x, y ,,z"),
            ("c", "[1]"),
        ]);
        assert_eq!(settings.list("a").unwrap(), ["x, y", "é\n"]);
        assert_eq!(settings.list("b").unwrap(), ["x", "y", "z"]);
        assert!(settings.list("c").is_err());
        let odd = ["", "a\"b\\", "\u{1}\n;,", "[]"];
        settings.set_list("d", odd);
        assert_eq!(settings.list("d").unwrap(), odd);
    }
}
