//! One endpoint (a name server or a broker): is it there, and the way to it.
//!
//! The client blocks an address for 30 s after five failed connects, and connecting through it
//! costs far more than asking TCP. So while an endpoint is away nobody touches the client: one
//! caller at a time probes with a plain TCP connect, paced from 50 ms up to 500 ms, and the others
//! wait for its result. When TCP answers, a new [`Session`] is made, with a breaker of its own, and
//! used once it has answered.
//!
//! The probe's connection is kept beside the session and watched: when the endpoint goes, it ends
//! at once, while the client would let requests in progress wait for their timeouts. It says
//! nothing, so it is renewed before the endpoint takes it for idle.
//!
//! Never waits longer than one pace, one connect and one answer; trying again is the caller's business.

use super::clients::Clients;
use super::session::{Cause, Lane, NoAnswer, Session};
use super::sync::lock;
use crate::error::BrokerError;
use cheetah_string::CheetahString;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::protocol::header::get_min_offset_request_header::GetMinOffsetRequestHeader;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a TCP connect may take, and the first answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest pause between two probes; with it the endpoint is in use again within two seconds of
/// its return, even when the first connection came too early for an answer.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Pause before a request that the client had no room for is tried again.
const ROOM_PAUSE: Duration = Duration::from_millis(5);
/// How long a watched connection is kept. Brokers end idle ones after 120 s by default.
const WATCH_FOR: Duration = Duration::from_secs(20);
const WATCH_AT_LEAST: Duration = Duration::from_secs(1);

/// Whether a call waits for the next probe of an endpoint that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Wait,
    /// Fail at once while no probe is due: for callers who have something else to go by.
    Now,
}

pub(super) struct Link {
    /// For messages: "broker a at 127.0.0.1:10911".
    what: String,
    address: CheetahString,
    clients: Arc<Clients>,
    state: Mutex<State>,
    /// Held by the caller who probes.
    probing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    /// Failures in a row since the last answer, or since it began or ceased to take connections.
    failures: u32,
    /// Whether it took a connection at the last attempt.
    accepts: bool,
    /// Counts failed attempts to connect; those who waited for one see that it moved.
    rounds: u64,
    not_before: Option<Instant>,
    cause: Option<Cause>,
    /// How long to keep a watched connection, where [`WATCH_FOR`] turned out too long.
    watch_for: Option<Duration>,
}

impl Link {
    pub(super) fn new(what: String, address: &str, clients: Arc<Clients>) -> Arc<Self> {
        Arc::new(Self {
            what,
            address: CheetahString::from_slice(address),
            clients,
            state: Mutex::default(),
            probing: tokio::sync::Mutex::default(),
        })
    }

