//! The broker.

use crate::config::EmbeddedSettings;
use crate::error::EmbeddedError;
use crate::{BoxFuture, TASKS_END_WITHIN};
use rocketmq_broker::config::raw::RawBrokerConfig;
use rocketmq_broker::config::validated::ValidatedBrokerConfig;
use rocketmq_broker::{BrokerBootstrap, Builder, Running};
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::RuntimeContext;
use std::net::SocketAddr;

/// A broker on its own, for a cluster whose name server lives elsewhere.
pub struct BrokerNode {
    address: SocketAddr,
    context: RuntimeContext,
    // Boxed: it is large, and would be moved with every move of this.
    broker: Box<BrokerBootstrap<Running>>,
}

impl BrokerNode {
    /// Starts a broker that registers at `namesrv` (`host:port`); resolves when it takes messages.
    ///
    /// # Errors
    /// [`EmbeddedError::PortInUse`] for one of its three ports, [`EmbeddedError::Directory`], or
    /// [`EmbeddedError::Start`] with what it says itself.
    pub fn start(
        settings: EmbeddedSettings,
        namesrv: String,
    ) -> BoxFuture<'static, Result<BrokerNode, EmbeddedError>> {
        Box::pin(run(settings, namesrv))
    }

    /// Its address, `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Stops it; what was stored is on disk afterwards.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            Box::pin((*self.broker).shutdown()).await;
            drop(self.context.shutdown_tasks(TASKS_END_WITHIN).await);
        })
    }
}

impl std::fmt::Debug for BrokerNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerNode")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn run(settings: EmbeddedSettings, namesrv: String) -> Result<BrokerNode, EmbeddedError> {
    settings.check_broker_ports().await?;
    settings.check_disk()?;
    let path = settings.write_broker_file(&namesrv)?;
    let config = match RawBrokerConfig::load(&path).and_then(ValidatedBrokerConfig::try_from) {
        Ok(config) => config,
        Err(source) => {
            return Err(EmbeddedError::Configuration {
                path,
                source: source.into(),
            });
        }
    };
    let context = RuntimeContext::from_current("embedded-broker");
    let failed = |source: rocketmq_broker::BrokerStartupError| EmbeddedError::Start {
        role: "broker",
        source: source.into(),
    };
    let broker = Builder::new(
        context.service_context("broker"),
        TelemetryRuntimeGuard::noop(),
    )
    .with_validated_config(config)
    .build();
    let broker = Box::pin(broker.initialize()).await.map_err(failed)?;
    let broker = Box::pin(broker.start()).await.map_err(failed)?;
    let address = SocketAddr::new(settings.bind, settings.broker_port);
    Ok(BrokerNode {
        address,
        context,
        broker: Box::new(broker),
    })
}
