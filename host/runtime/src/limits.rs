//! Limits on three levels: what holds for the worker, for a plugin, for a connector. The level that is
//! nearer wins, key by key. Only answers which limits hold; keeping them is the sandbox's business.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_sandbox::{LimitChanges, Limits};

use crate::spec::{Flow, Spec};

/// The limits of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitLevels {
    /// For every plugin in every connector.
    pub worker: Limits,
    /// What differs for a plugin, by its name.
    pub plugins: BTreeMap<String, LimitChanges>,
    /// What differs for a connector, by its name: for all plugins that work in it.
    pub connectors: BTreeMap<String, LimitChanges>,
}

impl LimitLevels {
    /// What holds for one task of this plugin in this connector.
    pub fn of(&self, plugin: &str, connector: &str) -> Limits {
        let mut limits = self.worker.clone();
        let plugin = self.plugins.get(plugin);
        let connector = self.connectors.get(connector);
        for changes in plugin.into_iter().chain(connector) {
            limits.change(changes);
        }
        limits
    }

    /// How long a call may take in a task of this connector, on either side.
    pub(crate) fn longest_call(&self, spec: &Spec) -> Duration {
        let of = |plugin: &str| self.of(plugin, &spec.name).call_wall;
        let own = of(&spec.plugin.description().name);
        match &spec.flow {
            Flow::Direct { sink, .. } => own.max(of(&sink.description().name)),
            Flow::Source { .. } | Flow::Sink { .. } => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_sandbox::Limit;

    #[test]
    fn the_nearer_level_wins_key_by_key() {
        let changes = |of: &[(Limit, u64)]| of.iter().copied().collect::<LimitChanges>();
        let levels = LimitLevels {
            worker: Limits {
                tables: 7,
                ..Limits::default()
            },
            plugins: BTreeMap::from([(
                "p".to_owned(),
                changes(&[(Limit::Tables, 8), (Limit::Memories, 3)]),
            )]),
            connectors: BTreeMap::from([("c".to_owned(), changes(&[(Limit::Tables, 9)]))]),
        };
        let of = |plugin, connector| {
            let limits = levels.of(plugin, connector);
            (limits.tables, limits.memories)
        };
        assert_eq!(of("p", "c"), (9, 3));
        assert_eq!(of("p", "other"), (8, 3));
        assert_eq!(of("other", "c"), (9, 10));
        assert_eq!(of("other", "other"), (7, 10));
    }
}
