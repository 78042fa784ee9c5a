//! The name server. Keeps no state worth keeping: brokers register again after a restart.

use crate::config::EmbeddedSettings;
use crate::error::EmbeddedError;
use crate::{BoxFuture, TASKS_END_WITHIN};
use rocketmq_namesrv::NamesrvConfig;
use rocketmq_namesrv::bootstrap::Builder;
use rocketmq_observability::TelemetryHandle;
use rocketmq_runtime::RuntimeContext;
use rocketmq_transport::api::ServerConfig;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long the name server may take to listen.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// A name server on its own, for a cluster whose broker lives elsewhere.
pub struct NameServer {
    address: SocketAddr,
    context: RuntimeContext,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl NameServer {
    /// Starts a name server at `bind` and `namesrv_port` of the settings; resolves when it listens.
    ///
    /// # Errors
    /// [`EmbeddedError::PortInUse`], or [`EmbeddedError::Start`] with what it says itself.
    pub fn start(
        settings: EmbeddedSettings,
    ) -> BoxFuture<'static, Result<NameServer, EmbeddedError>> {
        Box::pin(run(settings))
    }

    /// Its address, `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Stops it and waits for its end.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // It may have ended by itself, then nobody listens any more.
            if self.stop.send(()).is_err() {
                tracing::warn!("the embedded name server had ended before it was stopped");
            }
            match self.task.await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => tracing::warn!(%reason, "the embedded name server failed"),
                Err(error) => tracing::warn!(%error, "the embedded name server failed"),
            }
            drop(self.context.shutdown_tasks(TASKS_END_WITHIN).await);
        })
    }
}

impl std::fmt::Debug for NameServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn run(settings: EmbeddedSettings) -> Result<NameServer, EmbeddedError> {
    settings.check_name_server_port().await?;
    let directory = settings.make_directory("namesrv")?;
    let inside = |name: &str| directory.join(name).display().to_string();
    let context = RuntimeContext::from_current("embedded-name-server");
    let server = Builder::new(context.service_context("namesrv"), TelemetryHandle::noop())
        .set_name_server_config(NamesrvConfig {
            rocketmq_home: directory.display().to_string(),
            kv_config_path: inside("kv.json"),
            config_store_path: inside("namesrv.properties"),
            ..NamesrvConfig::default()
        })
        .set_server_config(ServerConfig {
            listen_port: u32::from(settings.namesrv_port),
            bind_address: settings.bind.to_string(),
            ..ServerConfig::default()
        })
        .build();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = Box::pin(async move {
        // Also stops when the sender is dropped.
        let until = async move { drop(stopped.await) };
        server
            .boot_with_shutdown(until)
            .await
            .map_err(|error| error.to_string())
    });
    let task = tokio::spawn(running);
    let address = SocketAddr::new(settings.bind, settings.namesrv_port);
    let server = NameServer {
        address,
        context,
        stop,
        task,
    };
    let deadline = Instant::now() + UP_WITHIN;
    while TcpStream::connect(address).await.is_err() {
        if server.task.is_finished() || Instant::now() >= deadline {
            return Err(failed(server).await);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(server)
}

async fn failed(server: NameServer) -> EmbeddedError {
    let reason = if server.task.is_finished() {
        match server.task.await {
            Ok(Ok(())) => "it ended at once".to_owned(),
            Ok(Err(reason)) => reason,
            Err(error) => error.to_string(),
        }
    } else {
        server.task.abort();
        format!("it does not listen after {} s", UP_WITHIN.as_secs())
    };
    EmbeddedError::Start {
        role: "name server",
        source: reason.into(),
    }
}
