//! Tries what a connector has no business with, below the standard library: binding to `at`, to any
//! port and before connecting, listening, datagrams. `tcp` is what it asks for. Emits `name=outcome`.

use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Result, Settings, Source, SourceContext,
};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp_create_socket::{TcpSocket, create_tcp_socket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

struct Probe;

type Outcome = std::result::Result<(), ErrorCode>;

fn address(octets: (u8, u8, u8, u8), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: octets,
    })
}

fn socket() -> std::result::Result<TcpSocket, ErrorCode> {
    create_tcp_socket(IpAddressFamily::Ipv4)
}

fn bind(at: IpSocketAddress) -> Outcome {
    let socket = socket()?;
    socket.start_bind(&instance_network(), at)?;
    socket.finish_bind()
}

fn listen() -> Outcome {
    let socket = socket()?;
    socket.start_listen()?;
    socket.finish_listen()
}

fn connect(to: IpSocketAddress) -> Outcome {
    let socket = socket()?;
    socket.start_connect(&instance_network(), to)?;
    socket.subscribe().block();
    socket.finish_connect().map(|_| ())
}

fn datagrams() -> Outcome {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), address((0, 0, 0, 0), 0))
}

impl Connector for Probe {
    fn describe() -> Description {
        Description::new("socket-probe", env!("CARGO_PKG_VERSION"), "Tries sockets.")
            .option(OptionSpec::list("tcp"))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let tcp = settings.list("tcp").unwrap_or_default();
        tcp.into_iter().map(Need::tcp).collect()
    }
}

impl Source for Probe {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let outcomes = [
            ("bind", bind(address((127, 0, 0, 1), 0))),
            ("bind-any", bind(address((0, 0, 0, 0), 0))),
            ("listen", listen()),
            ("connect", connect(address((127, 0, 0, 1), 1))),
            ("metadata", connect(address((169, 254, 169, 254), 80))),
            ("datagrams", datagrams()),
        ];
        for (name, outcome) in outcomes {
            let outcome = outcome.map_or_else(|code| code.name(), |()| "done");
            batch
                .add()
                .partition("p")
                .value(format!("{name}={outcome}").as_bytes())
                .finish()?;
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: Probe);
