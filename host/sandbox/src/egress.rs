//! The way out: everything a guest does on the network passes one [`Gate`], which knows what was
//! granted to its instance, vets every address, counts and logs what it refuses, and remembers where
//! the names it looked up led. Nothing here may connect to an address that was not vetted, or ask a
//! resolver twice between vetting and connecting.

mod address;
mod body;
mod counters;
mod exchange;
mod http;
mod limits;
mod names;
mod policy;
mod resolve;
mod target;
mod tcp;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;

pub use address::AddressGrant;
pub(crate) use counters::Refused;
pub use counters::{Counted, Counters};
pub(crate) use http::Hooks;
pub use limits::EgressLimits;
pub use policy::NetworkAccess;
pub(crate) use policy::may_resolve;
pub use resolve::{Resolver, SystemResolver};
pub use target::{BadTarget, Endpoint, HostName, Origin};
pub(crate) use target::{Host, shown};
pub(crate) use tcp::Sockets;

use crate::limit::Limit;
use crate::log::{Level, PluginLog};
use crate::meter::Meter;
use crate::state::State;

/// Addresses of one name that are kept.
const ADDRESSES: usize = 64;

/// What all instances use to get out.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// Looks names up. Default: the system's resolver.
    pub resolver: Arc<dyn Resolver>,
    /// A PEM file with the certificate authorities to trust instead of the system's. Default none.
    pub authorities: Option<PathBuf>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver::default()),
            authorities: None,
        }
    }
}

/// What the gates of a sandbox share.
#[derive(Debug)]
pub(crate) struct Outside {
    resolver: Arc<dyn Resolver>,
    tls: tls::Tls,
}

impl Outside {
    pub(crate) fn new(settings: &NetworkSettings) -> Self {
        Self {
            resolver: Arc::clone(&settings.resolver),
            tls: tls::Tls::new(settings.authorities.clone()),
        }
    }
}

impl Default for Outside {
    fn default() -> Self {
        Self::new(&NetworkSettings::default())
    }
}

/// One instance's way out.
#[derive(Debug)]
pub(crate) struct Gate {
    outside: Arc<Outside>,
    access: Arc<NetworkAccess>,
    limits: EgressLimits,
    log: Arc<PluginLog>,
    meter: Meter,
    counters: Arc<Counters>,
    connections: Arc<Semaphore>,
    look_ups: Arc<Semaphore>,
    /// Where the names of granted endpoints led, by the guest's last look-up of each.
    found: Mutex<HashMap<String, Vec<IpAddr>>>,
}

/// Why there are no addresses to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// All of them are such that a plugin must not reach them.
    Refused,
    /// Too many look-ups at once, of this instance or of all.
    Busy,
    /// The resolver has none.
    Unknown,
}

impl Gate {
    pub(crate) fn new(
        outside: &Arc<Outside>,
        access: &Arc<NetworkAccess>,
        limits: &EgressLimits,
        log: &Arc<PluginLog>,
        meter: Meter,
    ) -> Self {
        let places = |most: u32| {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
        };
        Self {
            outside: Arc::clone(outside),
            access: Arc::clone(access),
            limits: limits.clone(),
            log: Arc::clone(log),
            counters: meter.egress(),
            meter,
            connections: places(limits.connections),
            look_ups: places(limits.look_ups),
            found: Mutex::default(),
        }
    }

    /// The instance's counts.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Counts and logs a refusal for want of a grant. `target` must hold no more than scheme, host and
    /// port.
    pub(crate) fn refuse(&self, refused: Refused, target: &str, why: &str) {
        self.counters.refused(refused);
        self.tell(target, why);
    }

    /// Counts and logs what was granted and broke a limit. `target` as for [`Self::refuse`].
    pub(crate) fn breach(&self, limit: Limit, target: &str, why: &str) {
        self.counters.limited();
        self.meter.breach(limit);
        self.tell(target, &format!("{why}, `{}`", limit.key()));
    }

    fn tell(&self, target: &str, why: &str) {
        let line = format!("refused: {target}: {why}");
        self.log.write(Level::Warn, "network", &line);
    }

    /// A place among the connections at once, given back when it is dropped.
    pub(crate) fn connection(&self, target: &str) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok();
        if place.is_none() {
            let most = self.limits.connections;
            let why = format!("{most} connections at once are its limit");
            self.breach(Limit::Connections, target, &why);
        }
        place
    }

    /// The addresses of a granted host that may be connected to. A name is looked up once.
    ///
    /// # Errors
    /// Why there is none; refusals are counted under `refused` and logged.
    pub(crate) async fn addresses(
        &self,
        host: &Host,
        refused: Refused,
    ) -> Result<Vec<IpAddr>, NoAddress> {
        let found = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.look_up(name).await?,
        };
        let vetted = self.vetted(host, &found, refused);
        if vetted.is_empty() {
            return Err(NoAddress::Refused);
        }
        Ok(vetted)
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let Ok(place) = Arc::clone(&self.look_ups).try_acquire_owned() else {
            let why = format!("{} look-ups at once are its limit", self.limits.look_ups);
            self.breach(Limit::LookUps, name, &why);
            return Err(NoAddress::Busy);
        };
        self.counters.look_up();
        let look_up = self.outside.resolver.resolve(name);
        // The place is taken for as long as somebody looks up, also when nobody waits for it any more.
        let look_up = tokio::spawn(async move {
            let found = look_up.await;
            drop(place);
            found
        });
        match look_up.await.unwrap_or_else(|gone| Err(gone.into())) {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(NoAddress::Unknown),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                let why = format!("the worker looks too many names up already: {error}");
                self.breach(Limit::LookUps, name, &why);
                Err(NoAddress::Busy)
            }
            Err(error) => {
                tracing::debug!(name, %error, "a name was not resolved");
                Err(NoAddress::Unknown)
            }
        }
    }

    fn vetted(&self, host: &Host, found: &[IpAddr], refused: Refused) -> Vec<IpAddr> {
        let mut vetted = Vec::new();
        for address in found.iter().take(ADDRESSES) {
            match self.access.vet(host, *address) {
                Ok(()) if vetted.contains(address) => {}
                Ok(()) => vetted.push(*address),
                Err(class) => {
                    let why = format!(
                        "it leads to {address}, {class}; a grant with `address = [\"{address}\"]` \
                         would allow it"
                    );
                    self.refuse(refused, &host.to_string(), &why);
                }
            }
        }
        vetted
    }

    /// Keeps where a look-up of the guest led, for the sockets that follow. Only names that sockets
    /// may connect to are kept, so their number is bounded.
    fn remember(&self, host: Host, addresses: &[IpAddr]) {
        if self.access.tcp.iter().any(|endpoint| endpoint.host == host)
            && let Host::Name(name) = host
        {
            let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name, addresses.to_vec());
        }
    }

    /// Whether a socket may connect to `address`: its port is granted for a host that is this very
    /// address, or whose name led to it when this instance looked it up last.
    fn admits(&self, address: SocketAddr) -> bool {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        self.access.tcp.iter().any(|endpoint| {
            endpoint.port == address.port()
                && match &endpoint.host {
                    Host::Address(named) => *named == address.ip(),
                    Host::Name(name) => known
                        .get(name)
                        .is_some_and(|found| found.contains(&address.ip())),
                }
        })
    }
}

/// Adds what guests import of the network.
///
/// # Errors
/// None in practice: the names do not depend on input.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    http::link(linker)?;
    tcp::link(linker)?;
    names::link(linker)
}
