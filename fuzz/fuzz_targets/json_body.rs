//! Bodies of messages, see the check.
#![no_main]

#[path = "../checks/json_body.rs"]
mod json_body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| json_body::check(bytes));
