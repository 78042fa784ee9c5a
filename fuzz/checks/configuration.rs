//! The worker's configuration file: whatever its bytes, settings or an error that can be shown on a
//! terminal and never quotes the secret key.

use crate::config::{java, standalone};

/// What must not be seen where the fuzzer has not put it.
const SECRET: &str = "q7c/hidden/9z";

/// Bytes of a `.toml` file.
pub(crate) fn toml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    judge(standalone::read(text, "x").map(|settings| settings.warnings));
    if is_given_away(bytes) {
        return;
    }
    let with_secret =
        format!("{text}\n\n[broker]\naccess-key = \"a\"\nsecret-key = \"{SECRET}\"\n");
    let told = judge(standalone::read(&with_secret, "x").map(|settings| settings.warnings));
    assert!(!told.contains(SECRET), "{told}");
}

/// Bytes of a file of the Java project.
pub(crate) fn properties(bytes: &[u8]) {
    judge(java::read(bytes, "x", None).map(|settings| settings.warnings));
    if is_given_away(bytes) {
        return;
    }
    let mut with_secret = bytes.to_owned();
    with_secret.extend_from_slice(format!("\n\nsecretKey={SECRET}\n").as_bytes());
    let namesrv = Some("127.0.0.1:9876".to_owned());
    let told = judge(java::read(&with_secret, "x", namesrv).map(|settings| settings.warnings));
    assert!(!told.contains(SECRET), "{told}");
}

/// Whether the input holds the secret in a place of its own: the fuzzer finds it in the memory.
fn is_given_away(bytes: &[u8]) -> bool {
    let letters: Vec<u8> = bytes
        .iter()
        .copied()
        .filter(u8::is_ascii_alphanumeric)
        .collect();
    letters.windows(6).any(|some| some == b"hidden")
}

/// All that is told of a file, each line of it fit for a terminal.
fn judge(read: Result<Vec<String>, String>) -> String {
    let told = match read {
        Ok(warnings) => warnings,
        Err(error) => {
            assert!(error.starts_with("x cannot be used"), "{error}");
            error.split('\n').map(str::to_owned).collect()
        }
    };
    for line in &told {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    told.join("\n")
}
