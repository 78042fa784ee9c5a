//! What people write: the worker's configuration file in both forms, connectors' configurations as
//! they are posted, and single settings of plugins. The code is private to the binary and to the
//! crates that use it, so its files are taken in here; it must not change for this.
#![no_main]
#![allow(dead_code, reason = "not everything of the files is used here")]

#[path = "../checks/configuration.rs"]
mod check;
#[path = "../checks/posted.rs"]
mod check_posted;
#[path = "../checks/setting.rs"]
mod check_setting;

/// The files of the worker.
#[path = "../../host/cli/src/config"]
mod config {
    mod grants;
    pub(crate) mod java;
    mod limits;
    mod report;
    mod section;
    mod settings;
    pub(crate) mod standalone;
}
/// Of the server.
#[path = "../../host/server/src"]
mod server {
    pub(crate) mod config;
}
/// Of the runtime.
#[path = "../../host/runtime/src/spec"]
mod spec {
    pub(crate) mod options;
}

/// Stands in for the server's, which is an answer to a request.
mod error {
    #[derive(Debug)]
    pub(crate) struct Refusal;

    impl Refusal {
        pub(crate) fn bad_request(_message: impl Into<String>) -> Self {
            Self
        }
    }
}
/// Stands in for the runtime's.
mod status {
    pub(crate) const REDACTED: &str = "<secret>";
}

use server::config::Posted;
use spec::options::normalise;

// The first byte says what the rest is.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((b'T', text)) => check::toml(text),
        Some((b'P', text)) => check::properties(text),
        Some((b'J', body)) => check_posted::check(body),
        Some((b'S', text)) => check_setting::check(&String::from_utf8_lossy(text)),
        _ => {}
    }
});
