//! What fuzzing kept of message bodies goes through the check of fuzzing.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "test code; the lints spare only the test functions themselves"
)]

#[path = "../../../fuzz/checks/json_body.rs"]
mod json_body;
#[path = "../../../fuzz/checks/kept.rs"]
mod kept;

#[test]
fn kept_bodies_are_refused_or_written_again() {
    kept::each("json_body", json_body::check);
}
