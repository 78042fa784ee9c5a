//! Which keys of a configuration somebody knows and acts upon; the others are told, not ignored.

use connect_convert::settings_of;
use connect_sandbox::{Plugin, Role};

use super::Reader;
use crate::spec::keys::{self, In, Treatment};

impl Reader<'_> {
    /// Keys nobody knows, or without effect in this kind of connector: an error, or a warning under
    /// a Java class name, since configurations written for the Java project carry such keys.
    pub(super) fn check_keys(
        &mut self,
        plugin: &Plugin,
        sink: Option<&Plugin>,
        direct: bool,
        java: bool,
    ) {
        let here = match plugin.role() {
            _ if direct => In::Direct,
            Role::Sink => In::Sinks,
            Role::Source | Role::Transform => In::Sources,
        };
        for key in self.config.keys() {
            // of a direct connector, a prefixed key is for one side alone
            let sided = direct.then(|| side_key(key)).flatten();
            let (bare, sides) = match sided {
                Some((Side::Source, bare)) => (bare, [Some(plugin), None]),
                Some((Side::Sink, bare)) => (bare, [None, sink]),
                None => (key.as_str(), [Some(plugin), sink]),
            };
            let options = || {
                let sides = sides.into_iter().flatten();
                sides.flat_map(|side| &side.description().options)
            };
            if options().any(|option| keys::covers(&option.key, bare)) {
                continue;
            }
            let text = match keys::treatment(key) {
                Some(Treatment::Used(In::Direct)) if sided.is_some() && bare != "task.class" => {
                    unknown(key, bare, options().map(|option| option.key.as_str()))
                }
                Some(Treatment::Used(place)) if place.covers(here) => continue,
                Some(Treatment::Used(place)) => {
                    let only = match place {
                        In::Direct => "with connector.direct.enable",
                        In::Topics => "without connector.direct.enable",
                        In::Sources => "in a source that writes to topics",
                        In::Sinks | In::All => "in a sink of topics",
                    };
                    format!("`{key}` has an effect only {only}; remove it")
                }
                Some(Treatment::Ignored(why)) => {
                    self.warnings.push(format!("`{key}` has no effect: {why}"));
                    continue;
                }
                Some(Treatment::Refused(why)) => {
                    self.problems.push(format!("`{key}`: {why}; remove it"));
                    continue;
                }
                None => unknown(key, bare, options().map(|option| option.key.as_str())),
            };
            if java {
                self.warnings.push(text)
            } else {
                self.problems.push(text)
            }
        }
    }

    /// Settings a converter does not have. Under our own names the converter itself refuses them;
    /// under a Java name it ignores them, so they are told.
    pub(super) fn check_converter_keys(&mut self, key: &str, class: &str) {
        let Some(known) = settings_of(class) else {
            return;
        };
        let prefix = format!("{key}.");
        let unknown = self.config.keys().filter(|name| {
            name.strip_prefix(&prefix)
                .is_some_and(|bare| !known.contains(&bare))
        });
        self.warnings.extend(
            unknown.map(|name| format!("`{name}` has no effect: `{class}` has no such setting")),
        );
    }
}

/// One of the two plugins of a direct connector.
enum Side {
    Source,
    Sink,
}

/// The side a prefixed key is for, and the key without its prefix.
fn side_key(key: &str) -> Option<(Side, &str)> {
    let source = key.strip_prefix("source.").map(|bare| (Side::Source, bare));
    source.or_else(|| key.strip_prefix("sink.").map(|bare| (Side::Sink, bare)))
}

/// Says that nobody knows `key`, which is `bare` to its plugin, with the nearest that is known.
fn unknown<'a>(key: &str, bare: &str, options: impl Iterator<Item = &'a str>) -> String {
    let prefix = key.strip_suffix(bare).unwrap_or_default();
    let near = if prefix.is_empty() {
        keys::nearest(bare, options)
    } else {
        keys::nearest_of(bare, options)
    };
    let hint = near.map_or_else(String::new, |near| {
        format!("; did you mean `{prefix}{near}`?")
    });
    format!("unknown key `{key}`{hint}")
}
