//! A RocketMQ name server and broker inside this process, for the quickstart, tests, development
//! and small single nodes; not a production store.
//!
//! The only crate that depends on them. Must not know the worker: it offers addresses, and the
//! worker connects as to any other cluster. Everything it writes lies in the directory it is given.
//!
//! The futures of these libraries are huge; all public ones here are boxed, and this crate should
//! change seldom.
#![recursion_limit = "512"]

mod broker;
mod config;
mod disk;
mod error;
mod name_server;
mod ports;

pub use broker::BrokerNode;
pub use config::EmbeddedSettings;
pub use error::EmbeddedError;
pub use name_server::NameServer;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How long tasks that did not end by themselves are waited for.
pub(crate) const TASKS_END_WITHIN: Duration = Duration::from_secs(5);

/// A name server and a broker that registers at it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    name_server: NameServer,
    node: BrokerNode,
}

impl EmbeddedBroker {
    /// Starts both on the tokio runtime of the caller; resolves when the broker takes messages and
    /// the name server knows it. Starting on a directory that was used before goes on with what it
    /// holds.
    ///
    /// # Errors
    /// [`EmbeddedError::PortInUse`] names the port, [`EmbeddedError::Directory`] and
    /// [`EmbeddedError::DiskFull`] the path. Nothing is left running.
    pub fn start(
        settings: EmbeddedSettings,
    ) -> BoxFuture<'static, Result<EmbeddedBroker, EmbeddedError>> {
        Box::pin(async move {
            // All ports before anything is started: a message about the second one after the
            // first service has run would come late.
            settings.check_ports().await?;
            settings.check_disk()?;
            let name_server = NameServer::start(settings.clone()).await?;
            match BrokerNode::start(settings, name_server.address()).await {
                Ok(node) => Ok(EmbeddedBroker { name_server, node }),
                Err(error) => {
                    name_server.shutdown().await;
                    Err(error)
                }
            }
        })
    }

    /// The name server's address, `host:port`.
    #[must_use]
    pub fn namesrv_address(&self) -> String {
        self.name_server.address()
    }

    /// The broker's address, `host:port`.
    #[must_use]
    pub fn broker_address(&self) -> String {
        self.node.address()
    }

    /// Stops both and waits for it, the broker first; what was stored is on disk afterwards.
    ///
    /// Dropping without this leaves them running until the runtime ends, and the next start on the
    /// same directory recovers as after a crash.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.node.shutdown().await;
            self.name_server.shutdown().await;
        })
    }
}
