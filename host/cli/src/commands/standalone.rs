//! `rocketmq-connect standalone`: a worker on its own, from its configuration to its end.
//!
//! The order of the start is chosen so that what cannot work is said early and changes nothing:
//! address, store, plugins, broker, connectors. The end is the other way round.

use crate::config::{BrokerSettings, Remote, Settings};
use crate::failure::Failure;
use crate::output::print;
use crate::runtimes::Runtimes;
use crate::signals::Signals;
use anyhow::{Context as _, anyhow};
use connect_broker::{BrokerError, RocketMq, RocketMqSettings};
use connect_broker_embedded::{EmbeddedBroker, EmbeddedSettings};
use connect_plugins::{Catalogue, Registry, Watch};
use connect_runtime::{Dependencies, LimitLevels, Worker, WorkerSettings};
use connect_sandbox::{Compiler, Sandbox, SandboxSettings};
use connect_server::{Server, ServerSettings};
use connect_store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Runs a worker until a signal comes.
///
/// # Errors
/// It cannot start, or was told twice to stop.
pub(crate) fn run(settings: Settings) -> Result<(), Failure> {
    for warning in &settings.warnings {
        tracing::warn!("configuration: {warning}");
    }
    let runtimes = Runtimes::start().context("cannot start the threads")?;
    let result = runtimes.worker.block_on(work(settings, &runtimes));
    runtimes.leave();
    result
}

async fn work(settings: Settings, runtimes: &Runtimes) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let starting = start(settings, runtimes);
    let running = tokio::select! {
        running = starting => running?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(());
        }
    };
    print(&format!(
        "ready rest {} namesrv {}",
        running.rest.address, running.namesrv
    ))
    .context("cannot say on standard output that the worker is ready")?;
    let signal = signals.next().await;
    tracing::info!(signal, "stopping");
    tokio::select! {
        () = running.stop() => Ok(()),
        signal = signals.next() => {
            Err(anyhow!("a second signal ({signal}) came before the worker had stopped; what it had not stored comes again").into())
        }
    }
}

/// A worker and what belongs to it.
struct Running {
    worker: Worker,
    rest: Rest,
    embedded: Option<EmbeddedBroker>,
    namesrv: String,
    /// Closed last.
    store: Store,
    deadline: Duration,
}

/// REST, answering on its own threads.
struct Rest {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(settings: Settings, runtimes: &Runtimes) -> Result<Running, Failure> {
    let listening = listen(&settings, runtimes).await?;
    let directory = settings.directory.clone();
    // Reads the whole file, so not on this runtime's threads.
    let store = tokio::task::spawn_blocking(move || Store::open(&directory)).await??;
    let (plugins, watch) = plugins(&settings, runtimes).await?;
    let (broker, embedded, namesrv) = broker(&settings).await?;
    let deadline = settings.shutdown_deadline;
    let worker = Worker::start(
        WorkerSettings {
            id: settings.id,
            key_converter: settings.key_converter,
            value_converter: settings.value_converter,
            grants: settings.grants.into(),
            limits: settings.limits,
            tuning: settings.tuning,
            restart: settings.restart,
            reload: settings.reload.trial,
        },
        Dependencies {
            broker: Arc::new(broker),
            store: store.clone(),
            plugins,
            guests: runtimes.lanes.clone(),
        },
    )?;
    let rest = answer(listening, worker.clone(), runtimes);
    if let Some(watch) = watch {
        runtimes.worker.spawn(follow(watch, worker.clone()));
    }
    Ok(Running {
        worker,
        rest,
        embedded,
        namesrv,
        store,
        deadline,
    })
}

/// Takes the address, so that a second worker is noticed before anything else happens.
async fn listen(settings: &Settings, runtimes: &Runtimes) -> Result<Server, Failure> {
    let server = ServerSettings {
        listen: settings.rest.listen,
        hosts: settings.rest.hosts.clone(),
        upload_bytes: settings
            .reload
            .upload
            .then(|| usize::try_from(settings.plugin_bytes).unwrap_or(usize::MAX)),
        ..ServerSettings::default()
    };
    Ok(runtimes.rest.spawn(connect_server::bind(server)).await??)
}

fn answer(server: Server, worker: Worker, runtimes: &Runtimes) -> Rest {
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = runtimes.rest.spawn(async move {
        let stopped = async move {
            // Dropped without a word, as when this process ends early, it means the same.
            drop(stopped.await);
        };
        server.run(worker, stopped).await;
    });
    Rest {
        address,
        stop,
        ended,
    }
}

/// Loads every plugin that can be loaded, and says what is wrong with the others. The watch begins
/// before that, so that nothing that comes meanwhile is missed.
async fn plugins(
    settings: &Settings,
    runtimes: &Runtimes,
) -> Result<(Arc<Registry>, Option<Watch>), Failure> {
    let sandbox = Sandbox::new(SandboxSettings {
        code_cache: Some(
            settings
                .code_cache
                .clone()
                .unwrap_or_else(|| settings.directory.join("code")),
        ),
        compiler: Compiler::Child(settings.compiler.clone()),
        max_component_bytes: settings.plugin_bytes,
        defaults: settings.limits.worker.clone(),
        plugins: settings.limits.plugins.clone(),
        ..SandboxSettings::default()
    })?;
    let directories: Vec<PathBuf> = settings.plugins.clone();
    let watch = if settings.reload.watch {
        let watch = Watch::begin(&directories);
        watch
            .inspect_err(|error| {
                tracing::warn!(
                    error = Failure::from(anyhow!("{error}")).text(),
                    "new versions of plugins are not noticed; ask for a reload by REST"
                );
            })
            .ok()
    } else {
        None
    };
    let registry = Arc::new(Registry::new(sandbox, directories));
    tracing::info!("loading plugins; those that are new are compiled first");
    // Describing itself is the first thing a plugin does, so on the guests' threads.
    let loading = Arc::clone(&registry);
    let loaded = runtimes.lanes.spawn(async move { loading.reload().await });
    for problem in loaded.await?.problems {
        // with its causes: the reason is what someone who put the file there needs
        tracing::error!("plugins: {}", Failure::from(problem).text());
    }
    let catalogue = registry.catalogue();
    tracing::info!(plugins = catalogue.list().len(), "plugins loaded");
    for name in unknown(&settings.limits, &catalogue) {
        tracing::warn!("configuration: there is no plugin for [limits.plugin.\"{name}\"]");
    }
    Ok((registry, watch))
}

/// Reloads plugins whenever their files have changed, until the worker stops.
async fn follow(watch: Watch, worker: Worker) {
    loop {
        watch.settled().await;
        if let Err(error) = worker.reload().await {
            tracing::debug!(%error, "plugin files are not followed any more");
            return;
        }
    }
}

/// Plugins that have limits of their own but are not there.
fn unknown<'a>(limits: &'a LimitLevels, catalogue: &Catalogue) -> Vec<&'a str> {
    let listed = catalogue.list();
    let is_known = |name: &str| {
        let mut listed = listed.iter();
        listed.any(|it| it.plugin.description().name == name)
    };
    let names = limits.plugins.keys().map(String::as_str);
    names.filter(|name| !is_known(name)).collect()
}

