//! Bodies on their way, counted and timed: a request that grows beyond its limit, and a response that
//! does, dawdles or never ends, turn into an error of that one request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

use super::Gate;
use super::exchange::Within;
use crate::limit::Limit;

/// What a body may have left of its limit after this frame.
fn less(left: u64, frame: &Frame<Bytes>) -> Option<u64> {
    left.checked_sub(frame.data_ref().map_or(0, |data| data.len() as u64))
}

/// The body of a request.
pub(super) struct Outgoing {
    inner: WasiBody,
    left: u64,
    gate: Arc<Gate>,
    target: String,
    /// Told when all of it is on its way.
    sent: Arc<Notify>,
}

impl Outgoing {
    pub(super) fn new(inner: WasiBody, gate: Arc<Gate>, target: String, sent: Arc<Notify>) -> Self {
        let left = gate.limits.request_bytes;
        Self {
            inner,
            left,
            gate,
            target,
            sent,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        match less(self.left, &frame) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                let limit = self.gate.limits.request_bytes;
                let why = format!("its request is longer than {limit} bytes");
                self.gate.breach(Limit::RequestBytes, &self.target, &why);
                Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(limit)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Whoever sends drops the body when it is done with it.
impl Drop for Outgoing {
    fn drop(&mut self) {
        self.sent.notify_one();
    }
}

/// The body of a response.
pub(super) struct Arriving {
    inner: Incoming,
    left: u64,
    gate: Arc<Gate>,
    target: String,
    /// When the request must be over.
    end: Pin<Box<Sleep>>,
    deadline: Instant,
    between: Within,
    /// Runs while the guest waits for the next part.
    idle: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(super) fn new(
        inner: Incoming,
        gate: Arc<Gate>,
        target: String,
        deadline: Instant,
        between: Within,
    ) -> Self {
        Self {
            inner,
            left: gate.limits.response_bytes,
            gate,
            target,
            end: Box::pin(sleep_until(deadline)),
            deadline,
            between,
            idle: None,
        }
    }

    fn late(&self, limit: Option<Limit>) {
        self.gate.late(&self.target, limit);
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.end.as_mut().poll(cx).is_ready() {
            self.late(Some(Limit::RequestWall));
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let between = self.between;
                let idle = self
                    .idle
                    .get_or_insert_with(|| Box::pin(sleep(between.time)));
                ready!(idle.as_mut().poll(cx));
                self.late(between.limit);
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
        };
        self.idle = None;
        match frame {
            Some(Ok(frame)) => match less(self.left, &frame) {
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(frame)))
                }
                None => {
                    let limit = self.gate.limits.response_bytes;
                    let why = format!("its response is longer than {limit} bytes");
                    self.gate.breach(Limit::ResponseBytes, &self.target, &why);
                    Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(limit)))))
                }
            },
            // The connection was cut because its time was over.
            Some(Err(_)) if Instant::now() >= self.deadline => {
                self.late(Some(Limit::RequestWall));
                Poll::Ready(Some(Err(Error::HttpResponseTimeout)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
