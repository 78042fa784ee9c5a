//! Looks for anything that was not granted and emits one record per thing: `name=what was seen`.
//! Without grants every value must be `none`, `0` or an error.

use std::io::Read;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Probe {
    done: bool,
}

fn seen<T>(found: std::io::Result<T>) -> String {
    found.map_or_else(
        |error| format!("error: {:?}", error.kind()),
        |_| "SEEN".to_owned(),
    )
}

impl Connector for Probe {
    fn describe() -> Description {
        Description::new("probe-source", env!("CARGO_PKG_VERSION"), "Looks around.")
    }
}

impl Source for Probe {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self { done: false })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(Next::After(Duration::from_secs(1)));
        }
        let mut input = Vec::new();
        let things = [
            ("environment", std::env::vars_os().count().to_string()),
            ("arguments", std::env::args_os().count().to_string()),
            (
                "stdin",
                std::io::stdin()
                    .read_to_end(&mut input)
                    .map_or("none".into(), |read| read.to_string()),
            ),
            ("root", seen(std::fs::read_dir("/"))),
            ("here", seen(std::fs::read_dir("."))),
            ("above", seen(std::fs::read_dir(".."))),
            ("passwd", seen(std::fs::read("/etc/passwd"))),
            ("write", seen(std::fs::write("probe.txt", "x"))),
            ("connect", seen(TcpStream::connect(("127.0.0.1", 80)))),
            ("listen", seen(TcpListener::bind(("127.0.0.1", 0)))),
            ("udp", seen(UdpSocket::bind(("127.0.0.1", 0)))),
            ("resolve", seen(("localhost", 80).to_socket_addrs())),
        ];
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
