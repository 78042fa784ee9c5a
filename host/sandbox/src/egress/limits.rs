//! How much of the network one instance may use. A breach fails the request or the socket, not the
//! instance: a peer that is slow or talks without end is no fault of the guest. Only one that keeps many
//! times the headers, requests and responses that its connections can be of use for is ended.

use std::time::Duration;

/// Limits of one instance's connections and requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressLimits {
    /// Connections and sockets at once. Further ones fail, they do not wait. Of headers, requests,
    /// responses and bodies the guest may keep four for each and 16 beside. Default 64.
    pub connections: u32,
    /// Names that are looked up at once, also for connections. Further look-ups fail. Default 8.
    pub look_ups: u32,
    /// Time for an HTTP connection to come about: look-up, TCP and TLS together. Default 10 s.
    pub connect: Duration,
    /// Time from the end of a request to the beginning of its response. Default 30 s.
    pub first_byte: Duration,
    /// Time between two parts of a response's body while the guest waits for it. Default 30 s.
    pub between_bytes: Duration,
    /// Time for a request with its response. Default 5 min.
    pub request_wall: Duration,
    /// Body of a request, in bytes. Default 64 MiB.
    pub request_bytes: u64,
    /// Body of a response, in bytes. Default 64 MiB.
    pub response_bytes: u64,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            look_ups: 8,
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            between_bytes: Duration::from_secs(30),
            request_wall: Duration::from_secs(300),
            request_bytes: 64 << 20,
            response_bytes: 64 << 20,
        }
    }
}
