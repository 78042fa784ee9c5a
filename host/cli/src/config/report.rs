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
    /// Notes a problem; `line` counts from 1.
    pub(crate) fn add(&self, line: Option<usize>, text: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            line,
            text: text.into(),
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
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
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
}
