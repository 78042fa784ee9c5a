//! How a connector comes to life: from the store, for a request, or again when its supervisor is gone.
//!
//! Must never change what is stored.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use connect_store::{Edition, StoredConnector, Target};

use super::{Entry, Worker};
use crate::connector::{Board, Connector, Plan};
use crate::spec::Spec;
use crate::status::{ConnectorInfo, PluginInUse, REDACTED, State};

impl Worker {
    /// `edition` is what it ran with last. Where that is gone another version takes its place, but
    /// with no more access than it had, and not one that is in quarantine.
    pub(super) fn restore(&self, stored: StoredConnector, edition: Edition) {
        let StoredConnector {
            name,
            config,
            secret_keys,
            target,
            created,
        } = stored;
        let parsed = self.parse(&name, &config, &edition.digests);
        let known = !edition.digests.is_empty();
        let parsed = parsed.and_then(|spec| {
            let other = known && spec.digests() != edition.digests;
            match self.held_back(&spec, &edition.digests) {
                Some(reason) => Err(vec![reason]),
                None => Ok((spec, other.then_some(edition.access))),
            }
        });
        let entry = match parsed {
            Ok((spec, noted)) => self.begin(Arc::new(spec), None, target, created, noted),
            Err(problems) => {
                let reason = problems.join("; ");
                tracing::error!(
                    connector = name,
                    reason,
                    "a stored connector cannot be started"
                );
                let shown = config.iter().map(|(key, value)| {
                    let value = if secret_keys.contains(key) {
                        REDACTED
                    } else {
                        value
                    };
                    (key.clone(), value.to_owned())
                });
                let board = Board::showing(ConnectorInfo {
                    name: name.clone(),
                    role: None,
                    config: shown.collect(),
                    state: State::Failed,
                    reason: Some(reason),
                    warnings: Vec::new(),
                    worker_id: self.id().to_owned(),
                    tasks: Vec::new(),
                    plugins: Vec::new(),
                    change: None,
                    history: Vec::new(),
                });
                Entry {
                    config: Arc::new(config),
                    target,
                    created,
                    board: Arc::new(board),
                    connector: None,
                }
            }
        };
        self.entries_mut(|entries| entries.insert(name, entry));
    }

    /// Why a connector is not to start by itself with these plugins: one that it did not run before
    /// is in quarantine, and nobody asked for that very version.
    pub(super) fn held_back(&self, spec: &Spec, before: &[String]) -> Option<String> {
        let pinned = |key: &str| {
            spec.config
                .get(key)
                .is_some_and(|class| class.contains('@'))
        };
        if pinned("connector.class") || pinned("sink.task.class") {
            return None;
        }
        let fresh = spec.plugins().into_iter();
        let mut fresh = fresh.filter(|plugin| !before.iter().any(|it| it == plugin.digest()));
        fresh.find_map(|plugin| {
            let reason = self.0.shared.quarantine.reason(plugin.digest())?;
            let plugin = PluginInUse::of(plugin);
            Some(format!(
                "`{plugin}` is in quarantine ({reason}), and there is no other version; put one into the plugin directory, or name this one in `connector.class`"
            ))
        })
    }

    /// A connector with a supervisor of its own, not yet among the entries.
    pub(super) fn begin(
        &self,
        spec: Arc<Spec>,
        plan: Option<Plan>,
        target: Target,
        created: u64,
        noted: Option<Vec<String>>,
    ) -> Entry {
        let config = Arc::new(spec.config.clone());
        let connector = Connector::start(self.0.shared.clone(), spec, plan, target, noted);
        Entry {
            config,
            target,
            created,
            board: connector.board.clone(),
            connector: Some(connector),
        }
    }

    /// Puts among the entries what `make` starts, but not once the worker is shutting down: shutdown
    /// stops those that it finds there, and a later one would be stopped by nobody. What is stored
    /// starts with the next worker.
    pub(super) fn install(&self, name: &str, make: impl FnOnce() -> Entry) {
        self.entries_mut(|entries| {
            if !self.0.closing.load(Ordering::Acquire) {
                entries.insert(name.to_owned(), make());
            }
        });
    }

    /// Gives a connector whose supervisor is gone another one, so that no request is answered with
    /// a success that nobody carries out.
    pub(super) fn revive(&self, name: &str, target: Target, why: &str) {
        let Some(entry) = self.entry(name) else {
            return;
        };
        tracing::error!(connector = name, "{why}; the connector is started anew");
        match self.parse(name, &entry.config, &entry.digests()) {
            Ok(spec) => self.install(name, || {
                self.begin(Arc::new(spec), None, target, entry.created, None)
            }),
            Err(problems) => entry
                .board
                .connector(State::Failed, Some(problems.join("; "))),
        }
    }
}
