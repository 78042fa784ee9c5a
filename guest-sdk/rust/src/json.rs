//! JSON arrays of texts, the form in which lists cross the wall. Nothing else of JSON: a connector
//! that needs more takes a JSON crate.

use std::iter::Peekable;
use std::str::Chars;

/// The items of a JSON array of strings; nothing when it is anything else.
pub(crate) fn read_texts(text: &str) -> Option<Vec<String>> {
    let mut rest = text
        .trim()
        .strip_prefix('[')?
        .strip_suffix(']')?
        .chars()
        .peekable();
    let mut items = Vec::new();
    skip_space(&mut rest);
    if rest.peek().is_none() {
        return Some(items);
    }
    loop {
        items.push(read_text(&mut rest)?);
        skip_space(&mut rest);
        match rest.next() {
            None => return Some(items),
            Some(',') => skip_space(&mut rest),
            Some(_) => return None,
        }
    }
}

fn skip_space(rest: &mut Peekable<Chars<'_>>) {
    while rest
        .next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
        .is_some()
    {}
}

fn read_text(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    if rest.next()? != '"' {
        return None;
    }
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(read_escape(rest)?),
            c if c < ' ' => return None,
            c => text.push(c),
        }
    }
}

fn read_escape(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    Some(match rest.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let unit = read_unit(rest)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return char::from_u32(unit);
            }
            if (rest.next()?, rest.next()?) != ('\\', 'u') {
                return None;
            }
            let low = read_unit(rest)?
                .checked_sub(0xdc00)
                .filter(|low| *low < 0x400)?;
            char::from_u32(0x10000 + ((unit - 0xd800) << 10) + low)?
        }
        _ => return None,
    })
}

fn read_unit(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + rest.next()?.to_digit(16)?))
}

/// A JSON array that [`read_texts`] reads back to the same items.
pub(crate) fn write_texts<I>(items: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut out = String::from("[");
    for item in items {
        if out.len() > 1 {
            out.push(',');
        }
        out.push('"');
        for c in item.as_ref().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_json_allows() {
        assert_eq!(read_texts("[]").unwrap(), Vec::<String>::new());
        assert_eq!(read_texts(" [ ] ").unwrap(), Vec::<String>::new());
        let escapes = r#"["\"\\\/\b\f\n\r\t", "\ud83d\ude00"]"#;
        assert_eq!(
            read_texts(escapes).unwrap(),
            ["\"\\/\u{8}\u{c}\n\r\t", "😀"]
        );
    }

    #[test]
    fn refuses_what_it_does_not() {
        for text in [
            "",
            "[",
            "[1]",
            "[\"a\" \"b\"]",
            "[\"a\",]",
            "[\"\\ud83d\"]",
            "[\"\\udc00\"]",
            "[\"\\x\"]",
            "[\"a]",
        ] {
            assert_eq!(read_texts(text), None, "{text}");
        }
    }
}
