//! One setting of a plugin, in each kind: refused, or written in the one form that the plugin is
//! promised, which is read as itself.

use connect_sandbox::{OptionKind, OptionSpec};

use super::normalise;

const KINDS: [OptionKind; 8] = [
    OptionKind::Boolean,
    OptionKind::Integer,
    OptionKind::Decimal,
    OptionKind::Text,
    OptionKind::TextList,
    OptionKind::Duration,
    OptionKind::Size,
    OptionKind::Secret,
];

/// Text of a value.
pub(crate) fn check(text: &str) {
    for kind in KINDS {
        let option = option(kind, Vec::new());
        let Ok(value) = normalise(&option, "k", text) else {
            continue;
        };
        match kind {
            OptionKind::Boolean => assert!(value.parse::<bool>().is_ok()),
            OptionKind::Integer => assert!(value.parse::<i64>().is_ok()),
            OptionKind::Decimal => assert!(value.parse::<f64>().is_ok_and(f64::is_finite)),
            OptionKind::Duration | OptionKind::Size => assert!(value.parse::<u64>().is_ok()),
            OptionKind::TextList => {
                assert!(serde_json::from_str::<Vec<String>>(&value).is_ok());
            }
            OptionKind::Text | OptionKind::Secret => assert_eq!(value, text),
        }
        assert_eq!(normalise(&option, "k", &value).as_ref(), Ok(&value));
    }
    // A secret that is none of those allowed is not shown for it.
    let secret = option(OptionKind::Secret, vec!["allowed".to_owned()]);
    let other = "allowed".repeat(2) + text;
    let refused = normalise(&secret, "k", &other).expect_err("it is not allowed");
    assert!(!refused.contains(&other), "{refused}");
}

fn option(kind: OptionKind, allowed: Vec<String>) -> OptionSpec {
    OptionSpec {
        key: "k".to_owned(),
        kind,
        required: false,
        default: None,
        doc: String::new(),
        allowed,
        attributes: Vec::new(),
    }
}
