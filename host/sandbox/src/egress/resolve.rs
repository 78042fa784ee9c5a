//! From names to addresses. Says what the resolver says; whether an address is fit to connect to is
//! decided by whoever asked.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use futures::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

/// Look-ups at once of the whole worker. Each holds a thread for as long as the system's resolver
/// takes, which nobody can cut short.
const LOOK_UPS: usize = 64;

/// Looks names up.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of `name`, which is a host name in lower case. Lasts until nothing works on it any
    /// more: an instance may have only so many at a time.
    ///
    /// # Errors
    /// Of the kind [`io::ErrorKind::ResourceBusy`] when there are too many look-ups at once, of any
    /// other when the name was not resolved.
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system, with its files and search domains.
#[derive(Debug)]
pub struct SystemResolver {
    running: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(LOOK_UPS)),
        }
    }
}

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        // The permit goes with the thread and not with whoever waits for it.
        let permit = Arc::clone(&self.running).try_acquire_owned();
        let name = name.to_owned();
        Box::pin(async move {
            let permit = permit.map_err(|_| {
                let words = format!("{LOOK_UPS} look-ups at once are the most");
                io::Error::new(io::ErrorKind::ResourceBusy, words)
            })?;
            let (done, found) = oneshot::channel();
            let look_up = move || {
                let _permit = permit;
                let found = (name.as_str(), 0).to_socket_addrs();
                let addresses = found.map(|found| found.map(|address| address.ip()).collect());
                // Whoever asked may not wait any more.
                drop(done.send(addresses));
            };
            // A thread of its own, so that a resolver that does not answer holds up no file; begun by
            // a task of its own, which never runs in the idle lane.
            let thread = thread::Builder::new().name("look-up".to_owned());
            let begun = tokio::spawn(async move { thread.spawn(look_up).map(drop) });
            begun.await.map_err(io::Error::other)??;
            found.await.map_err(io::Error::other)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_this_machine_and_look_ups_are_bounded() {
        let resolver = SystemResolver::default();
        let found = resolver.resolve("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty());
        let all = Arc::clone(&resolver.running);
        let held = all.acquire_many_owned(LOOK_UPS as u32).await.unwrap();
        let error = resolver.resolve("localhost").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}");
        drop(held);
        resolver.resolve("localhost").await.unwrap();
    }
}
