//! A connector's configuration as it is posted: refused, or settings whose echo means the same and
//! shows nothing that the worker does not show.

use std::collections::BTreeMap;

use super::Posted;

const HIDDEN: &str = "<secret>";

/// Bytes of a request's body.
pub(crate) fn check(body: &[u8]) {
    let Ok(posted) = Posted::parse(body) else {
        return;
    };
    let Ok(settings) = posted.settings() else {
        return;
    };
    assert_eq!(echoed(&posted, &settings), settings);
    let hidden: BTreeMap<_, _> = settings
        .keys()
        .map(|key| (key.clone(), HIDDEN.to_owned()))
        .collect();
    assert_eq!(echoed(&posted, &hidden), hidden);
    assert!(echoed(&posted, &BTreeMap::new()).is_empty());
}

/// What a client reads of an echo.
fn echoed(posted: &Posted, shown: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let echo = serde_json::to_vec(&posted.echo(shown)).expect("an echo is JSON");
    let again = Posted::parse(&echo).expect("an echo is a configuration");
    again.settings().expect("an echo has no null")
}
