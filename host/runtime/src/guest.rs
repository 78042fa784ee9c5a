//! Guests behind a door: an instance lives in an actor on the guests' own threads, and a task
//! talks to it by messages, so that nothing of the data path ever runs on a thread where a guest
//! may spin. Dropping the handle ends the actor and with it the instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connect_record::{Queue, QueueOffset, ResumePoint};
use connect_rows::Parts;
use connect_sandbox::{CallError, Flushed, Lanes, Polled, Rejected, SinkInstance, SourceInstance};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::delivery::TaskError;

/// Answer to one call: the plugin's own, or that the actor is gone.
pub(crate) type Answer<T> = Result<T, Failed>;

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The plugin or the sandbox said so.
    Call(CallError),
    /// The actor ended, by a panic or because its runtime is going down.
    Gone(&'static str),
}

impl Failed {
    /// As a task's error, with the place it happened at.
    pub(crate) fn at(self, place: impl Into<String>) -> TaskError {
        match self {
            Self::Call(source) => TaskError::Plugin {
                place: place.into(),
                source: Box::new(source),
            },
            Self::Gone(call) => TaskError::Gone { call },
        }
    }
}

type Reply<T> = oneshot::Sender<Result<T, CallError>>;
type Settings = Vec<(String, String)>;

enum SourceCall {
    Open(Settings, Reply<()>),
    Poll {
        records: u32,
        bytes: u32,
        wait: Duration,
        reply: Reply<Polled>,
    },
    Committed(Vec<ResumePoint>, Reply<()>),
    Close(Reply<()>),
}

enum SinkCall {
    Open(Settings, Vec<QueueOffset>, Reply<Vec<QueueOffset>>),
    Assigned(Vec<QueueOffset>, Reply<Vec<QueueOffset>>),
    Revoked(Vec<Queue>, bool, Reply<()>),
    Put(Arc<Parts>, Reply<Vec<Rejected>>),
    Flush(Reply<Flushed>),
    Close(Reply<()>),
}

/// Calls that wait at an instance: one running, a poll and an acknowledgement behind it.
const WAITING: usize = 4;

struct Door<C> {
    calls: mpsc::Sender<C>,
    actor: JoinHandle<()>,
    gone: CancellationToken,
    high_water: HighWater,
}

/// An instance in its actor. It may be dropped later than the actor's handle is done.
struct Held<I> {
    instance: I,
    /// After the instance, so that it tells that it is gone.
    _gone: DropGuard,
}

/// Whether the instance was above its high-water mark after its last call. It is noted before the
/// call is answered, so whoever has the answer sees it.
#[derive(Clone, Default)]
struct HighWater(Arc<AtomicBool>);

impl HighWater {
    fn note(&self, above: bool) {
        self.0.store(above, Ordering::Release);
    }

    fn above(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<C> Drop for Door<C> {
    fn drop(&mut self) {
        self.actor.abort();
    }
}

impl<C> Door<C> {
    /// Ends the actor and waits until its instance is gone.
    async fn end(mut self) {
        self.actor.abort();
        if let Err(error) = (&mut self.actor).await
            && error.is_panic()
        {
            tracing::error!("a guest's actor ended by a panic");
        }
        self.gone.cancelled().await;
    }
}

impl<C: Send + 'static> Door<C> {
    /// Hands a call in at once, in the caller's order; the future waits for the answer and holds
    /// no borrow of the door.
    fn ask<T>(
        &self,
        name: &'static str,
        call: impl FnOnce(Reply<T>) -> C,
    ) -> BoxFuture<'static, Answer<T>>
    where
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let sent = self.calls.try_send(call(reply)).is_ok();
        Box::pin(async move {
            if !sent {
                return Err(Failed::Gone(name));
            }
            match answer.await {
                Ok(result) => result.map_err(Failed::Call),
                Err(_) => Err(Failed::Gone(name)),
            }
        })
    }
}

/// A reply nobody waits for any more is no error: the task has moved on.
fn answer<T>(reply: Reply<T>, result: Result<T, CallError>) {
    if reply.send(result).is_err() {
        tracing::trace!("a guest's answer came after its task had moved on");
    }
}

/// A source's instance.
pub(crate) struct SourceGuest(Door<SourceCall>);

