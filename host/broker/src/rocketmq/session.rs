//! Client instances of one endpoint: who may use which connection, and how they end.
//!
//! A [`Session`] is a set of client instances (one TCP connection each) to one address, thrown
//! away as a whole when its connection fails, because the client's own circuit breaker would block
//! the address for 30 s after five failed connects. Here is no knowledge of what is sent.
//!
//! When a connection ends, the client lets the requests in progress on it wait for their timeout,
//! which is half a minute for a long poll. So whoever notices the end calls [`Session::end`].
//!
//! The client's handles serialise their calls, so each call in progress has a handle of its own;
//! handles of one instance share its connection. An instance refuses at once what goes beyond 512
//! requests in progress, and beyond 64 written at the same time of the kinds that the library takes
//! for control, hence the bounds below.

use super::clients::Clients;
use super::sync::lock;
use cheetah_string::CheetahString;
use rocketmq_client_rust::{ClientConfig, ClientError, ClientInstanceHandle};
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// Requests in progress on the one instance that carries everything but polls.
const CALLS_AT_ONCE: usize = 48;
/// Long polls on one instance; more open another instance.
const POLLS_PER_INSTANCE: usize = 400;

/// Which connection a request uses: long polls must not stand in the way of sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Calls,
    Polls,
}

/// Why an endpoint cannot be used.
pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The client has too much in progress; the connection is fine.
    Saturated,
    /// The connection is not to be used any more.
    Failed(Cause),
}

