//! Makes `step` more HTTP messages with each poll and sends none of them. `what=bodies` writes into
//! their bodies as much as is taken, `what=fields` fills headers with 15 KB each, `what=overfull` with
//! 1 MB, `what=headers` keeps the headers of requests that it lets go; `keep=false` lets everything go
//! at once. Emits how many there are and how many bytes the worker has taken. `what=method`,
//! `authority` or `path` sets one of `step` bytes and emits whether it was taken.

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest};
use wasip2::io::streams::OutputStream;

/// In the order in which they have to go: what is inside another before it.
enum Kept {
    Fields {
        _fields: Fields,
    },
    Request {
        _stream: OutputStream,
        _body: OutgoingBody,
        _request: OutgoingRequest,
    },
}

struct Hoarder {
    settings: Settings,
    kept: Vec<Kept>,
    bytes: usize,
}

/// A request with as much in its body as is taken, and how much that is.
fn body() -> Option<(Kept, usize)> {
    let request = OutgoingRequest::new(Fields::new());
    let body = request.body().ok()?;
    let stream = body.write().ok()?;
    let mut bytes = 0;
    while let Ok(room) = stream.check_write()
        && room > 0
    {
        let part = vec![b'x'; room as usize];
        stream.write(&part).ok()?;
        bytes += part.len();
    }
    let kept = Kept::Request {
        _stream: stream,
        _body: body,
        _request: request,
    };
    Some((kept, bytes))
}

/// Headers with so many values of a thousand bytes, and how much that is.
fn fields(values: usize) -> (Fields, usize) {
    let fields = Fields::new();
    let part = [b'x'; 1_000];
    let taken = (0..values).take_while(|_| fields.append("name", &part).is_ok());
    let bytes = taken.count() * part.len();
    (fields, bytes)
}

impl Hoarder {
    fn more(&mut self, what: &str) -> Option<()> {
        let (kept, bytes) = match what {
            "bodies" => body()?,
            _ => {
                let values = if what == "overfull" { 1_000 } else { 15 };
                let (mut fields, bytes) = fields(values);
                if what == "headers" {
                    fields = OutgoingRequest::new(fields).headers();
                }
                (Kept::Fields { _fields: fields }, bytes)
            }
        };
        self.bytes += bytes;
        if self.settings.get("keep") != Some("false") {
            self.kept.push(kept);
        }
        Some(())
    }
}

/// Whether a request takes a `what` of so many bytes.
fn takes(what: &str, bytes: usize) -> bool {
    let request = OutgoingRequest::new(Fields::new());
    let text = "x".repeat(bytes);
    let set = match what {
        "method" => request.set_method(&Method::Other(text)),
        "authority" => request.set_authority(Some(&text)),
        _ => request.set_path_with_query(Some(&text.replacen('x', "/", 1))),
    };
    set.is_ok()
}

impl Connector for Hoarder {
    fn describe() -> Description {
        Description::new("http-hoarder", env!("CARGO_PKG_VERSION"), "Keeps.")
            .option(OptionSpec::text("what").default("bodies"))
            .option(OptionSpec::integer("step").default(1))
            .option(OptionSpec::boolean("keep").default(true))
    }
}

impl Source for Hoarder {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            kept: Vec::new(),
            bytes: 0,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let what = self.settings.text("what")?.to_owned();
        let step: usize = self.settings.parsed("step", "a number")?;
        let text = if ["bodies", "fields", "headers", "overfull"].contains(&what.as_str()) {
            let made = (0..step).filter_map(|_| self.more(&what)).count();
            format!("{made} {} {}", self.kept.len(), self.bytes)
        } else {
            takes(&what, step).to_string()
        };
        batch.add().partition("p").value(text.as_bytes()).finish()?;
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Hoarder);
