//! Requests of guests. A request is judged as it will be sent, after it was put together. Redirects
//! are the guest's to follow, with a request that is judged like any other: nothing here sends a
//! request that no guest made.

use std::error::Error as _;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, Uri, header};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks};

use super::target::Destination;
use super::tcp::VERSION;
use super::{Gate, Refused};
use crate::limit::Limit;
use crate::state::State;

mod messages;

use messages::{CHUNK_BYTES, FIELDS_BYTES, Messages};

/// More than any request takes; a limit without end must not overflow the clock.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Rest), Error>;

/// What wasmtime's implementation of `wasi:http` calls.
#[derive(Debug)]
pub(crate) struct Hooks {
    gate: Arc<Gate>,
    messages: Messages,
}

impl Hooks {
    pub(crate) fn new(gate: &Arc<Gate>) -> Self {
        Self {
            gate: Arc::clone(gate),
            messages: Messages::new(gate.limits.connections),
        }
    }

    /// The part of the settings that wasmtime has elsewhere.
    pub(crate) fn context() -> WasiHttpCtx {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS_BYTES);
        context
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Rest,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let gate = Arc::clone(&self.gate);
        Box::new(async move { gate.send(request, options.unwrap_or_default()).await })
    }

    /// The smallest there is. What is buffered of a request that nobody sends stays there.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        if let Some(Error::HttpRequestBodySize(size)) = error
            .source()
            .and_then(|source| source.downcast_ref::<Error>())
        {
            return ErrorCode::HttpRequestBodySize(*size);
        }
        tracing::debug!(%error, "a plugin's request failed");
        if error.is_incomplete_message() {
            ErrorCode::HttpResponseIncomplete
        } else {
            ErrorCode::HttpProtocolError
        }
    }

    fn p2_error_from_connect(&mut self, error: &std::io::Error) -> ErrorCode {
        tracing::debug!(%error, "a plugin's connection failed");
        ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, error: &std::io::Error) -> ErrorCode {
        tracing::debug!(%error, "a plugin's TLS connection failed");
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => ErrorCode::TlsCertificateError,
            Some(_) | None => ErrorCode::TlsProtocolError,
        }
    }
}

/// A request as it stands, if it can only mean one thing: where it goes, or why it goes nowhere.
fn destination<B>(request: &Request<B>) -> Result<Destination, String> {
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let scheme = uri.scheme_str().unwrap_or_default();
    let destination = Destination::read(scheme, authority).map_err(|bad| bad.why().to_owned())?;
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    if !(path.is_empty() || path.starts_with(['/', '?'])) {
        return Err("its path is not a path".to_owned());
    }
    // Through a tunnel anything could be reached.
    if request.method() == Method::CONNECT {
        return Err("it asks for a tunnel".to_owned());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let same = hosts
        .next()
        .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()));
    if !same || hosts.next().is_some() {
        return Err("its `Host` header is not its authority".to_owned());
    }
    Ok(destination)
}

/// The same request as it goes over the wire: to this host only its path is said.
pub(super) fn on_the_wire(uri: &Uri) -> Result<Uri, Error> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    let uri = Uri::builder().path_and_query(path).build();
    uri.map_err(|_| Error::HttpRequestUriInvalid)
}

impl Gate {
    async fn send(self: Arc<Self>, request: Request<WasiBody>, options: RequestOptions) -> Sent {
        let destination = destination(&request).map_err(|why| {
            self.refuse(Refused::Request, "a request", &why);
            Error::HttpRequestDenied
        })?;
        let target = destination.to_string();
        if !self.access.may_request(&destination) {
            let why = "no `http` origin is granted that covers it";
            self.refuse(Refused::Request, &target, why);
            return Err(Error::HttpRequestDenied);
        }
        let limit = self.limits.request_bytes;
        if declared(&request).is_some_and(|length| length > limit) {
            let why = format!("its request is longer than {limit} bytes");
            self.breach(Limit::RequestBytes, &target, &why);
            return Err(Error::HttpRequestBodySize(Some(limit)));
        }
        let place = self
            .connection(&target)
            .ok_or(Error::ConnectionLimitReached)?;
        let deadline = Instant::now() + self.limits.request_wall.min(LONGEST);
        let exchange = self.exchange(&destination, &target, request, options, deadline);
        let Ok(exchanged) = timeout_at(deadline, exchange).await else {
            self.late(&target, Some(Limit::RequestWall));
            return Err(Error::HttpResponseTimeout);
        };
        let (response, connection) = exchanged?;
        let rest = async move {
            // The place is taken for as long as the connection stands, which ends with the response,
            // with the guest's interest in it, or with its time.
            let _place = place;
            if let Some(connection) = connection
                && let Ok(Err(error)) = timeout_at(deadline, connection).await
            {
                tracing::debug!(%error, "a plugin's connection ended badly");
            }
            Ok(())
        };
        Ok((response, Box::new(rest)))
    }

