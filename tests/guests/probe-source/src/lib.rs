//! Looks for anything that was not granted and emits one record per thing: `name=what was seen`.
//! Without grants every value must be `0` or an error. With `network=true` it looks for sockets, which
//! a worker that offers none answers with a trap.

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct Probe {
    network: bool,
    done: bool,
}

fn seen<T>(found: std::io::Result<T>) -> String {
    found.map_or_else(
        |error| format!("error: {:?}", error.kind()),
        |_| "SEEN".to_owned(),
    )
}

fn surroundings() -> Vec<(&'static str, String)> {
    let input = std::io::read_to_string(std::io::stdin()).map(|text| text.len());
    vec![
        ("environment", std::env::vars_os().count().to_string()),
        ("arguments", std::env::args_os().count().to_string()),
        (
            "stdin",
            input.map_or_else(
                |error| format!("error: {:?}", error.kind()),
                |length| length.to_string(),
            ),
        ),
        ("root", seen(std::fs::read_dir("/"))),
        ("here", seen(std::fs::read_dir("."))),
        ("above", seen(std::fs::read_dir(".."))),
        ("passwd", seen(std::fs::read("/etc/passwd"))),
        ("write", seen(std::fs::write("probe.txt", "x"))),
    ]
}

fn network() -> Vec<(&'static str, String)> {
    vec![
        ("connect", seen(TcpStream::connect(("127.0.0.1", 80)))),
        ("listen", seen(TcpListener::bind(("127.0.0.1", 0)))),
        ("udp", seen(UdpSocket::bind(("127.0.0.1", 0)))),
        ("resolve", seen(("localhost", 80).to_socket_addrs())),
    ]
}

impl Connector for Probe {
    fn describe() -> Description {
        Description::new("probe-source", env!("CARGO_PKG_VERSION"), "Looks around.").option(
            OptionSpec::boolean("network")
                .default(false)
                .doc("look for sockets, not files"),
        )
    }
}

impl Source for Probe {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            network: settings.boolean("network")?,
            done: false,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(Next::After(Duration::from_secs(1)));
        }
        let things = if self.network {
            network()
        } else {
            surroundings()
        };
        for (name, what) in things {
            batch
                .add()
                .partition("p")
                .position(name.as_bytes())
                .value(format!("{name}={what}").as_bytes())
                .finish()?;
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: Probe);
