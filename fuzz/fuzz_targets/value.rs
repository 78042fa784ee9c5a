//! Structured values, see the check.
#![no_main]

#[path = "../checks/value.rs"]
mod value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| value::check(bytes));
