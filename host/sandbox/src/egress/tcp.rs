//! Sockets of guests: wasmtime's own, with the gate in front. Connecting is allowed to vetted
//! addresses and granted ports; binding, listening and datagrams never are. A socket over the limit
//! fails, it does not wait.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets as wasi;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket as _;
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, Network, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSockets, WasiSocketsView as _};

use super::{Gate, Refused};
use crate::state::State;

/// The version under which wasmtime links sockets and HTTP. What is linked under it here takes the
/// place of the original; under another it would not, and the tests of binding would fail.
pub(super) const VERSION: &str = "0.2.12";

type Answer<T> = (Result<T, ErrorCode>,);
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

/// The places that open sockets of a store take among its connections.
#[derive(Debug, Default)]
pub(crate) struct Sockets(HashMap<u32, OwnedSemaphorePermit>);

impl Gate {
    /// What wasmtime asks about each address that a socket is to use.
    pub(crate) fn check(&self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        match usage {
            // Without it no socket connects: the system is about to choose a port. Binding by the
            // guest itself ends at `start-bind` and does not get here.
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpConnect => {
                let admitted = self.admits(address);
                if !admitted {
                    let why = "no granted `tcp` endpoint leads there by a name that it looked up";
                    self.refuse(Refused::Connection, &address.to_string(), why);
                }
                admitted
            }
            SocketAddrUse::TcpListen
            | SocketAddrUse::TcpAccept
            | SocketAddrUse::UdpBind
            | SocketAddrUse::UdpSend
            | SocketAddrUse::UdpReceive => {
                self.refuse(Refused::Never, &address.to_string(), "it may only connect");
                false
            }
        }
    }
}

impl State {
    fn create(&mut self, family: IpAddressFamily) -> wasmtime::Result<Answer<Resource<TcpSocket>>> {
        let gate = Arc::clone(&self.gate);
        if gate.access.tcp.is_empty() {
            gate.refuse(
                Refused::Connection,
                "a socket",
                "no `tcp` endpoint is granted",
            );
            return Ok((Err(ErrorCode::AccessDenied),));
        }
        let Some(place) = gate.connection("a socket") else {
            return Ok((Err(ErrorCode::NewSocketLimit),));
        };
        match self.sockets().create_tcp_socket(family) {
            Ok(socket) => {
                self.open_sockets.0.insert(socket.rep(), place);
                Ok((Ok(socket),))
            }
            Err(error) => Ok((Err(error.downcast()?),)),
        }
    }

    fn connected(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<Answer<Streams>> {
        match self.sockets().finish_connect(socket) {
            Ok(streams) => {
                self.gate.counters.connection();
                Ok((Ok(streams),))
            }
            Err(error) => Ok((Err(error.downcast()?),)),
        }
    }

    fn close(&mut self, rep: u32) -> wasmtime::Result<()> {
        self.sockets().drop(Resource::<TcpSocket>::new_own(rep))?;
        self.open_sockets.0.remove(&rep);
        Ok(())
    }

    /// Counts and logs what no grant allows.
    fn never(&self, what: &str) -> ErrorCode {
        self.gate
            .refuse(Refused::Never, what, "it may only connect");
        ErrorCode::AccessDenied
    }
}

/// Adds `wasi:sockets`, all but the look-up of names.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let options = wasi::network::LinkOptions::default();
    wasi::network::add_to_linker::<_, WasiSockets>(linker, &options, State::sockets)?;
    wasi::instance_network::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
    wasi::tcp::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
    wasi::tcp_create_socket::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
    wasi::udp::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
    wasi::udp_create_socket::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
    linker.allow_shadowing(true);
    let replaced = replace(linker);
    linker.allow_shadowing(false);
    replaced
}

/// Puts the gate in front of what makes, connects, binds and closes sockets.
fn replace(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Bind = (Resource<TcpSocket>, Resource<Network>, IpSocketAddress);
    type Store<'a> = StoreContextMut<'a, State>;

    let mut create = linker.instance(&format!("wasi:sockets/tcp-create-socket@{VERSION}"))?;
    create.func_wrap(
        "create-tcp-socket",
        |mut store: Store<'_>, (family,): (IpAddressFamily,)| store.data_mut().create(family),
    )?;
    let mut create = linker.instance(&format!("wasi:sockets/udp-create-socket@{VERSION}"))?;
    create.func_wrap(
        "create-udp-socket",
        |store: Store<'_>,
         (_,): (IpAddressFamily,)|
         -> wasmtime::Result<Answer<Resource<UdpSocket>>> {
            Ok((Err(store.data().never("a UDP socket")),))
        },
    )?;
    let mut tcp = linker.instance(&format!("wasi:sockets/tcp@{VERSION}"))?;
    tcp.resource(
        "tcp-socket",
        ResourceType::host::<TcpSocket>(),
        |mut store, rep| store.data_mut().close(rep),
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.finish-connect",
        |mut store: Store<'_>, (socket,): (Resource<TcpSocket>,)| {
            store.data_mut().connected(socket)
        },
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.start-bind",
        |store: Store<'_>, (_, _, at): Bind| -> wasmtime::Result<Answer<()>> {
            let at = SocketAddr::from(at);
            Ok((Err(store.data().never(&format!("binding to {at}"))),))
        },
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.start-listen",
        |store: Store<'_>, (_,): (Resource<TcpSocket>,)| -> wasmtime::Result<Answer<()>> {
            Ok((Err(store.data().never("listening")),))
        },
    )?;
    Ok(())
}
