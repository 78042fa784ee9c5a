//! What fuzzing kept of single settings goes through the check of fuzzing.

#[path = "../../../../../fuzz/checks/kept.rs"]
mod kept;
#[path = "../../../../../fuzz/checks/setting.rs"]
mod setting;

use super::normalise;

#[test]
fn kept_settings_are_refused_or_normal() {
    kept::each("configuration", |bytes| {
        if let Some((b'S', text)) = bytes.split_first() {
            setting::check(&String::from_utf8_lossy(text));
        }
    });
}