    /// Something took too long; by no limit where the guest itself would not wait longer.
    pub(super) fn late(&self, target: &str, limit: Option<Limit>) {
        if let Some(limit) = limit {
            self.breach(limit, target, "it took too long");
        }
    }
}

/// Adds `wasi:http`. What failed in a body is told by our own function: the original looks for a type
/// that its bodies never fail with. What a guest keeps is counted.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    let types = linker.instance(&format!("wasi:http/types@{VERSION}"));
    let replaced = types.and_then(|mut types| {
        types.func_wrap(
            "http-error-code",
            |mut store: StoreContextMut<'_, State>, (error,): (Resource<wasmtime::Error>,)| {
                let error = store.data_mut().table.get(&error)?;
                let code = error.downcast_ref::<Error>().map(body_error);
                Ok((code.or_else(|| error.downcast_ref::<ErrorCode>().cloned()),))
            },
        )?;
        messages::link(&mut types)
    });
    linker.allow_shadowing(false);
    replaced
}

fn body_error(error: &Error) -> ErrorCode {
    match error {
        Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::Hyper(_) => ErrorCode::HttpResponseIncomplete,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

/// The length of the body as the request says it.
fn declared<B: BodyExt>(request: &Request<B>) -> Option<u64> {
    let header = request.headers().get(header::CONTENT_LENGTH);
    let said = header.and_then(|length| length.to_str().ok()?.parse().ok());
    said.or_else(|| request.body().size_hint().exact())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_request_goes_where_all_of_it_says() {
        let plain = request("GET", "https://a.com/x?y", &["a.com"]);
        assert_eq!(
            destination(&plain).unwrap().to_string(),
            "https://a.com:443"
        );
        let port = request("GET", "http://A.com:8080", &["a.COM:8080"]);
        assert_eq!(destination(&port).unwrap().to_string(), "http://a.com:8080");
        for (method, uri, hosts) in [
            ("GET", "https://a.com/", &["b.com"][..]),
            ("GET", "https://a.com/", &["a.com", "b.com"]),
            ("GET", "https://a.com/", &["a.com", "a.com"]),
            ("GET", "https://a.com/", &["a.com:443"]),
            ("GET", "https://a.com/", &[]),
            ("GET", "https://user@a.com/", &["user@a.com"]),
            ("GET", "/path", &["a.com"]),
            ("GET", "ftp://a.com/", &["a.com"]),
            ("CONNECT", "https://a.com:443", &["a.com:443"]),
        ] {
            let why = destination(&request(method, uri, hosts)).unwrap_err();
            assert!(!why.is_empty(), "{method} {uri} {hosts:?}");
        }
    }

    #[test]
    fn a_path_that_is_an_address_is_not_sent() {
        // The library lets it through to the request line.
        let uri = Uri::builder()
            .scheme("https")
            .authority("a.com")
            .path_and_query("http://evil.org/")
            .build();
        if let Ok(uri) = uri {
            let mut smuggled = request("GET", "https://a.com/", &["a.com"]);
            *smuggled.uri_mut() = uri;
            let outcome = destination(&smuggled).map(|_| on_the_wire(smuggled.uri()));
            assert!(outcome.is_err(), "{outcome:?}");
        }
    }

    #[test]
    fn only_the_path_goes_over_the_wire() {
        for (uri, wire) in [
            ("https://a.com", "/"),
            ("https://a.com?q", "/?q"),
            ("https://a.com/p?q", "/p?q"),
            ("https://a.com//evil.org/p", "//evil.org/p"),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(on_the_wire(&uri).unwrap().to_string(), wire);
        }
    }
}