impl From<ClientError> for NoAnswer {
    fn from(error: ClientError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// The clients to one address, from a successful connect to the first failure.
pub(super) struct Session {
    clients: Arc<Clients>,
    instances: Mutex<Instances>,
    calls: Semaphore,
    proven: AtomicBool,
    /// Cancelled when the connections are known to be gone.
    ended: CancellationToken,
    ended_by: OnceLock<Cause>,
}

#[derive(Default)]
struct Instances {
    retired: bool,
    calls: Vec<Instance>,
    polls: Vec<Instance>,
}

struct Instance {
    number: u64,
    config: ClientConfig,
    busy: usize,
    idle: Vec<ClientInstanceHandle>,
}

impl Instances {
    fn lane(&mut self, lane: Lane) -> &mut Vec<Instance> {
        match lane {
            Lane::Calls => &mut self.calls,
            Lane::Polls => &mut self.polls,
        }
    }
}

impl Session {
    pub(super) fn new(clients: Arc<Clients>) -> Arc<Self> {
        Arc::new(Self {
            clients,
            instances: Mutex::default(),
            calls: Semaphore::new(CALLS_AT_ONCE),
            proven: AtomicBool::new(false),
            ended: CancellationToken::new(),
            ended_by: OnceLock::new(),
        })
    }

    /// Ends every request in progress, since no answer can come any more, and lets the clients go.
    pub(super) fn end(&self, cause: Cause) {
        // The first cause is the one that counts.
        drop(self.ended_by.set(cause));
        self.ended.cancel();
        self.retire();
    }

    /// Cancelled when this session has ended.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Notes that it was of use.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether it ever was of use.
    pub(super) fn proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for its answer. Dropping the future abandons it: a late answer
    /// is thrown away by the client, and the connection can be used on.
    pub(super) async fn invoke(
        self: &Arc<Self>,
        lane: Lane,
        address: &CheetahString,
        request: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, NoAnswer> {
        let answer = self.answer(lane, address, request, timeout);
        tokio::select! {
            answer = answer => answer,
            () = self.ended.cancelled() => Err(NoAnswer::Failed(self.cause())),
        }
    }

    fn cause(&self) -> Cause {
        let cause = self.ended_by.get().cloned();
        cause.unwrap_or_else(|| Arc::new(std::io::Error::other("the connection was given up")))
    }

    async fn answer(
        self: &Arc<Self>,
        lane: Lane,
        address: &CheetahString,
        request: RemotingCommand,
        timeout: Duration,
    ) -> Result<RemotingCommand, NoAnswer> {
        let _permit: Option<SemaphorePermit<'_>> = match lane {
            Lane::Calls => Some(
                self.calls
                    .acquire()
                    .await
                    .map_err(|_| NoAnswer::Saturated)?,
            ),
            Lane::Polls => None,
        };
        let lease = self.lease(lane).await?;
        let Some(handle) = lease.handle.as_ref() else {
            return Err(NoAnswer::Saturated);
        };
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        match Box::pin(handle.invoke_remoting(address, request, millis)).await {
            Ok(response) => Ok(response),
            Err(error) if error.is(&rocketmq_error::TRANSPORT_ADMISSION_QUEUE_SATURATED) => {
                Err(NoAnswer::Saturated)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A handle that nobody else uses, of an instance that has room.
    async fn lease(self: &Arc<Self>, lane: Lane) -> Result<Lease, ClientError> {
        loop {
            if let Some(lease) = self.take_idle(lane) {
                return Ok(lease);
            }
            // In a task of its own: an instance whose start is cut short can never start again.
            let session = Arc::clone(self);
            let adding = Box::pin(async move { session.add_handle(lane).await });
            match self.clients.spawn(adding).await {
                Ok(added) => added?,
                Err(source) => return Err(ClientError::internal("start client", source)),
            }
        }
    }

    fn take_idle(self: &Arc<Self>, lane: Lane) -> Option<Lease> {
        let mut instances = lock(&self.instances);
        for instance in instances
            .lane(lane)
            .iter_mut()
            .filter(|i| i.busy < POLLS_PER_INSTANCE)
        {
            if let Some(handle) = instance.idle.pop() {
                instance.busy += 1;
                let number = instance.number;
                return Some(Lease {
                    session: Arc::clone(self),
                    lane,
                    number,
                    handle: Some(handle),
                });
            }
        }
        None
    }

    async fn add_handle(&self, lane: Lane) -> Result<(), ClientError> {
        let clients = &self.clients;
        let (number, handle) = {
            let mut instances = lock(&self.instances);
            if instances.retired {
                return Err(ClientError::shutting_down());
            }
            let instances = instances.lane(lane);
            if !instances
                .iter()
                .any(|instance| instance.busy < POLLS_PER_INSTANCE)
            {
                let (number, config) = clients.instance_config()?;
                instances.push(Instance {
                    number,
                    config,
                    busy: 0,
                    idle: Vec::new(),
                });
            }
            let Some(free) = instances.iter().find(|i| i.busy < POLLS_PER_INSTANCE) else {
                return Err(ClientError::not_started());
            };
            let handle = clients.handle(free.number, free.config.clone())?;
            (free.number, handle)
        };
        match handle.start().await {
            Ok(()) => self.give_back(lane, number, handle, false),
            Err(error) => {
                clients.leave(vec![handle]);
                Err(error)
            }
        }
    }

    /// Puts a handle where the next caller finds it, or lets it go when the session is over.
    fn give_back(
        &self,
        lane: Lane,
        number: u64,
        handle: ClientInstanceHandle,
        was_busy: bool,
    ) -> Result<(), ClientError> {
        let mut instances = lock(&self.instances);
        if !instances.retired
            && let Some(instance) = instances.lane(lane).iter_mut().find(|i| i.number == number)
        {
            instance.busy -= usize::from(was_busy);
            instance.idle.push(handle);
            return Ok(());
        }
        drop(instances);
        self.clients.leave(vec![handle]);
        Err(ClientError::shutting_down())
    }

    /// Lets every client go.
    fn retire(&self) {
        let mut instances = lock(&self.instances);
        instances.retired = true;
        let calls = std::mem::take(&mut instances.calls);
        let polls = std::mem::take(&mut instances.polls);
        drop(instances);
        self.clients.leave(
            calls
                .into_iter()
                .chain(polls)
                .flat_map(|i| i.idle)
                .collect(),
        );
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // One that was never used, because the call that opened it was dropped.
        self.retire();
    }
}

/// A handle in use.
struct Lease {
    session: Arc<Session>,
    lane: Lane,
    number: u64,
    handle: Option<ClientInstanceHandle>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            // A retired session lets the handle go by itself; there is nobody to tell.
            drop(self.session.give_back(self.lane, self.number, handle, true));
        }
    }
}
