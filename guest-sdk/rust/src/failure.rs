//! What a call answers when it cannot do its work, and how other errors become that answer.
//! Never a panic: a panic is a trap, and a trap costs the instance its life.

use std::fmt::{self, Display};
use std::io;
use std::time::Duration;

use connect_rows::TooLarge;

/// How long the host waits before it repeats a call when nothing else was said: one second.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The answer of a call that could not do its work. The instance lives on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The same instance gets the same call again, not before `after` has passed.
    Retriable {
        /// What went wrong; shown in the status of the task.
        reason: String,
        /// The least time to wait; sent to the host in whole milliseconds.
        after: Duration,
    },
    /// Settings that cannot work. Ends the task.
    Invalid(Vec<Problem>),
    /// Nothing that waiting would mend. Ends the task.
    Fatal(String),
}

/// One setting that cannot work, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key as the user wrote it.
    pub key: String,
    /// What is wrong with the value, and what would be right.
    pub reason: String,
}

impl Problem {
    /// A problem with the setting `key`.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

impl Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.key, self.reason)
    }
}

impl Failure {
    /// A failure that may pass; the call is repeated after [`RETRY_AFTER`] unless [`after`](Self::after) says otherwise.
    pub fn retriable(reason: impl Into<String>) -> Self {
        Self::Retriable {
            reason: reason.into(),
            after: RETRY_AFTER,
        }
    }

    /// A failure that ends the task.
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal(reason.into())
    }

    /// One setting that cannot work.
    pub fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid(vec![Problem::new(key, reason)])
    }

    /// Sets the waiting time of a retriable failure; others stay as they are.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let Self::Retriable { after, .. } = &mut self {
            *after = wait;
        }
        self
    }

    /// Puts `what` in front of the reason: "reading a.txt: no space left".
    #[must_use]
    pub fn during(self, what: impl Display) -> Self {
        match self {
            Self::Retriable { reason, after } => Self::Retriable {
                reason: format!("{what}: {reason}"),
                after,
            },
            Self::Fatal(reason) => Self::Fatal(format!("{what}: {reason}")),
            invalid @ Self::Invalid(_) => invalid,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retriable { reason, .. } | Self::Fatal(reason) => out.write_str(reason),
            Self::Invalid(problems) => {
                out.write_str("settings that cannot work")?;
                for (at, problem) in problems.iter().enumerate() {
                    write!(out, "{}{problem}", if at == 0 { ": " } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Failure {}

/// Busy, interrupted, unreachable and full are retriable; everything else ends the task.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::Interrupted
            | Kind::WouldBlock
            | Kind::TimedOut
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::BrokenPipe
            | Kind::UnexpectedEof
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::ResourceBusy
            | Kind::QuotaExceeded
            | Kind::StorageFull => Self::retriable(error.to_string()),
            _ => Self::fatal(error.to_string()),
        }
    }
}

/// A batch that cannot take this record: what it holds is delivered, then the call comes again
/// with an empty one.
impl From<TooLarge> for Failure {
    fn from(error: TooLarge) -> Self {
        Self::retriable(error.to_string()).after(Duration::ZERO)
    }
}

/// Turns the error of any result into a [`Failure`] that says what was being done.
///
/// ```
/// use connect_sdk::{OrFail, Result};
/// fn port(text: &str) -> Result<u16> {
///     text.parse().or_fatal(format_args!("reading the port {text:?}"))
/// }
/// assert_eq!(port("80"), Ok(80));
/// assert!(port("http").unwrap_err().to_string().starts_with("reading the port \"http\": "));
/// ```
pub trait OrFail<T, E> {
    /// Keeps the kind that the error itself implies, as `?` does.
    ///
    /// # Errors
    /// The same failure with `what` in front.
    fn or_fail(self, what: impl Display) -> crate::Result<T>
    where
        E: Into<Failure>;

    /// The error ends the task.
    ///
    /// # Errors
    /// A fatal failure.
    fn or_fatal(self, what: impl Display) -> crate::Result<T>
    where
        E: Display;

    /// The error may pass: the call is repeated after [`RETRY_AFTER`].
    ///
    /// # Errors
    /// A retriable failure.
    fn or_retry(self, what: impl Display) -> crate::Result<T>
    where
        E: Display;
}

impl<T, E> OrFail<T, E> for Result<T, E> {
    fn or_fail(self, what: impl Display) -> crate::Result<T>
    where
        E: Into<Failure>,
    {
        self.map_err(|error| error.into().during(what))
    }

    fn or_fatal(self, what: impl Display) -> crate::Result<T>
    where
        E: Display,
    {
        self.map_err(|error| Failure::fatal(format!("{what}: {error}")))
    }

    fn or_retry(self, what: impl Display) -> crate::Result<T>
    where
        E: Display,
    {
        self.map_err(|error| Failure::retriable(format!("{what}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_that_may_pass_are_retriable_and_others_are_not() {
        let full: Failure = io::Error::from(io::ErrorKind::StorageFull).into();
        assert!(
            matches!(
                full,
                Failure::Retriable {
                    after: RETRY_AFTER,
                    ..
                }
            ),
            "{full:?}"
        );
        let denied: Failure = io::Error::from(io::ErrorKind::PermissionDenied).into();
        assert!(matches!(denied, Failure::Fatal(_)), "{denied:?}");
    }

    #[test]
    fn what_was_being_done_stands_in_front() {
        let failed: Result<(), _> = Err(io::Error::from(io::ErrorKind::TimedOut));
        let failure = failed.or_fail("reading the socket").unwrap_err();
        assert!(
            failure.to_string().starts_with("reading the socket: "),
            "{failure}"
        );
        assert!(matches!(failure, Failure::Retriable { .. }));
    }

    #[test]
    fn invalid_settings_are_listed() {
        let failure = Failure::Invalid(vec![
            Problem::new("a", "is missing"),
            Problem::new("b", "is not a number"),
        ]);
        assert_eq!(
            failure.to_string(),
            "settings that cannot work: a: is missing; b: is not a number"
        );
    }
}
