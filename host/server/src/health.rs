//! The routes that watchdogs and load balancers ask: is the process alive, and can it work.
//!
//! Must never wait for anything slow: an answer that comes late is no answer for a watchdog.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use connect_runtime::Worker;

use crate::envelope::{failure, success};

/// `GET /health/live`: this process answers.
pub(crate) async fn live() -> Response {
    success("alive")
}

/// `GET /health/ready`: 200 when broker and store are there, else 503 with what stands in the way.
pub(crate) async fn ready(State(worker): State<Worker>) -> Response {
    let readiness = worker.readiness().await;
    if readiness.ready {
        return success("ready");
    }
    failure(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!("not ready: {}", readiness.reasons.join("; ")),
    )
}
