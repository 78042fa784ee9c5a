//! What fuzzing kept of plugin files goes through the check of fuzzing.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "shared with the fuzz target"
)]

#[path = "../../../../fuzz/checks/kept.rs"]
mod kept;
#[path = "../../../../fuzz/checks/plugin_inspection.rs"]
mod plugin_inspection;

#[test]
fn kept_files_are_refused_or_known() {
    kept::each("plugin_inspection", plugin_inspection::check);
}
