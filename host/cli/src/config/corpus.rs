//! What fuzzing kept of configuration files goes through the check of fuzzing.

#[path = "../../../../fuzz/checks/configuration.rs"]
mod configuration;
#[path = "../../../../fuzz/checks/kept.rs"]
mod kept;

#[test]
fn kept_files_give_settings_or_an_error() {
    kept::each("configuration", |bytes| match bytes.split_first() {
        Some((b'T', text)) => configuration::toml(text),
        Some((b'P', text)) => configuration::properties(text),
        // Not of files.
        _ => {}
    });
}
