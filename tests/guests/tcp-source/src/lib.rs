//! Connects with what the standard library offers and emits one record for each thing it was told to
//! do. `connect` are endpoints, `look-up` are names; `tcp` and `resolve` are what it asks for. A
//! connection sends a line and emits the line that comes back; with `hold` it keeps all of them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct TcpSource {
    settings: Settings,
    held: Vec<TcpStream>,
}

impl TcpSource {
    fn connect(&mut self, endpoint: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(endpoint)?;
        stream.write_all(b"hello\n")?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        if self.settings.get("hold") == Some("true") {
            self.held.push(stream);
        }
        Ok(line.trim_end().to_owned())
    }
}

fn look_up(name: &str) -> std::io::Result<String> {
    let mut found: Vec<String> = (name, 1)
        .to_socket_addrs()?
        .map(|address| address.ip().to_string())
        .collect();
    found.sort();
    Ok(found.join(","))
}

impl Connector for TcpSource {
    fn describe() -> Description {
        Description::new("tcp-source", env!("CARGO_PKG_VERSION"), "Connects.")
            .option(OptionSpec::list("tcp"))
            .option(OptionSpec::list("resolve"))
            .option(OptionSpec::list("look-up"))
            .option(OptionSpec::list("connect"))
            .option(OptionSpec::boolean("hold").default(false))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let tcp = settings.list("tcp").unwrap_or_default();
        let resolve = settings.list("resolve").unwrap_or_default();
        tcp.into_iter()
            .map(Need::tcp)
            .chain(resolve.into_iter().map(Need::resolve))
            .collect()
    }
}

impl Source for TcpSource {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            held: Vec::new(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let mut outcomes = Vec::new();
        for name in self.settings.list("look-up").unwrap_or_default() {
            outcomes.push(look_up(&name));
        }
        for endpoint in self.settings.list("connect").unwrap_or_default() {
            outcomes.push(self.connect(&endpoint));
        }
        for outcome in outcomes {
            let text =
                outcome.unwrap_or_else(|error| format!("error: {:?}: {error}", error.kind()));
            batch.add().partition("p").value(text.as_bytes()).finish()?;
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: TcpSource);
