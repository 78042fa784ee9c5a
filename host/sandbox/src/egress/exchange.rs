//! One request and its response over a connection of their own, HTTP/1.1, to an address that was vetted
//! in the same breath. Judges nothing: what gets here is granted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::body::{Arriving, Outgoing};
use super::http::on_the_wire;
use super::target::Destination;
use super::tls::NO_AUTHORITIES;
use super::{Gate, NoAddress, Refused};
use crate::limit::Limit;
use crate::log::Level;

/// Longest head of a response, in bytes.
const HEAD_BYTES: usize = 128 << 10;

/// How long something may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within {
    pub(super) time: Duration,
    /// None where the guest asked for less than the limit is.
    pub(super) limit: Option<Limit>,
}

impl Within {
    fn of(limit: Limit, most: Duration, asked: Option<Duration>) -> Self {
        match asked.filter(|asked| *asked < most) {
            Some(time) => Self { time, limit: None },
            None => Self {
                time: most,
                limit: Some(limit),
            },
        }
    }
}

/// What moves a connection's bytes; the connection ends when it is dropped.
pub(super) type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Gate {
    /// Sends `request` and waits for the head of its response. The connection comes along unless it
    /// has ended.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        destination: &Destination,
        target: &str,
        request: Request<WasiBody>,
        options: RequestOptions,
        deadline: Instant,
    ) -> Result<(Response<WasiBody>, Option<Connection>), Error> {
        let connect = Within::of(Limit::Connect, self.limits.connect, options.connect_timeout);
        let connecting = self.connect(destination, connect.time);
        let Ok(connected) = timeout(connect.time, connecting).await else {
            self.late(target, connect.limit);
            return Err(Error::ConnectionTimeout);
        };
        let (mut sender, connection) = connected?;
        let sent = Arc::new(Notify::new());
        let (mut parts, body) = request.into_parts();
        parts.uri = on_the_wire(&parts.uri)?;
        let body = Outgoing::new(body, Arc::clone(self), target.to_owned(), Arc::clone(&sent));
        self.counters.request();
        let response = sender.send_request(Request::from_parts(parts, body));
        let first_byte = Within::of(
            Limit::FirstByte,
            self.limits.first_byte,
            options.first_byte_timeout,
        );
        let silence = async {
            sent.notified().await;
            sleep(first_byte.time).await;
        };
        let (response, connection) = tokio::select! {
            answered = drive(response, connection) => answered?,
            () = silence => {
                self.late(target, first_byte.limit);
                return Err(Error::ConnectionReadTimeout);
            }
        };
        let between = Within::of(
            Limit::BetweenBytes,
            self.limits.between_bytes,
            options.between_bytes_timeout,
        );
        let response = response.map(|body| {
            let gate = Arc::clone(self);
            Arriving::new(body, gate, target.to_owned(), deadline, between).boxed_unsync()
        });
        Ok((response, connection))
    }

    /// A connection to a vetted address of the destination.
    async fn connect(
        &self,
        destination: &Destination,
        within: Duration,
    ) -> Result<(http1::SendRequest<Outgoing>, Connection), Error> {
        let host = &destination.endpoint.host;
        let addresses = self
            .addresses(host, Refused::Request)
            .await
            .map_err(|why| match why {
                NoAddress::Refused => Error::DestinationIpProhibited,
                NoAddress::Busy => Error::ConnectionLimitReached,
                NoAddress::Unknown => Error::DnsError {
                    rcode: Some("the name has no address".to_owned()),
                    info_code: None,
                },
            })?;
        // One that does not answer leaves time for the others.
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let share = within / count;
        let mut failed = std::io::Error::from(std::io::ErrorKind::TimedOut);
        for address in addresses {
            let connecting = TcpStream::connect((address, destination.endpoint.port));
            let stream = match timeout(share, connecting).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    failed = error;
                    continue;
                }
                Err(_) => continue,
            };
            self.counters.connection();
            if !destination.secure {
                return handshake(stream).await;
            }
            let stream = self.outside.tls.connect(host, stream).await;
            return handshake(stream.map_err(|error| self.no_tls(error))?).await;
        }
        Err(match failed.kind() {
            std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
            _ => Error::Connect(failed),
        })
    }

    fn no_tls(&self, error: std::io::Error) -> Error {
        if error.kind() != NO_AUTHORITIES {
            return Error::Tls(error);
        }
        // Nothing that the plugin or its peer could mend.
        self.log.write(Level::Warn, "network", &error.to_string());
        Error::ConfigurationError
    }
}

async fn handshake<S>(stream: S) -> Result<(http1::SendRequest<Outgoing>, Connection), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await?;
    Ok((sender, Box::pin(connection)))
}

/// Moves the connection until the response is there; it is handed back unless it has ended.
async fn drive<R>(
    response: impl Future<Output = hyper::Result<R>>,
    mut connection: Connection,
) -> Result<(R, Option<Connection>), Error> {
    let mut response = std::pin::pin!(response);
    tokio::select! {
        biased;
        answered = &mut response => return Ok((answered?, Some(connection))),
        ended = &mut connection => ended?,
    }
    Ok((response.await?, None))
}
