//! `[limits]` and what differs for one plugin or one connector. Which limits there are, what they are
//! called and how far they may be set is the sandbox's list; this only reads it.

use super::section::Section;
use connect_runtime::{LimitLevels, check_name};
use connect_sandbox::{Limit, LimitChanges};
use std::collections::BTreeMap;

/// Reads `[limits]` with `[limits.plugin.NAME]` and `[limits.connector.NAME]`.
pub(crate) fn read(mut section: Section<'_, '_>) -> LimitLevels {
    let mut levels = LimitLevels::default();
    let changes = changes(&mut section);
    levels.worker.change(&changes);
    levels.plugins = each(section.section("plugin"), |_| None);
    levels.connectors = each(section.section("connector"), |name| {
        check_name(name).err().map(|error| error.to_string())
    });
    section.finish();
    levels
}

/// The limits that this table sets.
fn changes(section: &mut Section<'_, '_>) -> LimitChanges {
    let set = |limit: &Limit| {
        let value = section.number(limit.key(), limit.range())?;
        Some((*limit, value))
    };
    Limit::ALL.iter().filter_map(set).collect()
}

/// The tables of a level by name; `wrong` says what is wrong with a name.
fn each(
    level: Section<'_, '_>,
    wrong: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, LimitChanges> {
    let mut all = BTreeMap::new();
    for (name, mut section) in level.named() {
        if let Some(why) = wrong(&name) {
            section.refuse(why);
        }
        all.insert(name, changes(&mut section));
        section.finish();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::Limit;
    use crate::config::settings::Settings;
    use crate::config::standalone;

    fn read(text: &str) -> Result<Settings, String> {
        standalone::read(text, "worker.toml")
    }

    #[test]
    fn limits_may_differ_for_a_plugin_and_for_a_connector() {
        let text = r#"[limits]
memory-bytes = 1048576
tables = 7
[limits.plugin."a.b/c"]
tables = 8
log-lines-per-second = 5
[limits.connector.orders]
tables = 9
"#;
        let settings = read(text).unwrap_or_else(|error| panic!("{error}"));
        let of = |plugin, connector| {
            let limits = settings.limits.of(plugin, connector);
            let lines = limits.log_lines_per_second;
            (limits.memory_bytes, limits.tables, lines)
        };
        assert_eq!(of("a.b/c", "orders"), (1 << 20, 9, 5));
        assert_eq!(of("a.b/c", "other"), (1 << 20, 8, 5));
        assert_eq!(of("other", "other"), (1 << 20, 7, 1_000));

        let error = read(
        "[limits.plugin.x]\nmemory-byte = 1\n[limits.plugin]\ny = 3\n[limits.connector.\"no way\"]\nopen-files = 0\ncall-cpu-ms = 0\n",
    ).err().unwrap();
        for part in [
            "line 2: unknown key `limits.plugin.\"x\".memory-byte`; did you mean `limits.plugin.\"x\".memory-bytes`?",
            "line 4: `limits.plugin.\"y\"`: expected a table [limits.plugin.\"y\"], found a whole number",
            "line 5: `limits.connector.\"no way\"`: connector name `no way`",
            "line 7: `limits.connector.\"no way\".call-cpu-ms`: expected a whole number from 1 to 3600000",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    /// An operator finds each limit under its name, and no key is only half there.
    #[test]
    fn every_limit_is_explained_in_the_shipped_configuration() {
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../conf/standalone.toml"
        ))
        .unwrap();
        for limit in Limit::ALL {
            let line = format!("# {} = ", limit.key());
            assert!(text.contains(&line), "`{}` is missing", limit.key());
        }
    }
}
