//! The client library's runtime, which all sessions of one adaptor share, and the way out of it.
//!
//! Clients never end in the caller's time: they are told to go and waited for only when everything
//! closes.

use super::settings::RocketMqSettings;
use crate::error::BrokerError;
use rocketmq_client_rust::{
    AclClientRPCHook, ClientConfig, ClientError, ClientInstanceHandle, ClientRpcHook,
    ClientRuntime, ClientRuntimeConfig, SessionCredentials,
};
use rocketmq_observability::TelemetryHandle;
use rocketmq_runtime::RuntimeContext;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time for clients to go when everything closes.
const CLOSE_WITHIN: Duration = Duration::from_millis(700);

/// What every session of one [`RocketMq`](crate::RocketMq) shares.
pub(super) struct Clients {
    runtime: Arc<ClientRuntime>,
    context: RuntimeContext,
    hook: Option<Arc<ClientRpcHook>>,
    namesrv: String,
    name: String,
    /// Numbers instances: two clients of one id would end each other's connection.
    next: AtomicU64,
    closed: CancellationToken,
    /// Clients on their way out.
    leaving: TaskTracker,
    tokio: Handle,
    pub(super) request_timeout: Duration,
}

impl Clients {
    pub(super) fn new(settings: &RocketMqSettings) -> Result<Arc<Self>, BrokerError> {
        let namesrv = settings.name_servers()?.join(";");
        let hook = settings.credentials()?.map(|(access, secret)| {
            let credentials = SessionCredentials::with_keys(access, secret);
            Arc::new(AclClientRPCHook::new(credentials)) as Arc<ClientRpcHook>
        });
        let cannot = |reason: String| BrokerError::Setting {
            key: "client",
            reason,
        };
        let tokio = Handle::try_current()
            .map_err(|_| cannot("must be made inside a tokio runtime".to_owned()))?;
        let context = RuntimeContext::from_current("rocketmq-connect");
        let runtime = ClientRuntime::try_new(
            context.service_context("broker-client"),
            ClientRuntimeConfig::default(),
            TelemetryHandle::noop(),
        )
        .map_err(|error| cannot(error.to_string()))?;
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Arc::new(Self {
            runtime,
            context,
            hook,
            namesrv,
            name: format!(
                "{}-{}-{:x}",
                settings.client_name,
                std::process::id(),
                started.as_nanos()
            ),
            next: AtomicU64::new(1),
            closed: CancellationToken::new(),
            leaving: TaskTracker::new(),
            tokio,
            request_timeout: settings.request_timeout,
        }))
    }

    /// Cancelled when everything closes.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Runs something on the runtime on which the connections live.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tokio.spawn(future)
    }

    /// A configuration that no other instance in the world has.
    pub(super) fn instance_config(&self) -> Result<(u64, ClientConfig), ClientError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut config = ClientConfig::builder()
            .namesrv_addr(self.namesrv.as_str())
            .client_ip("127.0.0.1")
            .build()?;
        config.set_instance_name(format!("{}-{number}", self.name).into());
        Ok((number, config))
    }

    /// A handle of the instance with this configuration, not started yet.
    pub(super) fn handle(
        &self,
        number: u64,
        config: ClientConfig,
    ) -> Result<ClientInstanceHandle, ClientError> {
        ClientInstanceHandle::get_or_create(&self.runtime, number, config, self.hook.clone())
    }

    /// Lets clients go, in the background.
    pub(super) fn leave(&self, handles: Vec<ClientInstanceHandle>) {
        if handles.is_empty() {
            return;
        }
        let leaving = async move {
            for handle in handles {
                handle.shutdown_owned().await;
            }
        };
        drop(self.leaving.spawn_on(Box::pin(leaving), &self.tokio));
    }

    /// Waits for the clients that leave, at most [`CLOSE_WITHIN`], then ends what is left.
    pub(super) async fn close(&self) {
        self.leaving.close();
        if tokio::time::timeout(CLOSE_WITHIN, self.leaving.wait())
            .await
            .is_err()
        {
            tracing::debug!("rocketmq clients did not close in time and are dropped");
        }
        let ending = async {
            drop(self.runtime.shutdown().await);
            drop(
                self.context
                    .shutdown_tasks(Duration::from_millis(100))
                    .await,
            );
        };
        if tokio::time::timeout(Duration::from_millis(200), Box::pin(ending))
            .await
            .is_err()
        {
            tracing::debug!("rocketmq client tasks did not end in time and are dropped");
        }
    }
}
