//! Text that a guest wrote, made fit for messages and logs: bounded, on one line, free of control
//! characters. Nothing here may grow with what a guest sends.

use std::borrow::Cow;

/// Longest reason, error or problem text that is kept of a guest's answer, in bytes.
pub(crate) const REASON_BYTES: usize = 2_048;

/// Cuts `text` to at most `max` bytes at a character boundary and says how much is gone.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max);
    let kept = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{kept}… ({} bytes more)", text.len() - end))
}

/// A guest's reason as it goes into errors and statuses: cut and without control characters.
pub(crate) fn reason(text: &str) -> String {
    plain(&cut(text.trim_end(), REASON_BYTES))
}

/// Line ends become ` | ` and every other control character but the tab is written as `\u{…}`, so
/// that no guest can forge log lines or steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    if !text.chars().any(unwanted) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut previous_was_end = false;
    for character in text.chars() {
        let is_end = matches!(character, '\n' | '\r');
        match character {
            '\n' | '\r' if previous_was_end => {}
            '\n' | '\r' => out.push_str(" | "),
            other if unwanted(other) => out.extend(other.escape_unicode()),
            other => out.push(other),
        }
        previous_was_end = is_end;
    }
    out
}

/// Control characters, and the invisible ones that reorder what a terminal shows.
fn unwanted(character: char) -> bool {
    (character.is_control() && character != '\t')
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `8 MiB`, `64 KiB` or `17 bytes`: the largest unit that says it exactly.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in UNITS {
        if count >= size && count.is_multiple_of(size) {
            return format!("{} {unit}", count / size);
        }
    }
    format!("{count} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("aé", 2), "a… (2 bytes more)");
        assert_eq!(
            reason(&"x".repeat(10_000)).len(),
            REASON_BYTES + "… (7952 bytes more)".len()
        );
    }

    #[test]
    fn no_control_character_survives() {
        assert_eq!(plain("a\r\nb\n\nc"), "a | b | c");
        assert_eq!(
            plain("\u{1b}[31mred\tand\u{202e}back"),
            "\\u{1b}[31mred\tand\\u{202e}back"
        );
    }

    #[test]
    fn sizes_are_written_in_their_own_unit() {
        assert_eq!(bytes(256 << 20), "256 MiB");
        assert_eq!(bytes(1_536 << 10), "1536 KiB");
        assert_eq!(bytes(17), "17 bytes");
    }
}
