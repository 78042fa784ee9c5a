//! The configuration keys that belong to the worker. Everything else is the plugin's.

/// How the worker treats a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// Read and acted upon, in these connectors.
    Used(In),
    /// Known from the Java project; nothing depends on it here. The text says why.
    Ignored(&'static str),
    /// Would change what happens to records and is not there yet: refused rather than ignored.
    Refused(&'static str),
}

/// In which connectors a key has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum In {
    All,
    Sources,
    Sinks,
    /// Sources and sinks with topics, that is without `connector.direct.enable`.
    Topics,
    /// With `connector.direct.enable`.
    Direct,
}

impl In {
    /// Whether a key with an effect here has one in connectors of this kind.
    pub(crate) fn covers(self, kind: Self) -> bool {
        self == Self::All || self == kind || (self == Self::Topics && kind != Self::Direct)
    }
}

const TABLE: &[(&str, Treatment)] = &[
    ("connector.class", Treatment::Used(In::All)),
    ("max.tasks", Treatment::Used(In::All)),
    ("connect.topicname", Treatment::Used(In::All)),
    ("connect.topicnames", Treatment::Used(In::Sinks)),
    ("key.converter", Treatment::Used(In::Topics)),
    ("key.converter.*", Treatment::Used(In::Topics)),
    ("value.converter", Treatment::Used(In::Topics)),
    ("value.converter.*", Treatment::Used(In::Topics)),
    ("task.group.id", Treatment::Used(In::Sinks)),
    ("consume.from.where", Treatment::Used(In::Sinks)),
    ("consume.from.timestamp", Treatment::Used(In::Sinks)),
    ("offset.lost", Treatment::Used(In::Sinks)),
    ("queue.by", Treatment::Used(In::Sources)),
    ("errors.tolerance", Treatment::Used(In::All)),
    ("batch.records", Treatment::Used(In::All)),
    ("batch.bytes", Treatment::Used(In::All)),
    ("flush.records", Treatment::Used(In::Sinks)),
    ("flush.interval.ms", Treatment::Used(In::Sinks)),
    ("connector.direct.enable", Treatment::Used(In::All)),
    ("source.task.class", Treatment::Used(In::Direct)),
    ("sink.task.class", Treatment::Used(In::Direct)),
    ("source.*", Treatment::Used(In::Direct)),
    ("sink.*", Treatment::Used(In::Direct)),
    (
        "ordering.msg.enable",
        Treatment::Ignored("records with the same key always keep their order"),
    ),
    (
        "errors.log.enable",
        Treatment::Ignored("errors are always logged"),
    ),
    (
        "errors.log.include.messages",
        Treatment::Ignored("records are named, never logged"),
    ),
    (
        "errors.retry.timeout",
        Treatment::Ignored("what may succeed later is tried until it does"),
    ),
    (
        "errors.retry.delay.max.ms",
        Treatment::Ignored("the worker's own pauses apply"),
    ),
    (
        "connector.id",
        Treatment::Ignored("the connector's name identifies it"),
    ),
    ("connect.schema", Treatment::Ignored("nothing reads it")),
    (
        "transforms",
        Treatment::Refused("transforms are not available in this version"),
    ),
    (
        "transforms.*",
        Treatment::Refused("transforms are not available in this version"),
    ),
    (
        "errors.deadletterqueue.*",
        Treatment::Refused("dead letter topics are not available in this version"),
    ),
];

/// What the worker does with `key`; none when the key is not the worker's.
pub(crate) fn treatment(key: &str) -> Option<Treatment> {
    let exact = TABLE.iter().find(|(known, _)| *known == key);
    let by_prefix = || TABLE.iter().find(|(known, _)| covers(known, key));
    exact.or_else(by_prefix).map(|(_, treatment)| *treatment)
}

/// Whether the pattern `known`, which may end in `*`, stands for `key`.
pub(crate) fn covers(known: &str, key: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => key.len() > prefix.len() && key.starts_with(prefix),
        None => known == key,
    }
}

/// The key that looks most like `key`, if one is near enough to have been meant: one of `more`, or
/// one of the worker's own.
pub(crate) fn nearest<'a>(key: &str, more: impl Iterator<Item = &'a str>) -> Option<String> {
    let own = TABLE
        .iter()
        .map(|(known, _)| *known)
        .filter(|known| !known.ends_with('*'));
    nearest_of(key, own.chain(more))
}

/// As [`nearest`], of these alone.
pub(crate) fn nearest_of<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_need_something_after_them() {
        assert!(covers("transforms.*", "transforms.a.class"));
        assert!(!covers("transforms.*", "transforms."));
        assert_eq!(treatment("filename"), None);
        assert_eq!(
            treatment("key.converter.schemas.enable"),
            Some(Treatment::Used(In::Topics))
        );
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        assert_eq!(
            nearest("connect.topicnmae", std::iter::empty()).as_deref(),
            Some("connect.topicname")
        );
        assert_eq!(
            nearest("file.name", ["filename"].into_iter()).as_deref(),
            Some("filename")
        );
        assert_eq!(nearest("zzz", std::iter::empty()), None);
    }
}
