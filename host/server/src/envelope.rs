//! The two shapes of every answer: `{"status":200,"body":…}` and `{"errorCode":…,"message":…}`.
//!
//! The shapes are the Java project's, so its clients read them; unlike there, the HTTP status line
//! says the same as the envelope. Must never put anything into an answer that was not given to it.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

#[derive(Serialize)]
struct Success<'a, T> {
    status: u16,
    body: T,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    error_code: u16,
    message: &'a str,
}

/// An answer that all went well.
pub(crate) fn success(body: impl Serialize) -> Response {
    success_with_warnings(body, &[])
}

/// As [`success`], with things the caller should know beside the body.
pub(crate) fn success_with_warnings(body: impl Serialize, warnings: &[String]) -> Response {
    let status = StatusCode::OK;
    match serde_json::to_vec(&Success {
        status: status.as_u16(),
        body,
        warnings,
    }) {
        Ok(json) => response(status, json),
        Err(error) => failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the answer cannot be written: {error}"),
        ),
    }
}

/// An answer that something did not go well; `status` is both the status line and the envelope's.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response {
    // two plain fields always serialise; the empty fallback is there because nothing here may panic
    let json = serde_json::to_vec(&Failure {
        error_code: status.as_u16(),
        message,
    })
    .unwrap_or_default();
    response(status, json)
}

fn response(status: StatusCode, json: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // some of the routes change things by GET: an answer from a cache would claim a change that
    // never happened
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn success_has_status_and_body_in_the_java_order() {
        let response = success(["standalone-worker"]);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(
            text(response).await,
            r#"{"status":200,"body":["standalone-worker"]}"#
        );
    }

    #[tokio::test]
    async fn warnings_stand_beside_the_body_only_when_there_are_some() {
        let response = success_with_warnings("x", &["`batch.size` has no effect".into()]);
        assert_eq!(
            text(response).await,
            r#"{"status":200,"body":"x","warnings":["`batch.size` has no effect"]}"#
        );
    }

    #[tokio::test]
    async fn failure_says_the_same_in_status_line_and_envelope() {
        let response = failure(StatusCode::NOT_FOUND, "connector `a\"b` does not exist");
        assert_eq!(response.status(), 404);
        assert_eq!(
            text(response).await,
            r#"{"errorCode":404,"message":"connector `a\"b` does not exist"}"#
        );
    }
}
