//! Paths as users write them. Text only: looks nothing up, and changes nothing but what it must.

/// The directory of a path, as written; `.` for a bare name, `/` for a name below the root.
pub fn directory(path: &str) -> &str {
    match path.rsplit_once('/') {
        None => ".",
        Some((directory, _)) => match directory.trim_end_matches('/') {
            "" => "/",
            directory => directory,
        },
    }
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether `text` can be nothing but the name of a file in its directory, on any system: not empty,
/// no separator, no way up, no control character, at most 200 bytes.
pub fn is_plain_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.len() <= 200
        && !text
            .chars()
            .any(|c| matches!(c, '/' | '\\') || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_kept_as_written() {
        for (path, directory_of) in [
            ("a.txt", "."),
            ("./a.txt", "."),
            ("data/a.txt", "data"),
            ("../data/in/a.txt", "../data/in"),
            ("data//a.txt", "data"),
            ("/a.txt", "/"),
            ("/var/log/a.txt", "/var/log"),
        ] {
            assert_eq!(directory(path), directory_of, "{path}");
        }
        assert_eq!((name("a"), name("x/y/a.b")), ("a", "a.b"));
    }

    #[test]
    fn plain_names_are_told_from_paths() {
        for good in ["a", "a.txt", "...", "ä b", "-", "a:b"] {
            assert!(is_plain_name(good), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "../a",
            "a\\b",
            "a\0",
            "a\n",
            &"x".repeat(201),
        ] {
            assert!(!is_plain_name(bad), "{bad:?}");
        }
    }
}
