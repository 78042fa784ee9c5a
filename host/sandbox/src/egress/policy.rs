//! What one instance may reach of the network, and the decisions about it. Nothing here resolves or
//! connects.

use std::net::IpAddr;

use super::address::{AddressGrant, Class, class};
use super::target::{Destination, Endpoint, Host, HostName, Hosts, Origin};

/// What of the network one instance may reach. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkAccess {
    pub(crate) http: Vec<Origin>,
    pub(crate) tcp: Vec<Endpoint>,
    pub(crate) names: Vec<HostName>,
    /// Addresses that are nobody's business unless they are named here.
    pub(crate) addresses: Vec<AddressGrant>,
}

impl NetworkAccess {
    /// What this lets an instance reach and `other` does not, in words. The addresses are not of the
    /// plugin's choice and do not count.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<String> {
        let covered = |mine: &Origin| other.http.iter().any(|known| known.covers(mine));
        let http = self.http.iter().filter(|mine| !covered(mine));
        let tcp = self.tcp.iter().filter(|mine| !other.tcp.contains(mine));
        let names = self.names.iter().filter(|mine| !other.may_resolve(mine));
        http.map(|origin| format!("HTTP requests to `{origin}`"))
            .chain(tcp.map(|endpoint| format!("TCP connections to `{endpoint}`")))
            .chain(names.map(|name| format!("look-up of `{name}`")))
            .collect()
    }

    /// Whether requests may go there.
    pub(crate) fn may_request(&self, destination: &Destination) -> bool {
        self.http.iter().any(|origin| origin.admits(destination))
    }

    /// Whether this name may be looked up.
    pub(crate) fn may_resolve(&self, name: &HostName) -> bool {
        may_resolve(&self.http, &self.tcp, &self.names, name)
    }

    /// Whether a host that is granted may be reached at this address.
    ///
    /// # Errors
    /// What the address is instead.
    pub(crate) fn vet(&self, host: &Host, address: IpAddr) -> Result<(), Class> {
        let class = class(address);
        let named = match host {
            Host::Address(named) => *named == address,
            Host::Name(name) => name == "localhost" && class == Class::Loopback,
        };
        if class == Class::Public || named || self.addresses.iter().any(|one| one.holds(address)) {
            Ok(())
        } else {
            Err(class)
        }
    }
}

/// Whether a name may be looked up: it is granted by itself, or as part of what is. A `*.` grants
/// requests to names, not the look-up of any that a plugin thinks of.
pub(crate) fn may_resolve(
    http: &[Origin],
    tcp: &[Endpoint],
    names: &[HostName],
    name: &HostName,
) -> bool {
    let host = Host::Name(name.0.clone());
    names.contains(name)
        || tcp.iter().any(|endpoint| endpoint.host == host)
        || http
            .iter()
            .any(|origin| matches!(&origin.host, Hosts::One(one) if *one == host))
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
