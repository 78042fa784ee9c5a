//! Collects what is wrong with a configuration file, so that all of it is said at once.
//!
//! Must never quote a value of its own accord: a value may be a secret.

use std::cell::RefCell;
use std::fmt::Write as _;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    /// Line in the file, from 1, where it is known.
    line: Option<usize>,
    text: String,
}

/// Problems of one file, in the order they were found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: RefCell<Vec<Problem>>,
}

impl Report {
    /// Notes a problem; `line` counts from 1. Some texts hold a key or a target as it stands in the
    /// file.
    pub(crate) fn add(&self, line: Option<usize>, text: impl AsRef<str>) {
        self.problems.borrow_mut().push(Problem {
            line,
            text: printable(text.as_ref()),
        });
    }

    /// The problems as one text, ordered by line; `None` when there are none.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        let mut problems = self.problems.borrow().clone();
        if problems.is_empty() {
            return None;
        }
        // Stable, so that problems of one line stay in order; those without a line come last.
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        let mut text = match problems.len() {
            1 => format!("{file} cannot be used:"),
            many => format!("{file} cannot be used, {many} problems:"),
        };
        for problem in problems {
            let written = match problem.line {
                Some(line) => write!(text, "\n  line {line}: {}", problem.text),
                None => write!(text, "\n  {}", problem.text),
            };
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
        Some(text)
    }
}

/// What comes from a file may hold anything; on a terminal it must not do anything.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character.is_control() {
            true => '\u{FFFD}',
            false => character,
        })
        .collect()
}

/// Characters of a key that are compared: more is none of ours, and each costs a look at every
/// character of every known key.
const LONGEST: usize = 100;

/// The known key that `found` was probably meant to be.
///
/// Case and the kind of hyphen do not count: `shutdownDeadlineMs` means `shutdown-deadline-ms`.
pub(crate) fn nearest<'a>(found: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let found = plain(found);
    known
        .map(|key| {
            (
                strsim::normalized_damerau_levenshtein(&found, &plain(key)),
                key,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.55)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, key)| key)
}

fn plain(key: &str) -> String {
    key.chars()
        .take(LONGEST)
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{java, standalone};
    use super::{Report, nearest};

    #[test]
    fn near_keys_are_found_and_far_ones_are_not() {
        let known = ["shutdown-deadline-ms", "plugins", "directory", "id"];
        let near = |found| nearest(found, known.into_iter());
        assert_eq!(near("plugin"), Some("plugins"));
        assert_eq!(near("shutdownDeadlineMs"), Some("shutdown-deadline-ms"));
        assert_eq!(near("shutdown_deadline"), Some("shutdown-deadline-ms"));
        assert_eq!(near("diretcory"), Some("directory"));
        assert_eq!(near("namesrv"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn problems_come_in_the_order_of_lines() {
        let report = Report::default();
        assert_eq!(report.text("f"), None);
        report.add(None, "third");
        report.add(Some(9), "second");
        report.add(Some(2), "first");
        let text = report.text("f.toml").unwrap();
        assert_eq!(
            text,
            "f.toml cannot be used, 3 problems:\n  line 2: first\n  line 9: second\n  third"
        );
    }

    #[test]
    fn what_comes_from_a_file_does_nothing_on_a_terminal() {
        for toml in [
            "[converter.key]\nclass = \"json\"\n\"a\\u001B[2J\" = []\n",
            "[converter]\nkey = \"a\\u001B[2J\"\n",
            "[rest]\nlisten = \"a\\u001B[2J\"\n",
            "[limits.connector.\"a\\u001B[2J\"]\n",
            "\"a\\u001B[2J\" = 1\n",
        ] {
            let error = standalone::read(toml, "f").map(drop).unwrap_err();
            // The place and the words of a file are on one line each.
            let lines: Vec<&str> = error.lines().collect();
            assert_eq!(lines.len(), 2, "{error:?}");
            assert!(!lines[1].chars().any(char::is_control), "{error:?}");
        }
        let properties = b"grant.a\x1b[2J=b\n\x1b[2J=c\n";
        let error = java::read(properties, "f", Some("a:1".into()));
        let error = error.map(drop).unwrap_err();
        assert!(!error.contains('\u{1b}'), "{error:?}");
        let warnings = java::read(b"\x1b[2J=c\n", "f", Some("a:1".into()));
        let warnings = warnings.map(|settings| settings.warnings.concat());
        assert!(!warnings.unwrap().contains('\u{1b}'));
    }
}
