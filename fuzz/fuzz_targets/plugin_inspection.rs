//! Files that someone calls a plugin, see the check.
#![no_main]

#[path = "../checks/plugin_inspection.rs"]
mod plugin_inspection;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| plugin_inspection::check(bytes));
