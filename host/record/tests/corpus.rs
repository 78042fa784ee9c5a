//! What fuzzing kept of schemas and values goes through the checks of fuzzing. What it kept of batches
//! does not: its form needs a crate of fuzzing to read, and the random batches of the unit tests are
//! judged by an oracle as well.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "test code; the lints spare only the test functions themselves"
)]

#[path = "../../../fuzz/checks/kept.rs"]
mod kept;
#[path = "../../../fuzz/checks/schema.rs"]
mod schema;
#[path = "../../../fuzz/checks/value.rs"]
mod value;

#[test]
fn kept_schemas_are_refused_or_walked() {
    kept::each("schema", schema::check);
}

#[test]
fn kept_values_are_refused_or_written_again() {
    kept::each("value", value::check);
}
