//! The worker's plugins: what there is, what came and went, and which connector is offered what.
//!
//! A reload never touches a connector whose plugin stayed the same, and never changes one without
//! having tried the new version aside: its configuration understood, needs granted, settings
//! validated, tasks planned, an instance made. Must never stop a connector for a version that fails
//! there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use connect_plugins::{DepositError, Entry as Listed, Reloaded};
use connect_sandbox::Plugin;

use super::{Entry, Worker, digests};
use crate::connector::{Plan, PlanError, Within, plan};
use crate::error::{WorkerError, story};
use crate::spec::Spec;
use crate::status::{PluginChange, PluginInUse, PluginInfo, ReloadReport, State};

impl Worker {
    /// The plugins `connector.class` may name.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        let mut tasks: HashMap<String, usize> = HashMap::new();
        for connector in self.connectors() {
            for plugin in connector.plugins {
                *tasks.entry(plugin.digest).or_default() += connector.tasks.len();
            }
        }
        let catalogue = self.0.shared.deps.plugins.catalogue();
        let info = |listed: &Listed| {
            let description = listed.plugin.description();
            let digest = listed.plugin.digest();
            let since = listed.since.duration_since(UNIX_EPOCH);
            let since = since.map_or(0, |since| since.as_millis());
            PluginInfo {
                name: description.name.clone(),
                version: description.version.clone(),
                class: description
                    .aliases
                    .first()
                    .unwrap_or(&description.name)
                    .clone(),
                role: listed.plugin.role(),
                digest: digest.to_owned(),
                path: listed.path.clone(),
                since: u64::try_from(since).unwrap_or(u64::MAX),
                tasks: tasks.get(digest).copied().unwrap_or(0),
                quarantined: self.0.shared.quarantine.reason(digest),
                asked: listed.plugin.asked().read(),
            }
        };
        catalogue.list().iter().map(info).collect()
    }

    /// Looks at the plugin directories, and offers every connector the newest version it may run. The
    /// changes go on when this returns; statuses tell how.
    ///
    /// # Errors
    /// [`WorkerError::ShuttingDown`].
    pub async fn reload(&self) -> Result<ReloadReport, WorkerError> {
        self.open()?;
        let _one = self.0.reloading.lock().await;
        self.open()?;
        let plugins = Arc::clone(&self.0.shared.deps.plugins);
        // plugins describe themselves: that is guest code
        let reloaded = self
            .0
            .shared
            .deps
            .guests
            .spawn(async move { plugins.reload().await });
        let Reloaded {
            added,
            removed,
            problems,
        } = reloaded.await.map_err(|_| WorkerError::ShuttingDown)?;
        let names = |plugins: &[Plugin]| plugins.iter().map(PluginInUse::of).collect();
        let report = ReloadReport {
            added: names(&added),
            removed: names(&removed),
            problems: problems.iter().map(|problem| story(problem)).collect(),
        };
        for problem in &report.problems {
            tracing::error!("plugins: {problem}");
        }
        for (what, plugins) in [("added", &report.added), ("removed", &report.removed)] {
            for plugin in plugins {
                tracing::info!(%plugin, digest = plugin.digest, "a plugin was {what}");
            }
        }
        drop((added, removed));
        self.offer_all().await;
        Ok(report)
    }

    /// Offers without anybody waiting for it: right after a start, when a newer version may have come
    /// while the worker was away.
    pub(super) fn offer_soon(&self) {
        let worker = self.clone();
        self.0.shared.runtime.spawn(async move {
            let _one = worker.0.reloading.lock().await;
            worker.offer_all().await;
        });
    }

    async fn offer_all(&self) {
        let names: Vec<String> = self.entries(|entries| entries.keys().cloned().collect());
        for name in names {
            self.offer(&name, None).await;
        }
    }

    /// Lets a connector go over to the version with this digest, which asks for more than the present
    /// one has. Whatever came meanwhile is not approved with it.
    ///
    /// # Errors
    /// [`WorkerError::NotFound`], and [`WorkerError::Invalid`] where this version does not wait for
    /// approval.
    pub async fn approve(&self, name: &str, digest: &str) -> Result<(), WorkerError> {
        self.open()?;
        let info = self
            .connector(name)
            .ok_or_else(|| WorkerError::NotFound { name: name.into() })?;
        let approved = match info.change {
            Some(PluginChange::NeedsApproval { to, .. }) => to,
            _ => Vec::new(),
        };
        if !approved.iter().any(|plugin| plugin.digest == digest) {
            return Err(WorkerError::Invalid {
                name: name.into(),
                problems: vec![format!(
                    "no version of its plugin with the digest `{digest}` waits for approval"
                )],
            });
        }
        self.offer(name, Some(digests(approved))).await;
        Ok(())
    }

    /// Offers a connector the newest version of its plugins that it may run; `approved` are digests
    /// that the operator has said yes to.
    async fn offer(&self, name: &str, approved: Option<Vec<String>>) {
        let lock = self.lock(name);
        let _held = lock.lock().await;
        if self.open().is_err() {
            return;
        }
        let Some(entry) = self.entry(name) else {
            return;
        };
        let Some(connector) = &entry.connector else {
            self.mend(name, &entry);
            return;
        };
        let in_use = entry.digests();
        let board = &entry.board;
        let spec = match self.parse_keeping(name, &entry.config, &[], &in_use) {
            Ok(spec) => Arc::new(spec),
            Err(problems) => {
                self.not_offered(&entry, Vec::new(), problems.join("; "));
                return;
            }
        };
        let approved = approved.is_some_and(|digests| digests == spec.digests());
        let present = board.access();
        if spec.digests() == in_use && (present.is_some() || !approved) {
            self.nothing_new(name, &entry, present.is_some());
            return;
        }
        let to = spec.in_use();
        if let Some(reason) = self.quarantined(&spec, &in_use) {
            let plugins = to;
            board.change(Some(PluginChange::Quarantined { plugins, reason }));
            return;
        }
        // before the first plan, say of a connector that has been paused since the start, what it
        // runs is planned here: another version is measured by that
        let from = match &present {
            Some(_) => None,
            None if spec.digests() == in_use => None,
            None => self.plan_of(name, &entry, &in_use).await,
        };
        let planned = from.as_ref().map(|plan| plan.accesses());
        let before = present.or(planned).unwrap_or_default();
        let within = if approved {
            Within::Grants
        } else {
            Within::Access(&before)
        };
        match plan(&self.0.shared, spec, within).await {
            Ok(plan) => {
                if !connector.swap(plan, from, approved).await {
                    self.revive(name, entry.target, "it had no supervisor any more");
                }
            }
            Err(PlanError::NeedsApproval(asks)) => {
                tracing::warn!(
                    connector = name,
                    asks = asks.join("; "),
                    "a new version of the plugin asks for more than the present one has; it waits for the operator's approval"
                );
                board.change(Some(PluginChange::NeedsApproval { to, asks }));
            }
            Err(error) => self.not_offered(&entry, to, story(&error)),
        }
    }

    /// There is no version to offer: what stood in the way of one may be gone, or the file of the one
    /// in use back. Where a newer one is in quarantine, that is why.
    fn nothing_new(&self, name: &str, entry: &Entry, planned: bool) {
        let catalogue = self.0.shared.deps.plugins.catalogue();
        let over = match entry.board.read().change {
            None => {
                let newest = self.parse_avoiding(name, &entry.config, &[], &|_| false);
                if let Ok(newest) = newest
                    && let Some(reason) = self.quarantined(&newest, &entry.digests())
                {
                    let plugins = newest.in_use();
                    let change = PluginChange::Quarantined { plugins, reason };
                    entry.board.change(Some(change));
                }
                false
            }
            Some(PluginChange::Removed | PluginChange::Refused { .. }) => true,
            Some(PluginChange::NeedsApproval { .. }) => planned,
            Some(PluginChange::Quarantined { plugins, .. }) => plugins
                .iter()
                .all(|plugin| catalogue.by_digest(&plugin.digest).is_none()),
            _ => false,
        };
        if over {
            entry.board.change(None);
        }
    }

    /// Why a version that a connector does not run is in quarantine, if one is.
    fn quarantined(&self, spec: &Spec, in_use: &[String]) -> Option<String> {
        let fresh = spec.plugins().into_iter();
        let mut fresh = fresh.filter(|plugin| !in_use.iter().any(|known| known == plugin.digest()));
        fresh.find_map(|plugin| self.0.shared.quarantine.reason(plugin.digest()))
    }

    /// The plan of what a connector runs; none where that cannot be planned.
    async fn plan_of(&self, name: &str, entry: &Entry, in_use: &[String]) -> Option<Plan> {
        let spec = self.parse(name, &entry.config, in_use).ok()?;
        if spec.digests() != in_use {
            return None;
        }
        let planned = plan(&self.0.shared, Arc::new(spec), Within::Grants).await;
        planned
            .inspect_err(|error| {
                tracing::debug!(connector = name, error = %story(error), "what it runs cannot be planned");
            })
            .ok()
    }

    /// Starts a connector that could not be understood so far, if it can be now.
    fn mend(&self, name: &str, entry: &Entry) {
        let parsed = self.parse(name, &entry.config, &[]);
        let parsed = parsed.and_then(|spec| match self.held_back(&spec, &[]) {
            Some(reason) => Err(vec![reason]),
            None => Ok(spec),
        });
        match parsed {
            Ok(spec) => {
                tracing::info!(
                    connector = name,
                    "what was missing is there; the connector starts"
                );
                self.install(name, || {
                    self.begin(Arc::new(spec), None, entry.target, entry.created, None)
                });
            }
            Err(problems) => entry
                .board
                .connector(State::Failed, Some(problems.join("; "))),
        }
    }

    fn not_offered(&self, entry: &Entry, to: Vec<PluginInUse>, reason: String) {
        let catalogue = self.0.shared.deps.plugins.catalogue();
        let mut in_use = entry.digests().into_iter();
        let gone = to.is_empty() && in_use.any(|digest| catalogue.by_digest(&digest).is_none());
        let name = entry.board.read().name;
        if gone {
            tracing::warn!(
                connector = name,
                reason,
                "the plugin in use is not there any more; the connector goes on with what was loaded"
            );
            entry.board.change(Some(PluginChange::Removed));
        } else {
            tracing::warn!(
                connector = name,
                reason,
                "a newer version of the plugin cannot be used"
            );
            entry
                .board
                .change(Some(PluginChange::Refused { to, reason }));
        }
    }

    /// Takes in a plugin that somebody sends, and makes it known.
    ///
    /// # Errors
    /// [`WorkerError::Plugin`] with what is wrong with it; [`WorkerError::ShuttingDown`].
    pub async fn deposit_plugin(&self, bytes: Vec<u8>) -> Result<PluginInUse, WorkerError> {
        self.open()?;
        let plugins = Arc::clone(&self.0.shared.deps.plugins);
        let guests = &self.0.shared.deps.guests;
        let deposited = guests.spawn(async move { plugins.deposit(bytes).await });
        let plugin = deposited
            .await
            .map_err(|_| WorkerError::ShuttingDown)?
            .map_err(refused)?;
        self.reload().await?;
        Ok(PluginInUse::of(&plugin))
    }

    /// Removes the file of a plugin that no connector uses, and forgets it.
    ///
    /// # Errors
    /// [`WorkerError::Plugin`]: there is none, or the disk refuses; [`WorkerError::PluginInUse`].
    pub async fn withdraw_plugin(&self, name: &str, version: &str) -> Result<(), WorkerError> {
        self.open()?;
        let plugins = &self.0.shared.deps.plugins;
        let digest = plugins
            .catalogue()
            .exactly(name, version)
            .map(|entry| entry.plugin.digest().to_owned());
        let users: Vec<String> = self
            .connectors()
            .into_iter()
            .filter(|connector| {
                let (from, to) = match &connector.change {
                    Some(
                        PluginChange::Draining { from, to } | PluginChange::OnTrial { from, to },
                    ) => (from.as_slice(), to.as_slice()),
                    _ => (&[][..], &[][..]),
                };
                let mut used = connector.plugins.iter().chain(from).chain(to);
                used.any(|plugin| Some(&plugin.digest) == digest.as_ref())
            })
            .map(|connector| connector.name)
            .collect();
        if !users.is_empty() {
            return Err(WorkerError::PluginInUse {
                plugin: format!("{name}@{version}"),
                connectors: users,
            });
        }
        plugins.withdraw(name, version).await.map_err(refused)?;
        self.reload().await.map(drop)
    }
}

fn refused(source: DepositError) -> WorkerError {
    WorkerError::Plugin {
        source: Box::new(source),
    }
}
