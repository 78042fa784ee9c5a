//! Files that someone calls a plugin: the look at them must end with an answer that is bounded, fit
//! for a terminal, and no harsher about their form than the validator.

use std::sync::Arc;

use connect_sandbox::{LoadError, inspect};
use wasmparser::{Parser, Validator, WasmFeatures};

/// Largest file here; more must be refused for that alone.
const LIMIT: u64 = 16 << 10;
/// Ten names and a version, each cut to 2 KiB, and words of our own.
const LONGEST: usize = 24 << 10;
/// Escapes of what a terminal must not see make a text longer.
const ESCAPED: usize = 8;

pub(crate) fn check(bytes: &[u8]) {
    let looked = inspect(&Arc::from("x.wasm"), bytes, LIMIT);
    if bytes.len() as u64 > LIMIT {
        assert!(matches!(looked, Err(LoadError::TooLarge { .. })));
        return;
    }
    match looked {
        Ok(found) => {
            assert!(Parser::is_component(bytes));
            assert!(found.stubs.iter().all(|name| name.starts_with("wasi:")));
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() <= LONGEST * ESCAPED, "{} bytes", text.len());
            let steers = |character: char| character.is_control() && character != '\t';
            assert!(!text.chars().any(steers), "{text:?}");
            let malformed = matches!(error, LoadError::Malformed { .. });
            assert!(!malformed || !valid(bytes), "{text}");
        }
    }
}

/// Whether the validator would let it pass to the compiler. What the compiler then makes of it is
/// the business of a process of its own.
fn valid(bytes: &[u8]) -> bool {
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(bytes)
        .is_ok()
}