impl SourceGuest {
    pub(crate) fn new(guests: &Lanes, instance: SourceInstance) -> Self {
        let (calls, mut inbox) = mpsc::channel(WAITING);
        let gone = CancellationToken::new();
        let held = Held {
            instance,
            _gone: gone.clone().drop_guard(),
        };
        let high_water = HighWater::default();
        let noted = high_water.clone();
        let actor = guests.spawn(async move {
            let mut held = held;
            let instance = &mut held.instance;
            while let Some(call) = inbox.recv().await {
                match call {
                    SourceCall::Open(settings, reply) => {
                        answer(reply, instance.open(&settings).await)
                    }
                    SourceCall::Poll {
                        records,
                        bytes,
                        wait,
                        reply,
                    } => {
                        let polled = instance.poll(records, bytes, wait).await;
                        noted.note(instance.above_high_water());
                        answer(reply, polled);
                    }
                    SourceCall::Committed(points, reply) => {
                        answer(reply, instance.committed(&points).await)
                    }
                    SourceCall::Close(reply) => answer(reply, instance.close().await),
                }
            }
        });
        Self(Door {
            calls,
            actor,
            gone,
            high_water,
        })
    }

    pub(crate) async fn open(&self, settings: Settings) -> Answer<()> {
        self.0
            .ask("open", |reply| SourceCall::Open(settings, reply))
            .await
    }

    pub(crate) fn poll(
        &self,
        records: u32,
        bytes: u32,
        wait: Duration,
    ) -> BoxFuture<'static, Answer<Polled>> {
        self.0.ask("poll", |reply| SourceCall::Poll {
            records,
            bytes,
            wait,
            reply,
        })
    }

    pub(crate) fn committed(&self, points: Vec<ResumePoint>) -> BoxFuture<'static, Answer<()>> {
        self.0
            .ask("committed", |reply| SourceCall::Committed(points, reply))
    }

    pub(crate) async fn close(&self) -> Answer<()> {
        self.0.ask("close", SourceCall::Close).await
    }

    /// Whether the instance was above its high-water mark after its last poll: it is to be closed and
    /// made again at the next boundary between two batches.
    pub(crate) fn above_high_water(&self) -> bool {
        self.0.high_water.above()
    }

    /// Lets the instance go, and returns when it is gone.
    pub(crate) async fn end(self) {
        self.0.end().await;
    }
}

/// A sink's instance.
pub(crate) struct SinkGuest(Door<SinkCall>);

impl SinkGuest {
    pub(crate) fn new(guests: &Lanes, instance: SinkInstance) -> Self {
        let (calls, mut inbox) = mpsc::channel(WAITING);
        let gone = CancellationToken::new();
        let held = Held {
            instance,
            _gone: gone.clone().drop_guard(),
        };
        let high_water = HighWater::default();
        let noted = high_water.clone();
        let actor = guests.spawn(async move {
            let mut held = held;
            let instance = &mut held.instance;
            while let Some(call) = inbox.recv().await {
                match call {
                    SinkCall::Open(settings, queues, reply) => {
                        answer(reply, instance.open(&settings, &queues).await);
                    }
                    SinkCall::Assigned(queues, reply) => {
                        answer(reply, instance.assigned(&queues).await)
                    }
                    SinkCall::Revoked(queues, lost, reply) => {
                        answer(reply, instance.revoked(&queues, lost).await)
                    }
                    SinkCall::Put(parts, reply) => {
                        let put = instance.put(&parts).await;
                        noted.note(instance.above_high_water());
                        answer(reply, put);
                    }
                    SinkCall::Flush(reply) => answer(reply, instance.flush().await),
                    SinkCall::Close(reply) => answer(reply, instance.close().await),
                }
            }
        });
        Self(Door {
            calls,
            actor,
            gone,
            high_water,
        })
    }

    pub(crate) async fn open(
        &self,
        settings: Settings,
        queues: Vec<QueueOffset>,
    ) -> Answer<Vec<QueueOffset>> {
        self.0
            .ask("open", |reply| SinkCall::Open(settings, queues, reply))
            .await
    }

    pub(crate) fn assigned(
        &self,
        queues: Vec<QueueOffset>,
    ) -> BoxFuture<'static, Answer<Vec<QueueOffset>>> {
        self.0
            .ask("assigned", |reply| SinkCall::Assigned(queues, reply))
    }

    pub(crate) fn revoked(&self, queues: Vec<Queue>, lost: bool) -> BoxFuture<'static, Answer<()>> {
        self.0
            .ask("revoked", |reply| SinkCall::Revoked(queues, lost, reply))
    }

    pub(crate) async fn put(&self, parts: Arc<Parts>) -> Answer<Vec<Rejected>> {
        self.0.ask("put", |reply| SinkCall::Put(parts, reply)).await
    }

    pub(crate) async fn flush(&self) -> Answer<Flushed> {
        self.0.ask("flush", SinkCall::Flush).await
    }

    pub(crate) async fn close(&self) -> Answer<()> {
        self.0.ask("close", SinkCall::Close).await
    }

    /// Whether the instance was above its high-water mark after its last put: it is to be closed and
    /// made again at the next boundary between two batches.
    pub(crate) fn above_high_water(&self) -> bool {
        self.0.high_water.above()
    }

    /// Lets the instance go, and returns when it is gone.
    pub(crate) async fn end(self) {
        self.0.end().await;
    }
}
