//! Errors of this crate's boundary, and what a request is answered when something goes wrong.
//!
//! The mapping from the worker's errors to status codes is here and nowhere else. Must never decide
//! what went wrong: it only words it.

use std::error::Error;
use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use connect_runtime::{DepositError, WorkerError};

use crate::envelope;

/// The server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {}; give another address as `rest.listen`, or free this one", cause(.source))]
    Bind {
        /// The address as configured.
        listen: SocketAddr,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
}

fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is in use".into(),
        std::io::ErrorKind::PermissionDenied => "this port needs privileges".into(),
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        _ => error.to_string(),
    }
}

/// A request that is answered with an error envelope.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        envelope::failure(self.status, &self.message)
    }
}

impl From<WorkerError> for Refusal {
    fn from(error: WorkerError) -> Self {
        Self::new(status_of(&error), with_causes(&error))
    }
}

fn status_of(error: &WorkerError) -> StatusCode {
    match error {
        WorkerError::InvalidName { .. } | WorkerError::Invalid { .. } => StatusCode::BAD_REQUEST,
        WorkerError::NotAllowed { .. } => StatusCode::FORBIDDEN,
        WorkerError::NotFound { .. } | WorkerError::TaskNotFound { .. } => StatusCode::NOT_FOUND,
        WorkerError::Conflict { .. } | WorkerError::PluginInUse { .. } => StatusCode::CONFLICT,
        WorkerError::Plugin { source } => match **source {
            DepositError::Unknown { .. } => StatusCode::NOT_FOUND,
            DepositError::Taken { .. } => StatusCode::CONFLICT,
            DepositError::Disk { .. } | DepositError::NoDirectory => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::BAD_REQUEST,
        },
        WorkerError::Unavailable { .. } | WorkerError::Store { .. } | WorkerError::ShuttingDown => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// The error's text followed by those of its causes; a cause whose text is already there is left out.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_status() {
        let name = || "c".to_owned();
        for (error, status) in [
            (
                WorkerError::InvalidName {
                    name: name(),
                    reason: "it is empty".into(),
                },
                400,
            ),
            (
                WorkerError::Invalid {
                    name: name(),
                    problems: vec!["`filename` is missing".into()],
                },
                400,
            ),
            (
                WorkerError::NotAllowed {
                    name: name(),
                    reason: "grant it".into(),
                },
                403,
            ),
            (WorkerError::NotFound { name: name() }, 404),
            (
                WorkerError::TaskNotFound {
                    name: name(),
                    task: 7,
                },
                404,
            ),
            (WorkerError::Conflict { name: name() }, 409),
            (
                WorkerError::Unavailable {
                    name: name(),
                    reason: "connection refused".into(),
                },
                503,
            ),
            (WorkerError::ShuttingDown, 503),
        ] {
            assert_eq!(status_of(&error), status, "{error}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("store: writing")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(
            with_causes(&Outer(std::io::Error::other("no space left"))),
            "store: writing: no space left"
        );
        #[derive(Debug, thiserror::Error)]
        #[error("store: {0}")]
        struct Repeating(#[source] std::io::Error);
        assert_eq!(
            with_causes(&Repeating(std::io::Error::other("no space left"))),
            "store: no space left"
        );
    }

    #[test]
    fn a_port_in_use_names_address_and_key() {
        let error = ServerError::Bind {
            listen: "127.0.0.1:8082".parse().unwrap(),
            source: std::io::ErrorKind::AddrInUse.into(),
        };
        let text = error.to_string();
        assert!(
            text.contains("127.0.0.1:8082")
                && text.contains("in use")
                && text.contains("rest.listen"),
            "{text}"
        );
    }
}
