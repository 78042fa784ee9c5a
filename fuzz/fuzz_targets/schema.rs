//! Schema documents, see the check.
#![no_main]

#[path = "../checks/schema.rs"]
mod schema;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schema::check(bytes));
