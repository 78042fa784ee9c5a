//! How the program ends when something is wrong: one text on standard error, one exit code.

use std::fmt::Write as _;
use std::process::ExitCode;

/// A reason to end, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// What was asked for cannot be understood: arguments, configuration. Code 2.
    pub(crate) fn configuration(text: impl Into<String>) -> Self {
        Self {
            code: 2,
            error: anyhow::Error::msg(text.into()),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// The error and its causes; a cause that an outer text already tells is left out.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for cause in self.error.chain() {
            let cause = cause.to_string();
            if text.is_empty() {
                text = cause;
            } else if !text.contains(&cause) {
                let written = write!(text, ": {cause}");
                debug_assert!(written.is_ok(), "writing to a String cannot fail");
            }
        }
        text
    }
}

/// Everything else that goes wrong. Code 1.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: 1,
            error: error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use anyhow::Context as _;

    #[test]
    fn causes_are_told_once() {
        let cause = std::io::Error::other("no space left");
        let error = Err::<(), _>(cause).context("cannot write: no space left");
        let failure = Failure::from(error.context("stopping").unwrap_err());
        assert_eq!(failure.text(), "stopping: cannot write: no space left");
    }
}
