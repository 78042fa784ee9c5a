//! Makes the HTTP requests it is told to and emits one record for each: `status bytes-of-body`, or
//! `error: …`. A request is a line of `requests`: method, scheme, authority, path, and headers as
//! `name=value`; `-` leaves a part out. `origins` is what it asks for. `send` bytes go along as body,
//! a response has `patience` milliseconds to begin where that is not 0,
//! `follow=true` goes once where a redirect points, and `hold` makes each request that many times and
//! keeps all answers open until the last is there.

use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Result, Settings, Source, SourceContext,
};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;

struct HttpSource {
    settings: Settings,
}

/// What went wrong, in the words of the interface.
type Outcome<T> = std::result::Result<T, String>;

fn code(code: ErrorCode) -> String {
    format!("{code:?}")
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    }
}

fn part(text: &str) -> Option<&str> {
    (text != "-").then_some(text)
}

/// How long to wait for the beginning of a response, in milliseconds; 0 leaves it to the worker.
fn options(patience: u64) -> Option<RequestOptions> {
    let options = RequestOptions::new();
    let set = options.set_first_byte_timeout(Some(patience * 1_000_000));
    (patience > 0 && set.is_ok()).then_some(options)
}

/// Assembles and sends the request of a line.
fn start(line: &str, send: u64, patience: u64) -> Outcome<FutureIncomingResponse> {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or("-");
    let (verb, scheme, authority, path) = (word(), word(), word(), word());
    let headers = Fields::new();
    for header in words {
        let (name, value) = header.split_once('=').unwrap_or((header, ""));
        headers
            .append(name, value.as_bytes())
            .map_err(|error| format!("header {name}: {error:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = part(scheme).map(|scheme| match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    });
    request.set_method(&method(verb)).map_err(|()| "method")?;
    request.set_scheme(scheme.as_ref()).map_err(|()| "scheme")?;
    request
        .set_authority(part(authority))
        .map_err(|()| "authority")?;
    request
        .set_path_with_query(part(path))
        .map_err(|()| "path")?;
    if send == 0 {
        return handle(request, options(patience)).map_err(code);
    }
    let body = request.body().map_err(|()| "body")?;
    let response = handle(request, options(patience)).map_err(code)?;
    let wrote = write(&body, send);
    match wrote {
        Ok(()) => OutgoingBody::finish(body, None).map_err(code)?,
        // The response says why nobody wants the rest.
        Err(_) => drop(body),
    }
    Ok(response)
}

fn write(body: &OutgoingBody, mut left: u64) -> std::result::Result<(), StreamError> {
    let Ok(stream) = body.write() else {
        return Ok(());
    };
    let part = [b'x'; 4096];
    while left > 0 {
        let length = left.min(4096);
        stream.blocking_write_and_flush(part.get(..length as usize).unwrap_or_default())?;
        left -= length;
    }
    Ok(())
}

fn wait(response: &FutureIncomingResponse) -> Outcome<IncomingResponse> {
    response.subscribe().block();
    match response.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(code(error)),
        Some(Err(())) | None => Err("no answer".to_owned()),
    }
}

fn read(response: &IncomingResponse) -> Outcome<u64> {
    let body = response.consume().map_err(|()| "consumed")?;
    let stream = body.stream().map_err(|()| "streamed")?;
    let mut bytes = 0;
    loop {
        match stream.blocking_read(65_536) {
            Ok(part) => bytes += part.len() as u64,
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = http_error_code(&error);
                return Err(format!("after {bytes}: {code:?}"));
            }
        }
    }
}

/// Where a redirect points, as a line of the same kind.
fn redirect(response: &IncomingResponse) -> Option<String> {
    let locations = response.headers().get("location");
    let location = String::from_utf8(locations.first()?.clone()).ok()?;
    let (scheme, rest) = location.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    Some(format!("GET {scheme} {authority} /{path}"))
}

impl HttpSource {
    fn ask(&self, line: &str) -> Outcome<String> {
        let send = self.settings.size("send").unwrap_or_default();
        let response = wait(&start(
            line,
            send,
            self.settings.parsed("patience", "a number").unwrap_or(0),
        )?)?;
        if self.settings.get("follow") == Some("true")
            && let Some(line) = redirect(&response)
        {
            let next =
                wait(&start(&line, 0, 0)?).map_err(|error| format!("redirected: {error}"))?;
            return Ok(format!("{} {}", next.status(), read(&next)?));
        }
        Ok(format!("{} {}", response.status(), read(&response)?))
    }

    fn hold(&self, line: &str, count: i64) -> Vec<Outcome<String>> {
        let started: Vec<_> = (0..count).map(|_| start(line, 0, 0)).collect();
        let answers: Vec<_> = started
            .into_iter()
            .map(|response| wait(&response?))
            .collect();
        answers
            .into_iter()
            .map(|response| {
                let response = response?;
                Ok(format!("{} {}", response.status(), read(&response)?))
            })
            .collect()
    }
}

impl Connector for HttpSource {
    fn describe() -> Description {
        Description::new("http-source", env!("CARGO_PKG_VERSION"), "Asks.")
            .option(OptionSpec::list("origins"))
            .option(OptionSpec::list("requests"))
            .option(OptionSpec::size("send").default(0))
            .option(OptionSpec::integer("patience").default(0))
            .option(OptionSpec::boolean("follow").default(false))
            .option(OptionSpec::integer("hold").default(0))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let origins = settings.list("origins").unwrap_or_default();
        origins.into_iter().map(Need::http).collect()
    }
}

impl Source for HttpSource {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let hold = self.settings.integer("hold")?;
        for line in self.settings.list("requests")? {
            let outcomes = match hold {
                0 => vec![self.ask(&line)],
                count => self.hold(&line, count),
            };
            for outcome in outcomes {
                let text = outcome.unwrap_or_else(|error| format!("error: {error}"));
                batch.add().partition("p").value(text.as_bytes()).finish()?;
            }
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: HttpSource);
