//! How a connector comes to life: from the store, for a request, or again when its supervisor is gone.
//!
//! Must never change what is stored.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use connect_store::{StoredConnector, Target};

use super::{Entry, Worker};
use crate::connector::{Board, Connector, Plan};
use crate::spec::Spec;
use crate::status::{ConnectorInfo, REDACTED, State};

impl Worker {
    /// `edition` holds the digests of the plugins it ran with last.
    pub(super) fn restore(&self, stored: StoredConnector, edition: &[String]) {
        let StoredConnector {
            name,
            config,
            secret_keys,
            target,
            created,
        } = stored;
        let entry = match self.parse(&name, &config, edition) {
            Ok(spec) => self.begin(Arc::new(spec), None, target, created),
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

    /// A connector with a supervisor of its own, not yet among the entries.
    pub(super) fn begin(
        &self,
        spec: Arc<Spec>,
        plan: Option<Plan>,
        target: Target,
        created: u64,
    ) -> Entry {
        let config = Arc::new(spec.config.clone());
        let connector = Connector::start(self.0.shared.clone(), spec, plan, target);
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
                self.begin(Arc::new(spec), None, target, entry.created)
            }),
            Err(problems) => entry
                .board
                .connector(State::Failed, Some(problems.join("; "))),
        }
    }
}
