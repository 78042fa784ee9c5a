//! File names with parts of the record in them. What a record brings can never be more than a name
//! within its directory.

use std::fmt::Write;

use connect_sdk::{Failure, Queue, Record, Result};
use file_shared::{directory, is_plain_name};

const KEY: &str = "filename";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Broker,
    Queue,
    Key,
    Header(String),
}

/// A file name, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a name such as `out/${topic}-${queue}.txt`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid = |reason: String| Failure::invalid(KEY, reason);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| invalid(format!("{text}: a ${{ has no }}")))?;
            parts.push(match (name, name.strip_prefix("header.")) {
                ("topic", _) => Part::Topic,
                ("broker", _) => Part::Broker,
                ("queue", _) => Part::Queue,
                ("key", _) => Part::Key,
                (_, Some(header)) if !header.is_empty() => Part::Header(header.to_owned()),
                _ => {
                    let known = "${topic}, ${broker}, ${queue}, ${key} or ${header.NAME}";
                    return Err(invalid(format!("{text}: ${{{name}}} is none of {known}")));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let template = Self { parts };
        if text.is_empty() || text.ends_with('/') || matches!(file_shared::name(text), "." | "..") {
            return Err(invalid(format!("{text:?} does not name a file")));
        }
        let varying = text.get(template.fixed().len()..).unwrap_or_default();
        if varying.split('/').any(|part| part == "..") && !template.is_fixed() {
            return Err(invalid(format!("{text}: .. cannot follow a variable")));
        }
        Ok(template)
    }

    /// The text before the first variable.
    fn fixed(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The directory in which all files are.
    pub(crate) fn directory(&self) -> &str {
        directory(self.fixed())
    }

    /// Whether there is one file for all records.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Text(_)])
    }

    /// Whether records of different queues never go to the same file.
    pub(crate) fn keeps_queues_apart(&self) -> bool {
        [Part::Topic, Part::Broker, Part::Queue]
            .iter()
            .all(|part| self.parts.contains(part))
    }

    /// Writes the name of the record's file into `path`; else why there is none.
    pub(crate) fn resolve(
        &self,
        record: &Record<'_>,
        path: &mut String,
    ) -> std::result::Result<(), String> {
        path.clear();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Topic => push_name(path, "topic", Some(record.topic().as_bytes()))?,
                Part::Broker => push_name(path, "broker", queue(record)?.broker.as_bytes().into())?,
                Part::Queue => {
                    let id = queue(record)?.id;
                    write!(path, "{id}").map_err(|error| error.to_string())?;
                }
                Part::Key => push_name(path, "key", record.key())?,
                Part::Header(name) => {
                    push_name(path, &format!("header {name}"), record.header(name))?
                }
            }
        }
        Ok(())
    }
}

fn queue(record: &Record<'_>) -> std::result::Result<Queue, String> {
    Queue::of(record).ok_or_else(|| format!("{:?} is not a queue", record.partition()))
}

fn push_name(
    path: &mut String,
    what: &str,
    value: Option<&[u8]>,
) -> std::result::Result<(), String> {
    let value = value.ok_or_else(|| {
        format!("the file name needs the record's {what}, which it does not have")
    })?;
    match std::str::from_utf8(value) {
        Ok(name) if is_plain_name(name) => {
            path.push_str(name);
            Ok(())
        }
        _ => {
            let shown: String = String::from_utf8_lossy(value).chars().take(60).collect();
            Err(format!(
                "the record's {what} {shown:?} cannot be part of a file name"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_what_does_not_vary() {
        for (text, directory) in [
            ("a.txt", "."),
            ("${topic}.txt", "."),
            ("out/a", "out"),
            ("out/${key}", "out"),
            ("out/x-${key}", "out"),
            ("/data/${topic}/${queue}", "/data"),
            ("../out/a", "../out"),
        ] {
            assert_eq!(
                Template::parse(text).unwrap().directory(),
                directory,
                "{text}"
            );
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for text in [
            "",
            "out/",
            "${x}",
            "${}",
            "${header.}",
            "a${key",
            "${key}/../b",
            ".",
            "out/..",
        ] {
            let failure = Template::parse(text).unwrap_err().to_string();
            assert!(failure.contains("filename: "), "{text}: {failure}");
        }
    }

    #[test]
    fn only_a_name_with_the_whole_queue_keeps_queues_apart() {
        let apart = |text: &str| Template::parse(text).unwrap().keeps_queues_apart();
        assert!(apart("${topic}/${broker}-${queue}"));
        assert!(!apart("${topic}-${queue}") && !apart("${key}") && !apart("a"));
    }
}
