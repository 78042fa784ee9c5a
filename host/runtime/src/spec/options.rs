//! Checks a plugin's settings against what it declared, and writes them the way the wall wants
//! them: durations as whole milliseconds, sizes as bytes, text lists as JSON arrays.

#[cfg(test)]
mod corpus;

use connect_sandbox::{OptionKind, OptionSpec};

use crate::status::REDACTED;

/// Writes `text` as the wall wants a setting of this kind.
///
/// # Errors
/// A sentence that names the expected form.
pub(crate) fn normalise(option: &OptionSpec, key: &str, text: &str) -> Result<String, String> {
    let mistyped = |expected: &str| {
        format!(
            "`{key}` is `{}`; expected {expected}",
            if option.kind == OptionKind::Secret {
                REDACTED
            } else {
                text
            }
        )
    };
    let value = match option.kind {
        OptionKind::Text => text.to_owned(),
        OptionKind::Secret => text.to_owned(),
        OptionKind::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "true" => "true".to_owned(),
            "false" => "false".to_owned(),
            _ => return Err(mistyped("`true` or `false`")),
        },
        OptionKind::Integer => {
            let number = text
                .trim()
                .parse::<i64>()
                .map_err(|_| mistyped("a whole number"))?;
            number.to_string()
        }
        OptionKind::Decimal => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => text.trim().to_owned(),
            _ => return Err(mistyped("a number")),
        },
        OptionKind::Duration => duration(text)
            .ok_or_else(|| {
                mistyped("milliseconds or a duration such as `500ms`, `10s`, `5m`, `1h`")
            })?
            .to_string(),
        OptionKind::Size => size(text)
            .ok_or_else(|| mistyped("bytes or a size such as `64KiB`, `4MiB`, `1GiB`"))?
            .to_string(),
        OptionKind::TextList => list(text).ok_or_else(|| mistyped("a list"))?,
    };
    if !option.allowed.is_empty() && !option.allowed.contains(&value) {
        return Err(mistyped(&format!(
            "one of `{}`",
            option.allowed.join("`, `")
        )));
    }
    Ok(value)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let number = digits.parse::<u64>().ok()?;
    let unit = unit.trim();
    let factor = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
        .1;
    number.checked_mul(factor)
}

/// Whole milliseconds of `500`, `500ms`, `10s`, `5m`, `1h`, `2d`.
pub(crate) fn duration(text: &str) -> Option<u64> {
    scaled(
        text,
        &[
            ("", 1),
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ],
    )
}

/// Bytes of `512`, `64KiB`, `4MB`, `1GiB`; decimal units are powers of ten.
pub(crate) fn size(text: &str) -> Option<u64> {
    scaled(
        text,
        &[
            ("", 1),
            ("b", 1),
            ("kb", 1_000),
            ("mb", 1_000_000),
            ("gb", 1_000_000_000),
            ("kib", 1 << 10),
            ("mib", 1 << 20),
            ("gib", 1 << 30),
        ],
    )
}

fn list(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let items: Vec<String> = if trimmed.starts_with('[') {
        serde_json::from_str(trimmed).ok()?
    } else {
        trimmed
            .split([',', ';'])
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    };
    serde_json::to_string(&items).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("250"), Some(250));
        assert_eq!(duration("5m"), Some(300_000));
        assert_eq!(duration("5 parsecs"), None);
        assert_eq!(duration("99999999999999999999"), None);
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("-1"), None);
    }

    #[test]
    fn lists_may_be_json_or_separated() {
        assert_eq!(list("a; b,c").as_deref(), Some(r#"["a","b","c"]"#));
        assert_eq!(list(r#"["a,b"]"#).as_deref(), Some(r#"["a,b"]"#));
        assert_eq!(list("[1"), None);
    }
}
