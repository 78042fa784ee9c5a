//! The settings of the file source: their names, defaults and meaning, and what cannot be.

use std::time::Duration;

use connect_sdk::{Description, Failure, OptionSpec, Result, Settings};
use file_shared::Ends;

/// The files of one task, set by the plan.
pub(crate) const TASK_FILES: &str = "task.files";

/// A record and what goes with it must fit into one message of 4 MiB.
pub(crate) const MAX_LINE: u64 = 4 * 1024 * 1024 - 16 * 1024;

/// What becomes the key of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    None,
    Name,
    Path,
}

/// The settings of a task.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) ends: Ends,
    /// How long the end of a file must be quiet before what stands there without a line end is sent;
    /// `None` to wait for the line end.
    pub(crate) last_line: Option<Duration>,
    pub(crate) must_exist: bool,
    pub(crate) key: Key,
    pub(crate) header: Option<String>,
    pub(crate) schema: bool,
    pub(crate) max_line: usize,
    pub(crate) poll_interval: Duration,
    pub(crate) recheck_interval: Duration,
    pub(crate) rotate_wait: Duration,
}

/// Adds the options to the description.
pub(crate) fn describe(description: Description) -> Description {
    let option = |option: OptionSpec, doc: &str| option.doc(doc);
    [
        option(
            OptionSpec::text("filename").required(),
            "File to read: a path, several with ';' between them, or patterns with * ? [ ]",
        ),
        option(OptionSpec::text("connect.topicname"), "Topic that gets the lines"),
        option(
            OptionSpec::text("line.end").default("any").allowed(["any", "lf"]),
            "What ends a line: 'any' of LF, CR LF and CR, or 'lf' alone, which keeps every other byte",
        ),
        option(
            OptionSpec::text("last.line").default("hold").allowed(["hold", "emit"]),
            "A last line without line end: 'hold' it until its end is there, or 'emit' it once the file is quiet; \
             what is then added to it becomes a record of its own",
        ),
        option(
            OptionSpec::duration("last.line.wait").default(1000),
            "How long the file must be quiet before its last line is emitted",
        ),
        option(
            OptionSpec::text("missing.file").default("wait").allowed(["wait", "fail"]),
            "A file that is not there: 'wait' for it, or 'fail' when the connector is created or started",
        ),
        option(
            OptionSpec::text("key").default("none").allowed(["none", "filename", "path"]),
            "Key of each record: 'none', the 'filename' without directory, or the 'path' as configured",
        ),
        option(OptionSpec::text("file.header"), "Name of a header that gets the file's name without directory"),
        option(
            OptionSpec::text("line.schema").default("string").allowed(["string", "none"]),
            "Schema of lines that are UTF-8, which matters to converters such as JSON; other lines are plain bytes",
        ),
        option(
            OptionSpec::size("max.line.bytes").default(MAX_LINE),
            "A longer line stops the task, naming file and offset; at most 4 MiB less 16 KiB",
        ),
        option(
            OptionSpec::duration("poll.interval").default(100),
            "How often the end of a file is looked at for more; a fifth as often after 20 times without",
        ),
        option(
            OptionSpec::duration("recheck.interval").default(5000),
            "How often patterns are looked up for new files",
        ),
        option(
            OptionSpec::duration("rotate.wait").default(5000),
            "How long a file that was renamed or deleted must be quiet before reading goes on with the new one of \
             its name",
        ),
    ]
    .into_iter()
    .fold(description, Description::option)
}

impl Config {
    /// Reads the settings.
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let max_line = settings.size("max.line.bytes")?;
        if !(1..=MAX_LINE).contains(&max_line) {
            return Err(Failure::invalid(
                "max.line.bytes",
                format!("must be between 1 and {MAX_LINE}"),
            ));
        }
        let header = settings.get("file.header").map(str::to_owned);
        if header
            .as_deref()
            .is_some_and(|name| name.is_empty() || name.starts_with(':'))
        {
            return Err(Failure::invalid(
                "file.header",
                "must not be empty or begin with ':'",
            ));
        }
        let last_line = choice(settings, "last.line", &[("hold", false), ("emit", true)])?;
        Ok(Self {
            ends: choice(
                settings,
                "line.end",
                &[("any", Ends::Any), ("lf", Ends::Lf)],
            )?,
            last_line: last_line
                .then(|| settings.duration("last.line.wait"))
                .transpose()?,
            must_exist: choice(settings, "missing.file", &[("wait", false), ("fail", true)])?,
            key: choice(
                settings,
                "key",
                &[
                    ("none", Key::None),
                    ("filename", Key::Name),
                    ("path", Key::Path),
                ],
            )?,
            header,
            schema: choice(
                settings,
                "line.schema",
                &[("string", true), ("none", false)],
            )?,
            max_line: usize::try_from(max_line).unwrap_or(usize::MAX),
            // Zero would make an idle task spin.
            poll_interval: settings
                .duration("poll.interval")?
                .max(Duration::from_millis(1)),
            recheck_interval: settings
                .duration("recheck.interval")?
                .max(Duration::from_millis(1)),
            rotate_wait: settings.duration("rotate.wait")?,
        })
    }
}

fn choice<T: Copy>(settings: &Settings, key: &str, choices: &[(&str, T)]) -> Result<T> {
    let text = settings.text(key)?;
    let found = choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Failure::invalid(key, format!("{text:?} is none of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: &str) -> Result<Config> {
        let settings = Settings::from([("filename", "a.txt"), (key, value)]);
        Config::read(&settings.with_defaults(&describe(Description::new("x", "1", ""))))
    }

    #[test]
    fn defaults_are_javas() {
        let config = read("connect.topicname", "t").unwrap();
        assert_eq!(
            (config.ends, config.last_line, config.key, config.header),
            (Ends::Any, None, Key::None, None)
        );
        assert!(!config.must_exist && config.schema);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (key, value) in [
            ("line.end", "crlf"),
            ("last.line", "x"),
            ("missing.file", ""),
            ("key", "name"),
            ("file.header", ":x"),
            ("max.line.bytes", "0"),
            ("max.line.bytes", "4177921"),
            ("poll.interval", "soon"),
        ] {
            let reason = read(key, value).unwrap_err().to_string();
            assert!(reason.contains(key), "{key}={value}: {reason}");
        }
    }
}
