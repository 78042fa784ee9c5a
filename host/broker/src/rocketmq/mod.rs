//! The adaptor over `rocketmq-client-rust`, for the Java and the Rust broker.
//!
//! Requests are RocketMQ's own remoting commands, sent through the client's connections. The
//! client's producer and admin facades are not used: they hide the broker's words and codes behind
//! redacted errors, retry by themselves, and block an address for 30 s after five failures. What
//! the facades would do beyond is done here, one subject to a file:
//!
//! - [`link`]: is an endpoint there; [`session`]: the connections to it; [`clients`]: the library
//! - [`name_servers`] and [`routes`]: which queues there are and where
//! - [`send`] with [`encode`], [`pull`] with [`decode`] and [`ends`]
//! - [`topics`] with [`names`]; [`admin`]: groups, reachability; [`offsets`]: bounds and group offsets
//! - [`errors`]: what a response code means

mod admin;
mod body;
mod clients;
mod decode;
mod encode;
mod ends;
mod errors;
mod ids;
mod link;
mod messages;
mod name_servers;
mod names;
mod offsets;
mod pull;
mod routes;
mod send;
mod session;
mod settings;
mod sync;
mod topics;

pub(crate) use encode::is_reserved_property;
pub use messages::{Messages, Unreadable};
pub use settings::RocketMqSettings;

use crate::error::BrokerError;
use crate::message::{Outgoing, Pulled};
use crate::traits::{BoxFuture, Broker};
use clients::Clients;
use connect_record::Queue;
use ends::Ends;
use link::Link;
use name_servers::NameServers;
use offsets::Commits;
use routes::Routes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sync::lock;

/// A RocketMQ cluster, found through its name servers.
///
/// Every connection is made when it is first needed, so a cluster that is away at the start is
/// used when it comes. [`Broker::close`] should be called at the end; dropping lets the
/// connections end by themselves.
pub struct RocketMq {
    cluster: Option<String>,
    clients: Arc<Clients>,
    names: NameServers,
    routes: Routes,
    /// The way to each broker, by address.
    links: Mutex<HashMap<String, Arc<Link>>>,
    ends: Ends,
    commits: Commits,
}

impl RocketMq {
    /// Prepares to use a cluster; connects to nothing yet. Must be called inside a tokio runtime,
    /// on which the connections live from then on.
    ///
    /// # Errors
    /// [`BrokerError::Setting`] for settings that cannot work.
    pub fn connect(settings: RocketMqSettings) -> Result<Self, BrokerError> {
        let addresses = settings.name_servers()?;
        let clients = Clients::new(&settings)?;
        let links = addresses.iter().map(|address| {
            Link::new(
                format!("name server at {address}"),
                address,
                Arc::clone(&clients),
            )
        });
        Ok(Self {
            cluster: settings.cluster,
            names: NameServers::new(links.collect()),
            clients,
            routes: Routes::default(),
            links: Mutex::default(),
            ends: Ends::default(),
            commits: Commits::default(),
        })
    }

    /// Stops every call in progress and lets every connection go.
    fn leave(&self) {
        self.clients.closed().cancel();
        let brokers: Vec<Arc<Link>> = lock(&self.links).values().cloned().collect();
        for link in brokers.iter().chain(self.names.links()) {
            link.retire();
        }
    }
}

impl Drop for RocketMq {
    fn drop(&mut self) {
        self.leave();
    }
}

impl std::fmt::Debug for RocketMq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocketMq")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Broker for RocketMq {
    fn topic_queues<'a>(
        &'a self,
        topic: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<Queue>>, BrokerError>> {
        Box::pin(self.queues_of("read route", topic))
    }

    fn topic_queues_lately<'a>(
        &'a self,
        topic: &'a str,
        age: Duration,
    ) -> BoxFuture<'a, Result<Option<Vec<Queue>>, BrokerError>> {
        match self.routes.known_lately(topic, age) {
            Some(queues) => Box::pin(std::future::ready(Ok(Some(queues)))),
            None => self.topic_queues(topic),
        }
    }

    fn ensure_topic<'a>(
        &'a self,
        topic: &'a str,
        queues: u32,
    ) -> BoxFuture<'a, Result<Vec<Queue>, BrokerError>> {
        Box::pin(self.make_topic(topic, queues))
    }

    fn ensure_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.make_group(group))
    }

    fn send<'a>(
        &'a self,
        queue: &'a Queue,
        messages: &'a [Outgoing],
    ) -> BoxFuture<'a, Result<u64, BrokerError>> {
        Box::pin(self.send_all(queue, messages))
    }

    fn pull<'a>(
        &'a self,
        group: &'a str,
        queue: &'a Queue,
        offset: u64,
        max_messages: u32,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Pulled, BrokerError>> {
        Box::pin(self.pull_from(group, queue, offset, max_messages, wait))
    }

    fn bounds<'a>(&'a self, queue: &'a Queue) -> BoxFuture<'a, Result<(u64, u64), BrokerError>> {
        Box::pin(self.min_and_max(queue))
    }

    fn offset_at<'a>(
        &'a self,
        queue: &'a Queue,
        timestamp_ms: u64,
    ) -> BoxFuture<'a, Result<u64, BrokerError>> {
        Box::pin(self.first_after(queue, timestamp_ms))
    }

    fn commit_offset<'a>(
        &'a self,
        group: &'a str,
        queue: &'a Queue,
        next: u64,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.commit(group, queue, next))
    }

    fn committed_offset<'a>(
        &'a self,
        group: &'a str,
        queue: &'a Queue,
    ) -> BoxFuture<'a, Result<Option<u64>, BrokerError>> {
        Box::pin(self.committed(group, queue))
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.check_reachable())
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async {
            self.leave();
            self.clients.close().await;
        })
    }
}

#[cfg(test)]
mod tests;
