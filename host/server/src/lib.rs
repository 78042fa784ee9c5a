//! REST of a worker: the Java project's routes, its JSON, and real status codes.
//!
//! Everything here asks a [`Worker`] and words its answers. Must never decide anything about
//! connectors, keep state between requests, or show a value the worker has redacted.
//!
//! ```no_run
//! # async fn example(worker: connect_runtime::Worker) -> Result<(), connect_server::ServerError> {
//! use connect_server::{ServerSettings, bind};
//!
//! let server = bind(ServerSettings::default()).await?;
//! println!("http://{}", server.local_addr());
//! server.run(worker, async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await;
//! # Ok(())
//! # }
//! ```

mod cluster;
mod config;
mod connectors;
mod envelope;
mod error;
mod guard;
mod health;
mod metrics;
mod plugins;
mod routes;
mod serve;
mod shapes;
mod swaps;
#[cfg(test)]
mod tests;
mod usage;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use connect_runtime::Worker;
use tokio::net::TcpListener;

pub use error::ServerError;

/// Where the server listens and what it puts up with.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Address and port; port 0 takes a free one. Default 127.0.0.1:8082. There is no
    /// authentication: whoever reaches this address rules the worker.
    pub listen: SocketAddr,
    /// On a loopback address, names besides `localhost` by which clients may call this server,
    /// without port. Default none.
    pub hosts: Vec<String>,
    /// Largest request body in bytes. Default 1 MiB.
    pub body_bytes: usize,
    /// Whether plugins may be sent here, and how large they may be, in bytes. Default none.
    pub upload_bytes: Option<usize>,
    /// A request is answered within this time, be it with 503. Default 60 s.
    pub answer_within: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)),
            hosts: Vec::new(),
            body_bytes: 1 << 20,
            upload_bytes: None,
            answer_within: Duration::from_secs(60),
        }
    }
}

/// A server whose address is taken and that does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: ServerSettings,
}

/// Takes the address.
///
/// # Errors
/// [`ServerError::Bind`] when it is in use or not ours.
pub async fn bind(settings: ServerSettings) -> Result<Server, ServerError> {
    let listen = settings.listen;
    let refuse = |source| ServerError::Bind { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    Ok(Server {
        listener,
        address,
        settings,
    })
}

impl Server {
    /// The address as it is, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` resolves; requests under way then get one more second.
    /// Changes that a request began go on regardless.
    pub async fn run(self, worker: Worker, shutdown: impl Future<Output = ()>) {
        let router = routes::routes(worker, &self.settings);
        serve::serve(self.listener, router, shutdown).await;
    }
}
