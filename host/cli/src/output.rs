//! What a command prints on standard output: JSON, or columns for people.
//!
//! Must never let stored text reach the terminal raw: names and positions may hold control
//! characters.

use std::io::{self, Write as _};

/// Writes a text and makes sure it is out. A reader that has seen enough and left, such as `head`,
/// is no error.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut write = || {
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Lays rows out in columns under their titles.
pub(crate) fn table<const N: usize>(titles: [&str; N], rows: Vec<[String; N]>) -> String {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| harmless(&cell)))
        .collect();
    let mut widths = titles.map(|title| title.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    line(&mut text, titles.iter().copied(), &widths);
    for row in &rows {
        line(&mut text, row.iter().map(String::as_str), &widths);
    }
    text
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>, widths: &[usize]) {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        line.push_str(cell);
        let gap = width - cell.chars().count() + 2;
        line.extend(std::iter::repeat_n(' ', gap));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Control characters as they are written in Rust, the rest as it is.
pub(crate) fn harmless(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => result.extend(character.escape_default()),
            false => result.push(character),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up_and_nothing_escapes() {
        let rows = vec![
            ["a".to_owned(), "1".to_owned()],
            ["längere\u{1b}[2J\n".to_owned(), "22".to_owned()],
        ];
        let text = table(["NAME", "NEXT"], rows);
        let expected = "NAME                NEXT\n\
                        a                   1\n\
                        längere\\u{1b}[2J\\n  22\n";
        assert_eq!(text, expected);
        assert_eq!(table(["NAME"], vec![]), "NAME\n");
    }
}
