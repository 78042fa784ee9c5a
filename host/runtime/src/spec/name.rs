//! Which names a connector may have. Names become part of paths, groups and store keys.

use crate::WorkerError;

/// Longest name, in bytes.
const LONGEST: usize = 200;

/// Words that are routes beside a connector's name.
const RESERVED: [&str; 4] = ["list", "stop", "pause", "resume"];

/// Checks a connector's name.
///
/// # Errors
/// [`WorkerError::InvalidName`] with the reason.
pub fn check_name(name: &str) -> Result<(), WorkerError> {
    let refuse = |reason: String| {
        Err(WorkerError::InvalidName {
            name: name.to_owned(),
            reason,
        })
    };
    if name.is_empty() {
        return refuse("it is empty".into());
    }
    if name.len() > LONGEST {
        return refuse(format!(
            "it has {} bytes; at most {LONGEST} are allowed",
            name.len()
        ));
    }
    if RESERVED.contains(&name) {
        return refuse("it is a word of the REST interface; choose another".into());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
        return refuse(format!(
            "it holds {bad:?}; letters, digits, `.`, `_` and `-` are allowed"
        ));
    }
    if name.starts_with('.') {
        return refuse("it begins with a dot".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn ordinary_names_pass() {
        for name in ["fileSourceConnector", "a", "orders-2.eu_1"] {
            check_name(name).unwrap();
        }
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        let long = "x".repeat(201);
        for (name, part) in [
            ("", "empty"),
            ("list", "REST"),
            ("a/b", "'/'"),
            ("..", "dot"),
            ("a b", "' '"),
            ("\u{e9}", "'\u{e9}'"),
            (long.as_str(), "201 bytes"),
        ] {
            let text = check_name(name).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