    /// Sends a request and waits for its answer, whatever its code.
    pub(super) async fn call(
        self: &Arc<Self>,
        step: &'static str,
        lane: Lane,
        patience: Patience,
        request: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, BrokerError> {
        let answer = async {
            let session = self.session(step, patience).await?;
            let give_up = Instant::now() + timeout.min(LONGEST_PAUSE);
            loop {
                // Cheap: the body and the header are shared.
                let attempt = request.clone();
                match session.invoke(lane, &self.address, attempt, timeout).await {
                    Ok(response) => {
                        session.prove();
                        return Ok(response);
                    }
                    // Nothing was written, and room comes with the next answers.
                    Err(NoAnswer::Saturated) if Instant::now() < give_up => {
                        tokio::time::sleep(ROOM_PAUSE).await;
                    }
                    Err(NoAnswer::Saturated) => {
                        return Err(BrokerError::Busy {
                            step,
                            what: self.what.clone(),
                            code: 0,
                            remark: "too many requests in progress".to_owned(),
                        });
                    }
                    Err(NoAnswer::Failed(cause)) => {
                        self.session_failed(&session, &cause);
                        return Err(self.unreachable(step, cause));
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = self.clients.closed().cancelled() => Err(BrokerError::Closed { step }),
            answer = answer => answer,
        }
    }

    /// Whether the endpoint accepts a TCP connection now. Says nothing about its health beyond.
    pub(super) async fn probe(&self, step: &'static str) -> Result<(), BrokerError> {
        let connecting = self.connect();
        let connected = tokio::select! {
            biased;
            () = self.clients.closed().cancelled() => return Err(BrokerError::Closed { step }),
            connected = connecting => connected,
        };
        connected
            .map(drop)
            .map_err(|cause| self.unreachable(step, cause))
    }

    pub(super) fn retire(&self) {
        let session = lock(&self.state).session.take();
        if let Some(session) = session {
            session.end(Arc::new(std::io::Error::other("closed")));
        }
    }

    async fn session(
        self: &Arc<Self>,
        step: &'static str,
        patience: Patience,
    ) -> Result<Arc<Session>, BrokerError> {
        let seen = {
            let state = lock(&self.state);
            if let Some(session) = &state.session {
                return Ok(Arc::clone(session));
            }
            let due = state.not_before.is_none_or(|at| at <= Instant::now());
            if patience == Patience::Now && !due {
                return Err(self.still_away(step, &state));
            }
            state.rounds
        };
        let _probing = self.probing.lock().await;
        let not_before = {
            let state = lock(&self.state);
            if let Some(session) = &state.session {
                return Ok(Arc::clone(session));
            }
            if state.rounds != seen {
                return Err(self.still_away(step, &state));
            }
            state.not_before
        };
        if let Some(at) = not_before {
            tokio::time::sleep_until(at).await;
        }
        // In a task of its own: it lives on our runtime, and is not lost when the caller is.
        let opening = Box::pin(Arc::clone(self).open());
        let opened = match self.clients.spawn(opening).await {
            Ok(opened) => opened,
            Err(error) => Err(Arc::new(error) as Cause),
        };
        match opened {
            Ok(session) => Ok(session),
            Err(cause) => {
                let mut state = lock(&self.state);
                if state.failures == 0 {
                    tracing::warn!(endpoint = %self.what, %cause, "cannot connect; trying on");
                }
                state.failed(Arc::clone(&cause));
                drop(state);
                Err(self.unreachable(step, cause))
            }
        }
    }

    /// Connects, and asks one cheap question: an endpoint that is starting accepts connections
    /// before it answers, and a real request would be lost for its whole timeout.
    async fn open(self: Arc<Self>) -> Result<Arc<Session>, Cause> {
        let stream = self
            .connect()
            .await
            .inspect_err(|_| lock(&self.state).accepts(false))?;
        let session = Session::new(Arc::clone(&self.clients));
        lock(&self.state).accepts(true);
        if let Err(cause) = self.ask(&session, PROBE_TIMEOUT).await {
            session.end(Arc::clone(&cause));
            return Err(cause);
        }
        let mut state = lock(&self.state);
        if let Some(current) = &state.session {
            // Somebody who came while an earlier caller's attempt went on was faster.
            session.end(Arc::new(std::io::Error::other("one connection is enough")));
            return Ok(Arc::clone(current));
        }
        state.session = Some(Arc::clone(&session));
        let period = state.watch_for.unwrap_or(WATCH_FOR);
        drop(state);
        let watching = Arc::clone(&self).watch(stream, Arc::clone(&session), period);
        drop(self.clients.spawn(Box::pin(watching)));
        tracing::debug!(endpoint = %self.what, "connected");
        Ok(session)
    }

    /// Whether the endpoint answers. Whatever the answer is, it is one: a name server says that it
    /// does not know this request.
    async fn ask(&self, session: &Arc<Session>, timeout: Duration) -> Result<(), Cause> {
        let header = GetMinOffsetRequestHeader {
            topic: "rocketmq-connect".into(),
            ..GetMinOffsetRequestHeader::default()
        };
        let question = RemotingCommand::create_request_command(RequestCode::GetMinOffset, header);
        match session
            .invoke(Lane::Calls, &self.address, question, timeout)
            .await
        {
            Ok(_) | Err(NoAnswer::Saturated) => Ok(()),
            Err(NoAnswer::Failed(cause)) => Err(cause),
        }
    }

    /// Ends the session when the endpoint ends the connection or takes no new one.
    async fn watch(
        self: Arc<Self>,
        mut stream: TcpStream,
        session: Arc<Session>,
        period: Duration,
    ) {
        loop {
            let since = Instant::now();
            tokio::select! {
                () = session.ended().cancelled() => return,
                ended = stream.read_u8() => {
                    self.session_failed(&session, &ended_by_peer(ended));
                    // An endpoint that is there all the same ends idle connections sooner than
                    // expected; from now on it is asked sooner.
                    if self.connect().await.is_ok() {
                        let sooner = (since.elapsed() / 2).max(WATCH_AT_LEAST);
                        lock(&self.state).watch_for = Some(sooner.min(period));
                    }
                    return;
                }
                () = tokio::time::sleep(period) => {}
            }
            // The question also keeps the session's own connection from being idle.
            let timeout = self.clients.request_timeout;
            let renewed = match self.connect().await {
                Ok(renewed) => self.ask(&session, timeout).await.map(|()| renewed),
                Err(cause) => Err(cause),
            };
            match renewed {
                Ok(renewed) => stream = renewed,
                Err(cause) => return self.session_failed(&session, &cause),
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, Cause> {
        match tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(self.address.as_str())).await {
            // Where nobody listens on a port that outgoing connections may get, a connect can end
            // up at itself.
            Ok(Ok(stream)) if stream.local_addr().ok() == stream.peer_addr().ok() => Err(Arc::new(
                std::io::Error::from(std::io::ErrorKind::ConnectionRefused),
            )),
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(Arc::new(error)),
            Err(elapsed) => Err(Arc::new(elapsed)),
        }
    }

    /// Throws the session away, if nobody else did.
    fn session_failed(&self, failed: &Arc<Session>, cause: &Cause) {
        let mut state = lock(&self.state);
        if !state
            .session
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, failed))
        {
            return;
        }
        state.session = None;
        if failed.proven() {
            // It worked until now, so the endpoint may be back already: ask at once.
            state.failures = 0;
            state.not_before = None;
            state.cause = Some(Arc::clone(cause));
            tracing::info!(endpoint = %self.what, %cause, "connection lost");
        } else {
            state.failed(Arc::clone(cause));
        }
        drop(state);
        failed.end(Arc::clone(cause));
    }

    fn still_away(&self, step: &'static str, state: &State) -> BrokerError {
        let cause = state.cause.clone();
        self.unreachable(
            step,
            cause.unwrap_or_else(|| Arc::new(std::io::Error::other("away"))),
        )
    }

    fn unreachable(&self, step: &'static str, source: Cause) -> BrokerError {
        BrokerError::Unreachable {
            step,
            what: self.what.clone(),
            source,
        }
    }
}

/// Endpoints never speak first, so reading from one only ever ends.
fn ended_by_peer(read: std::io::Result<u8>) -> Cause {
    Arc::new(match read {
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => error,
        _ => std::io::Error::other("it ended the connection"),
    })
}

impl State {
    /// One that begins to take connections is about to answer: it is asked often again.
    fn accepts(&mut self, accepts: bool) {
        if self.accepts != accepts {
            self.accepts = accepts;
            self.failures = 0;
        }
    }

    fn failed(&mut self, cause: Cause) {
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.rounds = self.rounds.wrapping_add(1);
        self.not_before = Some(Instant::now() + pause);
        self.cause = Some(cause);
    }
}
