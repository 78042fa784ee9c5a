//! What instances did on the network and were kept from, as plain counts. For status and metrics;
//! nothing is decided by them.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was refused for want of a grant, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Request,
    Connection,
    LookUp,
    /// Binding, listening, datagrams: never granted.
    Never,
}

/// Counts of one or more instances, from their beginning. Only ever grow.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    connections: AtomicU64,
    look_ups: AtomicU64,
    refused_requests: AtomicU64,
    refused_connections: AtomicU64,
    refused_look_ups: AtomicU64,
    refused_never: AtomicU64,
    refused_limits: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// HTTP requests that were sent.
    pub requests: u64,
    /// Connections that were made, for HTTP and TCP.
    pub connections: u64,
    /// Names that were asked for at the resolver.
    pub look_ups: u64,
    /// HTTP requests that were refused.
    pub refused_requests: u64,
    /// TCP connections that were refused.
    pub refused_connections: u64,
    /// Names that were not looked up.
    pub refused_look_ups: u64,
    /// What no grant allows: binding, listening, datagrams.
    pub refused_never: u64,
    /// What was granted and broke a limit: connections at once, time or size of a request.
    pub refused_limits: u64,
}

impl Counted {
    /// All that was refused for want of a grant.
    pub fn refused(&self) -> u64 {
        self.refused_requests
            + self.refused_connections
            + self.refused_look_ups
            + self.refused_never
    }
}

impl Counters {
    /// What was counted so far.
    pub fn counted(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            requests: read(&self.requests),
            connections: read(&self.connections),
            look_ups: read(&self.look_ups),
            refused_requests: read(&self.refused_requests),
            refused_connections: read(&self.refused_connections),
            refused_look_ups: read(&self.refused_look_ups),
            refused_never: read(&self.refused_never),
            refused_limits: read(&self.refused_limits),
        }
    }

    pub(crate) fn request(&self) {
        add(&self.requests);
    }

    pub(crate) fn connection(&self) {
        add(&self.connections);
    }

    pub(crate) fn limited(&self) {
        add(&self.refused_limits);
    }

    pub(crate) fn look_up(&self) {
        add(&self.look_ups);
    }

    pub(crate) fn refused(&self, refused: Refused) {
        add(match refused {
            Refused::Request => &self.refused_requests,
            Refused::Connection => &self.refused_connections,
            Refused::LookUp => &self.refused_look_ups,
            Refused::Never => &self.refused_never,
        });
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