async fn broker(
    settings: &Settings,
) -> Result<(RocketMq, Option<EmbeddedBroker>, String), Failure> {
    match &settings.broker {
        BrokerSettings::Remote(remote) => {
            let broker = connect(remote, &settings.id)?;
            // One word of the ready line, however it was written.
            let namesrv = remote.namesrv.split_whitespace().collect();
            Ok((broker, None, namesrv))
        }
        BrokerSettings::Embedded(embedded) => {
            let begun = Instant::now();
            let started = EmbeddedBroker::start(EmbeddedSettings {
                namesrv_port: embedded.namesrv_port,
                broker_port: embedded.broker_port,
                ..EmbeddedSettings::new(&embedded.directory)
            })
            .await?;
            tracing::info!(ms = begun.elapsed().as_millis(), "the embedded broker runs");
            let namesrv = started.namesrv_address();
            let remote = Remote {
                namesrv: namesrv.clone(),
                ..Remote::default()
            };
            let broker = connect(&remote, &settings.id)?;
            Ok((broker, Some(started), namesrv))
        }
    }
}

/// Works with a broker that is away; it is looked for when it is needed.
fn connect(remote: &Remote, id: &str) -> Result<RocketMq, Failure> {
    let settings = RocketMqSettings {
        cluster: remote.cluster.clone(),
        access_key: remote.access_key.clone(),
        secret_key: remote.secret_key.clone(),
        request_timeout: remote.request_timeout,
        ..RocketMqSettings::new(&remote.namesrv, id)
    };
    RocketMq::connect(settings).map_err(|error| match error {
        BrokerError::Setting { .. } => Failure::configuration(error.to_string()),
        other => other.into(),
    })
}

impl Running {
    /// Stops in good order: connectors first, while REST still tells how it goes, the embedded
    /// broker last.
    async fn stop(self) {
        let begun = Instant::now();
        self.worker.shutdown(self.deadline).await;
        // Should REST have ended already, there is nobody to tell.
        self.rest.stop.send(()).unwrap_or(());
        if self.rest.ended.await.is_err() {
            tracing::error!("REST ended by a panic");
        }
        drop(self.worker);
        drop(self.store);
        tracing::info!(ms = begun.elapsed().as_millis(), "the worker has stopped");
        if let Some(embedded) = self.embedded {
            let begun = Instant::now();
            embedded.shutdown().await;
            tracing::info!(
                ms = begun.elapsed().as_millis(),
                "the embedded broker has stopped"
            );
        }
    }
}
