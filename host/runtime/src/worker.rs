//! The worker as everyone outside sees it: connectors come, go, pause and resume here.
//!
//! A request is checked whole before anything changes: configuration, grants, the plugin's own
//! validation, the broker; then stored; then started.

mod plugins;
mod start;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connect_sandbox::Plugin;
use connect_store::{StoredConnector, Target};
use tokio::runtime::Handle;

use crate::connector::{Board, Connector, Quarantine, Shared, Within, plan};
use crate::error::WorkerError;
use crate::settings::{Dependencies, WorkerSettings};
use crate::spec::{self, Flow, Spec};
use crate::status::{ConnectorInfo, PluginChange, PluginInUse, Readiness};

/// How long a create waits for the broker's answer.
const BROKER_ANSWER: Duration = Duration::from_secs(3);

/// Result of [`Worker::put_connector`].
#[derive(Clone, Debug)]
pub struct Put {
    /// True for a new connector, false for a changed one.
    pub created: bool,
    /// Keys of the configuration that have no effect.
    pub warnings: Vec<String>,
}

/// A worker. Clones share it.
#[derive(Clone)]
pub struct Worker(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    connectors: RwLock<BTreeMap<String, Entry>>,
    /// One request at a time per name.
    names: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    closing: AtomicBool,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

/// A connector this worker knows.
#[derive(Clone)]
struct Entry {
    config: Arc<BTreeMap<String, String>>,
    target: Target,
    created: u64,
    board: Arc<Board>,
    /// None while its configuration cannot be understood, say because its plugin is gone.
    connector: Option<Connector>,
}

impl Entry {
    /// Digests of the plugins it runs.
    fn digests(&self) -> Vec<String> {
        digests(self.board.read().plugins)
    }

    /// The same, but for a version on trial what the connector would go back to.
    fn trusted(&self) -> Vec<String> {
        let info = self.board.read();
        match info.change {
            Some(PluginChange::Draining { from, .. } | PluginChange::OnTrial { from, .. }) => {
                digests(from)
            }
            _ => digests(info.plugins),
        }
    }
}

impl Worker {
    /// Starts every connector the store knows, in the state it was in. Returns at once; the
    /// connectors come up by themselves, with or without a broker. Everything runs on the runtime
    /// that this is called on, later connectors too.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Errors
    /// [`WorkerError::Store`] when the connectors cannot be read.
    pub fn start(settings: WorkerSettings, deps: Dependencies) -> Result<Self, WorkerError> {
        let reading = |step| {
            move |source| WorkerError::Store {
                step,
                name: "all".into(),
                source,
            }
        };
        let stored = deps.store.connectors();
        let stored = stored.map_err(reading("reading the connectors"))?;
        let editions = deps.store.editions();
        let mut editions = editions.map_err(reading("reading the versions in use"))?;
        let quarantine = Quarantine::open(deps.store.clone());
        let quarantine = quarantine.map_err(reading("reading the quarantine"))?;
        let runtime = Handle::current();
        let shared = Arc::new(Shared {
            settings,
            deps,
            quarantine,
            runtime,
        });
        let worker = Self(Arc::new(Inner {
            shared,
            connectors: RwLock::new(BTreeMap::new()),
            names: Mutex::new(HashMap::new()),
            closing: AtomicBool::new(false),
            reloading: tokio::sync::Mutex::default(),
        }));
        for connector in stored {
            let edition = editions.remove(&connector.name).unwrap_or_default();
            worker.restore(connector, edition);
        }
        worker.offer_soon();
        Ok(worker)
    }

    /// This worker's name.
    pub fn id(&self) -> &str {
        &self.0.shared.settings.id
    }

    /// Creates a connector or changes its configuration.
    ///
    /// # Errors
    /// Every [`WorkerError`]; nothing has changed then.
    pub async fn put_connector(
        &self,
        name: &str,
        config: BTreeMap<String, String>,
    ) -> Result<Put, WorkerError> {
        spec::name::check_name(name)?;
        let lock = self.lock(name);
        let _held = lock.lock().await;
        self.open()?;
        let known = self.entry(name);
        if known.as_ref().is_some_and(|entry| *entry.config == config) {
            return Err(WorkerError::Conflict { name: name.into() });
        }
        // a change of configuration is none of the plugin's version
        let in_use = known.as_ref().map(Entry::trusted).unwrap_or_default();
        let spec = self
            .parse(name, &config, &in_use)
            .map_err(|problems| WorkerError::Invalid {
                name: name.into(),
                problems,
            })?;
        let spec = Arc::new(spec);
        // the same version as before has what it had; another one was asked for by name
        let plan = plan(&self.0.shared, spec.clone(), Within::Grants)
            .await
            .map_err(|error| error.for_request(name))?;
        if !matches!(spec.flow, Flow::Direct { .. }) {
            self.ask_broker(name).await?;
        }
        // the checks take time, in which the worker may have begun to stop
        self.open()?;
        let target = known.as_ref().map_or(Target::Running, |entry| entry.target);
        let created = known.as_ref().map_or_else(now, |entry| entry.created);
        let stored = StoredConnector {
            name: name.to_owned(),
            config: config.clone(),
            secret_keys: spec.secrets.clone(),
            target,
            created,
        };
        let storing = |source| WorkerError::Store {
            step: "writing the configuration",
            name: name.into(),
            source,
        };
        self.0
            .shared
            .deps
            .store
            .put_connector(stored)
            .await
            .map_err(storing)?;

        let warnings = spec.warnings.clone();
        let running = known.as_ref().and_then(|entry| entry.connector.clone());
        if let Some(connector) = running {
            if connector.replace(plan).await {
                let entry = Entry {
                    config: Arc::new(config),
                    target,
                    created,
                    board: connector.board.clone(),
                    connector: Some(connector),
                };
                self.entries_mut(|entries| entries.insert(name.to_owned(), entry));
            } else {
                // its supervisor is gone, and the plan with it: another makes it again
                self.install(name, || self.begin(spec, None, target, created, None));
            }
        } else {
            self.install(name, || self.begin(spec, Some(plan), target, created, None));
        }
        tracing::info!(
            connector = name,
            "the connector's configuration is in place"
        );
        Ok(Put {
            created: known.is_none(),
            warnings,
        })
    }

    /// Stops a connector and forgets it, its positions and its offsets.
    ///
    /// # Errors
    /// [`WorkerError::NotFound`], [`WorkerError::Store`]; the connector goes on then.
    pub async fn delete_connector(&self, name: &str) -> Result<(), WorkerError> {
        let lock = self.lock(name);
        let _held = lock.lock().await;
        self.open()?;
        let entry = self
            .entry(name)
            .ok_or_else(|| WorkerError::NotFound { name: name.into() })?;
        if let Some(connector) = &entry.connector {
            connector.stop(Duration::from_secs(30)).await;
        }
        let storing = |source| WorkerError::Store {
            step: "removing the connector",
            name: name.into(),
            source,
        };
        // stopped first: a task that still ran would store positions of a connector that is gone
        let deleted = self.0.shared.deps.store.delete_connector(name, true).await;
        if let Err(error) = deleted {
            self.revive(name, entry.target, "the store did not delete it");
            return Err(storing(error));
        }
        self.entries_mut(|entries| entries.remove(name));
        tracing::info!(connector = name, "the connector is deleted");
        Ok(())
    }

    /// Drains a connector's tasks and keeps them from working until it is resumed.
    ///
    /// # Errors
    /// [`WorkerError::NotFound`], [`WorkerError::Store`].
    pub async fn pause(&self, name: &str) -> Result<(), WorkerError> {
        self.set_target(name, Target::Paused).await
    }

    /// Lets a connector work again; tasks that had failed for good are tried again too.
    ///
    /// # Errors
    /// [`WorkerError::NotFound`], [`WorkerError::Store`].
    pub async fn resume(&self, name: &str) -> Result<(), WorkerError> {
        self.set_target(name, Target::Running).await
    }

    async fn set_target(&self, name: &str, target: Target) -> Result<(), WorkerError> {
        let lock = self.lock(name);
        let _held = lock.lock().await;
        self.open()?;
        let entry = self
            .entry(name)
            .ok_or_else(|| WorkerError::NotFound { name: name.into() })?;
        let storing = |source| WorkerError::Store {
            step: "writing the target state",
            name: name.into(),
            source,
        };
        self.0
            .shared
            .deps
            .store
            .set_target(name, target)
            .await
            .map_err(storing)?;
        if let Some(connector) = &entry.connector {
            let obeyed = match target {
                Target::Paused => connector.pause().await,
                Target::Running => connector.resume().await,
            };
            if !obeyed {
                self.revive(name, target, "it had no supervisor any more");
            }
        }
        self.entries_mut(|entries| {
            if let Some(entry) = entries.get_mut(name) {
                entry.target = target;
            }
        });
        Ok(())
    }

    /// All connectors by name.
    pub fn connectors(&self) -> Vec<ConnectorInfo> {
        let boards: Vec<Arc<Board>> =
            self.entries(|entries| entries.values().map(|entry| entry.board.clone()).collect());
        boards.iter().map(|board| board.read()).collect()
    }

    /// One connector.
    pub fn connector(&self, name: &str) -> Option<ConnectorInfo> {
        self.entry(name).map(|entry| entry.board.read())
    }

    /// Whether the worker can take up work now.
    pub async fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.0.closing.load(Ordering::Acquire) {
            reasons.push("the worker is shutting down".to_owned());
        }
        match tokio::time::timeout(BROKER_ANSWER, self.0.shared.deps.broker.check()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => reasons.push(format!("the broker cannot be reached: {error}")),
            Err(_) => reasons.push("the broker does not answer".to_owned()),
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
        }
    }

    /// Drains and ends all connectors, by force after `deadline`, then leaves the broker.
    pub async fn shutdown(&self, deadline: Duration) {
        self.0.closing.store(true, Ordering::Release);
        let connectors: Vec<Connector> = self.entries(|entries| {
            entries
                .values()
                .filter_map(|entry| entry.connector.clone())
                .collect()
        });
        let stops =
            futures::future::join_all(connectors.iter().map(|connector| connector.stop(deadline)));
        // a supervisor that is busy planning cannot hear the order; its tasks end with the process
        if tokio::time::timeout(deadline + BROKER_ANSWER, stops)
            .await
            .is_err()
        {
            tracing::warn!(
                "some connectors did not end in time; what they had not committed comes again"
            );
        }
        self.0.shared.deps.broker.close().await;
    }

    /// Plugins with the digests `prefer` are taken before newer ones.
    fn parse(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
        prefer: &[String],
    ) -> Result<Spec, Vec<String>> {
        self.parse_keeping(name, config, prefer, prefer)
    }

    /// As [`Self::parse`]; those with the digests `keep` run well here, whatever became of them
    /// elsewhere.
    fn parse_keeping(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
        prefer: &[String],
        keep: &[String],
    ) -> Result<Spec, Vec<String>> {
        let quarantine = &self.0.shared.quarantine;
        self.parse_avoiding(name, config, prefer, &|plugin| {
            let digest = plugin.digest();
            !keep.iter().any(|kept| kept == digest) && quarantine.reason(digest).is_some()
        })
    }

    fn parse_avoiding(
        &self,
        name: &str,
        config: &BTreeMap<String, String>,
        prefer: &[String],
        avoid: &dyn Fn(&Plugin) -> bool,
    ) -> Result<Spec, Vec<String>> {
        let settings = &self.0.shared.settings;
        let defaults = spec::Defaults {
            key: &settings.key_converter,
            value: &settings.value_converter,
        };
        let choice = spec::Choice {
            catalogue: &self.0.shared.deps.plugins.catalogue(),
            prefer,
            avoid,
        };
        spec::parse(name, config, &choice, &defaults)
    }

    async fn ask_broker(&self, name: &str) -> Result<(), WorkerError> {
        let reason =
            match tokio::time::timeout(BROKER_ANSWER, self.0.shared.deps.broker.check()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", BROKER_ANSWER.as_secs()),
            };
        Err(WorkerError::Unavailable {
            name: name.into(),
            reason,
        })
    }

    fn open(&self) -> Result<(), WorkerError> {
        if self.0.closing.load(Ordering::Acquire) {
            Err(WorkerError::ShuttingDown)
        } else {
            Ok(())
        }
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        // names nobody is busy with need no lock of their own any more
        names.retain(|_, lock| Arc::strong_count(lock) > 1);
        names.entry(name.to_owned()).or_default().clone()
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        self.entries(|entries| entries.get(name).cloned())
    }

    fn entries<T>(&self, act: impl FnOnce(&BTreeMap<String, Entry>) -> T) -> T {
        act(&self
            .0
            .connectors
            .read()
            .unwrap_or_else(PoisonError::into_inner))
    }

    fn entries_mut<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Entry>) -> T) -> T {
        act(&mut self
            .0
            .connectors
            .write()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

fn digests(plugins: Vec<PluginInUse>) -> Vec<String> {
    plugins.into_iter().map(|plugin| plugin.digest).collect()
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
