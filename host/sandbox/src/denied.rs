//! A refusal of access, with what the operator would have to write to lift it. The text is the
//! interface: people copy the lines from it into their configuration.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use crate::egress;
use crate::grants::Need;
use crate::text;

/// What a connector needs and does not get. Shows one paragraph a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The plugin.
    pub plugin: String,
    /// Each need that was refused.
    pub refusals: Vec<Refusal>,
}

/// One need that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the plugin asked for.
    pub need: Need,
    /// Why it does not get it.
    pub why: Why,
}

/// Why a need was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A grant is missing.
    NotGranted {
        /// What would be granted.
        kind: Kind,
        /// The directory, origin, endpoint, host name or variable to grant.
        grant: String,
    },
    /// The target is not of the form that its kind has.
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The directory does not exist.
    Missing,
    /// The path is something else than a directory.
    NotADirectory,
    /// The directory cannot be looked at.
    Unreadable {
        /// What the system says.
        reason: String,
    },
    /// It leads elsewhere than it did a moment before, when it was looked at for another need.
    Moved {
        /// Real path of the directory it led to then.
        first: PathBuf,
        /// Real path of the one it leads to now.
        now: PathBuf,
    },
    /// This worker has no access of this kind to give.
    Unknown,
}

/// What can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Reading what is in a directory.
    Read,
    /// Reading and changing what is in a directory.
    Write,
    /// HTTP requests to an origin.
    Http,
    /// TCP connections to an endpoint.
    Tcp,
    /// Looking a host name up.
    Resolve,
    /// Seeing a variable of the worker's environment.
    Environment,
}

impl Kind {
    /// The key in the configuration, and the kind in a [`Need`].
    pub fn key(self) -> &'static str {
        match self {
            Self::Read => "read-directory",
            Self::Write => "write-directory",
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Resolve => "resolve",
            Self::Environment => "environment",
        }
    }

    /// The kind that a need calls so.
    pub(crate) fn of(key: &str) -> Option<Self> {
        let all = [
            Self::Read,
            Self::Write,
            Self::Http,
            Self::Tcp,
            Self::Resolve,
            Self::Environment,
        ];
        all.into_iter().find(|kind| kind.key() == key)
    }
}

impl std::error::Error for Denied {}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, refusal) in self.refusals.iter().enumerate() {
            if number > 0 {
                f.write_char('\n')?;
            }
            self.paragraph(f, refusal)?;
        }
        Ok(())
    }
}

impl Denied {
    fn paragraph(
        &self,
        f: &mut fmt::Formatter<'_>,
        Refusal { need, why }: &Refusal,
    ) -> fmt::Result {
        let kind = text::reason(&need.kind);
        let target = match Kind::of(&need.kind) {
            Some(Kind::Http | Kind::Tcp | Kind::Resolve) => egress::shown(&need.target),
            _ => text::reason(&need.target),
        };
        write!(f, "plugin `{}` needs `{kind}` on `{target}`, ", self.plugin)?;
        match why {
            Why::NotGranted { kind, grant } => {
                writeln!(
                    f,
                    "which is not granted; these lines in the worker's configuration grant it:"
                )?;
                writeln!(f, "[[grant]]")?;
                writeln!(f, "plugin = {}", Quoted(&self.plugin))?;
                write!(f, "{} = [{}]", kind.key(), Quoted(grant))
            }
            Why::Missing => {
                f.write_str("which does not exist: create it, or correct the connector's settings")
            }
            Why::NotADirectory => f.write_str("which is not a directory"),
            Why::Unreadable { reason } => write!(f, "which cannot be looked at: {reason}"),
            Why::Moved { first, now } => write!(
                f,
                "which led to `{}` for another need and to `{}` for this one: name each of them, or keep \
                 the path as it is",
                text::reason(&first.to_string_lossy()),
                text::reason(&now.to_string_lossy())
            ),
            Why::Malformed { reason } => write!(f, "which cannot be granted: {reason}"),
            Why::Unknown => f.write_str("and this worker has no access of that kind to give"),
        }
    }
}

/// A TOML basic string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                control if control.is_control() => write!(f, "\\u{:04X}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_reads_back_as_it_was() {
        #[derive(serde::Deserialize)]
        struct File {
            text: String,
        }
        for text in ["plain", "a \"b\" \\c", "tab\tand\nline", "ö"] {
            let file: File = toml::from_str(&format!("text = {}", Quoted(text))).unwrap();
            assert_eq!(file.text, text);
        }
    }
}
