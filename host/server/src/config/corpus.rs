//! What fuzzing kept of posted configurations goes through the check of fuzzing.

#[path = "../../../../fuzz/checks/kept.rs"]
mod kept;
#[path = "../../../../fuzz/checks/posted.rs"]
mod posted;

use super::Posted;

#[test]
fn kept_bodies_are_refused_or_echoed() {
    kept::each("configuration", |bytes| {
        if let Some((b'J', body)) = bytes.split_first() {
            posted::check(body);
        }
    });
}
