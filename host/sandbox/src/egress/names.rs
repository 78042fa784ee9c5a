//! Look-up of names for guests: granted names only, vetted addresses only, and the gate remembers
//! them for the sockets that follow. An answer never holds an address that a guest may not reach, so
//! a resolver cannot be used to look around inside.

use std::net::IpAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, Network, Pollable, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::target::{HostName, shown};
use super::tcp::VERSION;
use super::{Gate, Host, NoAddress, Refused};
use crate::limit::Limit;
use crate::state::State;

type Found = Result<std::vec::IntoIter<IpAddr>, ErrorCode>;

/// One look-up of a guest.
enum LookUp {
    Running(AbortOnDropJoinHandle<Found>),
    Done(Found),
}

#[async_trait]
impl Pollable for LookUp {
    async fn ready(&mut self) {
        if let Self::Running(work) = self {
            *self = Self::Done(work.await);
        }
    }
}

impl LookUp {
    fn next(&mut self) -> Result<Option<IpAddress>, ErrorCode> {
        if let Self::Running(work) = self {
            match work.now_or_never() {
                Some(found) => *self = Self::Done(found),
                None => return Err(ErrorCode::WouldBlock),
            }
        }
        match self {
            Self::Done(Ok(addresses)) => Ok(addresses.next().map(IpAddress::from)),
            Self::Done(Err(code)) => Err(*code),
            Self::Running(_) => Err(ErrorCode::WouldBlock),
        }
    }
}

impl Gate {
    /// Begins to look `name` up.
    fn start(self: &Arc<Self>, name: &str) -> Result<LookUp, ErrorCode> {
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            // No secret, and no permission to connect to it.
            return Ok(LookUp::Done(Ok(vec![address].into_iter())));
        }
        let shown = shown(name);
        let Ok(name) = name.parse::<HostName>() else {
            self.refuse(Refused::LookUp, &shown, "it is no host name");
            return Err(ErrorCode::InvalidArgument);
        };
        if !self.access.may_resolve(&name) {
            let why = "no `resolve`, `tcp` or `http` of this name is granted";
            self.refuse(Refused::LookUp, &shown, why);
            return Err(ErrorCode::AccessDenied);
        }
        let gate = Arc::clone(self);
        Ok(LookUp::Running(spawn(async move {
            let host = Host::Name(name.0);
            let found = gate.addresses(&host, Refused::LookUp);
            let found = tokio::time::timeout(gate.limits.connect, found).await;
            gate.remember(
                host,
                found
                    .as_ref()
                    .map_or(&[], |found| found.as_deref().unwrap_or(&[])),
            );
            match found {
                Ok(Ok(addresses)) => Ok(addresses.into_iter()),
                Ok(Err(NoAddress::Refused)) => Err(ErrorCode::AccessDenied),
                Ok(Err(NoAddress::Unknown)) => Err(ErrorCode::NameUnresolvable),
                Ok(Err(NoAddress::Busy)) => Err(ErrorCode::TemporaryResolverFailure),
                Err(_) => {
                    gate.late(&shown, Some(Limit::Connect));
                    Err(ErrorCode::TemporaryResolverFailure)
                }
            }
        })))
    }
}

/// Adds `wasi:sockets/ip-name-lookup`.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;
    type Answer<T> = (Result<T, ErrorCode>,);

    let mut names = linker.instance(&format!("wasi:sockets/ip-name-lookup@{VERSION}"))?;
    names.resource(
        "resolve-address-stream",
        ResourceType::host::<LookUp>(),
        |mut store, rep| {
            let own = Resource::<LookUp>::new_own(rep);
            store.data_mut().table.delete(own)?;
            Ok(())
        },
    )?;
    names.func_wrap(
        "resolve-addresses",
        |mut store: Store<'_>, (_, name): (Resource<Network>, String)| {
            let state = store.data_mut();
            let answer: Answer<Resource<LookUp>> = match state.gate.start(&name) {
                Ok(look_up) => (Ok(state.table.push(look_up)?),),
                Err(code) => (Err(code),),
            };
            Ok(answer)
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: Store<'_>, (this,): (Resource<LookUp>,)| {
            let answer: Answer<Option<IpAddress>> =
                (store.data_mut().table.get_mut(&this)?.next(),);
            Ok(answer)
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: Store<'_>,
         (this,): (Resource<LookUp>,)|
         -> wasmtime::Result<(Resource<DynPollable>,)> {
            Ok((subscribe(&mut store.data_mut().table, this)?,))
        },
    )
}
