//! How a class in a configuration names a plugin. Exact names win over shortened ones, and a
//! shortened one that could mean several plugins means none of them.

use std::cmp::Ordering;

/// Suffix that Java's simple class names have and people leave out.
const CONNECTOR: &str = "Connector";

/// How well a class names a plugin; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Match {
    /// The plugin's own name.
    Name,
    /// One of its aliases.
    Alias,
    /// The last part of an alias: `FileSourceConnector`.
    SimpleName,
    /// That without its suffix: `FileSource`.
    ShortName,
}

/// How well `class` names a plugin with this name and these aliases.
pub(crate) fn matches(class: &str, name: &str, aliases: &[String]) -> Option<Match> {
    if class == name {
        return Some(Match::Name);
    }
    if aliases.iter().any(|alias| alias == class) {
        return Some(Match::Alias);
    }
    let simple = || aliases.iter().map(|alias| simple_name(alias));
    if simple().any(|simple| simple == class) {
        return Some(Match::SimpleName);
    }
    simple()
        .any(|simple| short_name(simple) == Some(class))
        .then_some(Match::ShortName)
}

/// Everything that names the plugin, for suggestions.
pub(crate) fn all<'a>(name: &'a str, aliases: &'a [String]) -> impl Iterator<Item = &'a str> {
    let simple = aliases.iter().map(|alias| simple_name(alias));
    let short = aliases
        .iter()
        .filter_map(|alias| short_name(simple_name(alias)));
    std::iter::once(name)
        .chain(aliases.iter().map(String::as_str))
        .chain(simple)
        .chain(short)
}

fn simple_name(alias: &str) -> &str {
    alias.rsplit(['.', '$']).next().unwrap_or(alias)
}

fn short_name(simple: &str) -> Option<&str> {
    simple
        .strip_suffix(CONNECTOR)
        .filter(|short| !short.is_empty())
}

/// Splits `name@version`.
pub(crate) fn split(class: &str) -> (&str, Option<&str>) {
    match class.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (class, None),
    }
}

/// Orders versions as people mean them: numbers as numbers, a pre-release before its release, build
/// marks last. Total over any text, so that the newest is always one and the same.
pub(crate) fn compare_versions(a: &str, b: &str) -> Ordering {
    let (core_a, pre_a, build_a) = version_parts(a);
    let (core_b, pre_b, build_b) = version_parts(b);
    let pre = match (pre_a, pre_b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_fields(a, b),
    };
    compare_fields(core_a, core_b)
        .then(pre)
        .then_with(|| build_a.cmp(&build_b))
        .then_with(|| a.cmp(b))
}

fn version_parts(version: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, build) = match version.split_once('+') {
        Some((rest, build)) => (rest, Some(build)),
        None => (version, None),
    };
    match rest.split_once('-') {
        Some((core, pre)) => (core, Some(pre), build),
        None => (rest, None, build),
    }
}

fn compare_fields(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_may_be_any_of_the_usual_forms() {
        let aliases = ["org.apache.rocketmq.connect.file.FileSourceConnector".to_owned()];
        let find = |class| matches(class, "file-source", &aliases);
        assert_eq!(find("file-source"), Some(Match::Name));
        assert_eq!(
            find("org.apache.rocketmq.connect.file.FileSourceConnector"),
            Some(Match::Alias)
        );
        assert_eq!(find("FileSourceConnector"), Some(Match::SimpleName));
        assert_eq!(find("FileSource"), Some(Match::ShortName));
        for other in [
            "",
            "file",
            "Connector",
            "filesource",
            "file.FileSourceConnector",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
        assert_eq!(matches("", "x", &["a.Connector".to_owned()]), None);
        assert_eq!(all("file-source", &aliases).count(), 4);
    }

    #[test]
    fn versions_are_in_the_order_of_people() {
        let ordered = [
            "0.9.0",
            "0.10.0-alpha",
            "0.10.0-alpha.2",
            "0.10.0-alpha.10",
            "0.10.0-rc",
            "0.10.0",
            "0.10.0+1",
            "1.0",
            "1.0.0",
            "2",
            "x",
        ];
        for (low, a) in ordered.iter().enumerate() {
            for (high, b) in ordered.iter().enumerate() {
                assert_eq!(compare_versions(a, b), low.cmp(&high), "{a} and {b}");
            }
        }
    }
}
