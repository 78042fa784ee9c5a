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
//! handles of one instance share its connection. An instance admits 512 requests in progress and
//! refuses the next at once, hence the bounds below.

use super::settings::RocketMqSettings;
use super::sync::lock;
use crate::error::BrokerError;
use cheetah_string::CheetahString;
use rocketmq_client_rust::{
    AclClientRPCHook, ClientConfig, ClientError, ClientInstanceHandle, ClientRpcHook,
    ClientRuntime, ClientRuntimeConfig, SessionCredentials,
};
use rocketmq_observability::TelemetryHandle;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_runtime::RuntimeContext;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Requests in progress on the one instance that carries everything but polls.
const CALLS_AT_ONCE: usize = 128;
/// Long polls on one instance; more open another instance.
const POLLS_PER_INSTANCE: usize = 400;
/// Time for clients to go when everything closes.
const CLOSE_WITHIN: Duration = Duration::from_millis(700);

/// Which connection a request uses: long polls must not stand in the way of sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Calls,
    Polls,
}

/// What every session of one [`RocketMq`](crate::RocketMq) shares.
pub(super) struct Clients {
    runtime: Arc<ClientRuntime>,
    context: RuntimeContext,
    hook: Option<Arc<ClientRpcHook>>,
    namesrv: String,
    name: String,
    /// Numbers instances: two clients of one id would end each other's connection.
    next: AtomicU64,
    closed: CancellationToken,
    /// Clients on their way out.
    leaving: TaskTracker,
    tokio: Handle,
    pub(super) request_timeout: Duration,
}

impl Clients {
    pub(super) fn new(settings: &RocketMqSettings) -> Result<Arc<Self>, BrokerError> {
        let namesrv = settings.name_servers()?.join(";");
        let hook = settings.credentials()?.map(|(access, secret)| {
            let credentials = SessionCredentials::with_keys(access, secret);
            Arc::new(AclClientRPCHook::new(credentials)) as Arc<ClientRpcHook>
        });
        let cannot = |reason: String| BrokerError::Setting {
            key: "client",
            reason,
        };
        let tokio = Handle::try_current()
            .map_err(|_| cannot("must be made inside a tokio runtime".to_owned()))?;
        let context = RuntimeContext::from_current("rocketmq-connect");
        let runtime = ClientRuntime::try_new(
            context.service_context("broker-client"),
            ClientRuntimeConfig::default(),
            TelemetryHandle::noop(),
        )
        .map_err(|error| cannot(error.to_string()))?;
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Arc::new(Self {
            runtime,
            context,
            hook,
            namesrv,
            name: format!(
                "{}-{}-{:x}",
                settings.client_name,
                std::process::id(),
                started.as_nanos()
            ),
            next: AtomicU64::new(1),
            closed: CancellationToken::new(),
            leaving: TaskTracker::new(),
            tokio,
            request_timeout: settings.request_timeout,
        }))
    }

    /// Cancelled when everything closes.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Runs something on the runtime on which the connections live.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tokio.spawn(future)
    }

    /// A configuration that no other instance in the world has.
    fn instance_config(&self) -> Result<(u64, ClientConfig), ClientError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut config = ClientConfig::builder()
            .namesrv_addr(self.namesrv.as_str())
            .client_ip("127.0.0.1")
            .build()?;
        config.set_instance_name(format!("{}-{number}", self.name).into());
        Ok((number, config))
    }

    fn leave(&self, handles: Vec<ClientInstanceHandle>) {
        if handles.is_empty() {
            return;
        }
        let leaving = async move {
            for handle in handles {
                handle.shutdown_owned().await;
            }
        };
        drop(self.leaving.spawn_on(Box::pin(leaving), &self.tokio));
    }

    /// Waits for the clients that leave, at most [`CLOSE_WITHIN`], then ends what is left.
    pub(super) async fn close(&self) {
        self.leaving.close();
        if tokio::time::timeout(CLOSE_WITHIN, self.leaving.wait())
            .await
            .is_err()
        {
            tracing::debug!("rocketmq clients did not close in time and are dropped");
        }
        let ending = async {
            drop(self.runtime.shutdown().await);
            drop(
                self.context
                    .shutdown_tasks(Duration::from_millis(100))
                    .await,
            );
        };
        if tokio::time::timeout(Duration::from_millis(200), Box::pin(ending))
            .await
            .is_err()
        {
            tracing::debug!("rocketmq client tasks did not end in time and are dropped");
        }
    }
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
            let handle = ClientInstanceHandle::get_or_create(
                &clients.runtime,
                free.number,
                free.config.clone(),
                clients.hook.clone(),
            )?;
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
