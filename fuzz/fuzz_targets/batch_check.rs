//! Batches at the wall, see the check.
#![no_main]

#[path = "../checks/batch_check.rs"]
mod batch_check;

libfuzzer_sys::fuzz_target!(|input: batch_check::Input| batch_check::check(&input));
