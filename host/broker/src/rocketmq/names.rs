//! Names that RocketMQ can have, checked before anybody is asked.

use crate::error::BrokerError;

const LONGEST_TOPIC: usize = 127;
const LONGEST_GROUP: usize = 255;

pub(super) fn check_topic(name: &str) -> Result<(), BrokerError> {
    check_name("topic", name, LONGEST_TOPIC)
}

pub(super) fn check_group(name: &str) -> Result<(), BrokerError> {
    check_name("group", name, LONGEST_GROUP)
}

fn check_name(kind: &'static str, name: &str, longest: usize) -> Result<(), BrokerError> {
    let refuse = |reason: String| {
        Err(BrokerError::Name {
            kind,
            name: name.to_owned(),
            reason,
        })
    };
    if name.is_empty() {
        return refuse("it is empty".to_owned());
    }
    if name.len() > longest {
        return refuse(format!(
            "it has {} characters, at most {longest} are allowed",
            name.len()
        ));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '-' | '_');
    match name.chars().find(|c| !allowed(*c)) {
        Some(c) => refuse(format!(
            "it holds {c:?}; letters, digits, % | - and _ are allowed"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_anybody_is_asked() {
        for good in ["a", "connect-file_Sink", "%RETRY%g", &"x".repeat(127)] {
            assert!(check_topic(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ü", "a\n", &"x".repeat(128)] {
            let error = check_topic(bad).unwrap_err();
            assert!(!error.retriable() && !error.permanent(), "{error}");
        }
    }
}
