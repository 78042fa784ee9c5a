//! How tasks move records: from a plugin to topics, from topics to a plugin, from plugin to plugin.
//!
//! Each task is one future that owns its instance, its position in the stream and everything in
//! flight. It ends when it is told to, after a drain, or with a [`TaskError`] that says what went
//! wrong with which record. Starting again is the connector's business, not a task's.

pub(crate) mod direct;
pub(crate) mod error;
pub(crate) mod exchange;
mod in_flight;
pub(crate) mod sink;
pub(crate) mod source;

use std::sync::Arc;
use std::time::Duration;

use connect_broker::{Broker, BrokerError};
use connect_record::Queue;
use connect_sandbox::{Access, Lanes};
use connect_store::Store;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub(crate) use error::{Careful, TaskError};
pub(crate) use exchange::{Edition, Exchange, Exchanged, OrderSender, Orders, Stopwatch};

use crate::metrics::TaskMetrics;
use crate::settings::Tuning;
use crate::spec::{Flow, Spec};
use crate::status::Pause;

/// Shortest pause after a plugin asked to be called again.
pub(crate) const SHORTEST_RETRY: Duration = Duration::from_millis(50);

/// What a task is given to work with.
#[derive(Clone)]
pub(crate) struct TaskContext {
    pub(crate) spec: Arc<Spec>,
    /// Number of this task, and of how many.
    pub(crate) task: u32,
    pub(crate) tasks: u32,
    /// What `task-settings` answered for this task.
    pub(crate) settings: Arc<Vec<(String, String)>>,
    pub(crate) access: Access,
    /// Access of the sink's side of a direct task.
    pub(crate) sink_access: Access,
    /// Settings of the sink's side of a direct task.
    pub(crate) sink_settings: Arc<Vec<(String, String)>>,
    /// Its limits and its figures.
    pub(crate) metrics: Arc<TaskMetrics>,
    pub(crate) tuning: Tuning,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) store: Store,
    pub(crate) guests: Lanes,
    /// Cancelled when the task shall drain and end.
    pub(crate) stop: CancellationToken,
    /// What to say while running: running, or waiting for something.
    pub(crate) report: Arc<dyn Report>,
    /// Stretches of queues that are to be put record by record.
    pub(crate) careful: Careful,
}

/// The queues of a topic, which is created where it is missing. A topic that is there keeps the
/// number of queues it has: another number would move keys to other queues.
pub(crate) async fn find_or_create(
    broker: &dyn Broker,
    topic: &str,
    queues: u32,
) -> Result<Vec<Queue>, BrokerError> {
    match broker.topic_queues(topic).await? {
        Some(found) if !found.is_empty() => Ok(found),
        _ => broker.ensure_topic(topic, queues).await,
    }
}

/// The future in `slot`, cleared once it is ready; for ever pending without one.
pub(crate) async fn ready<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    match slot {
        Some(future) => {
            let value = future.await;
            *slot = None;
            value
        }
        None => std::future::pending().await,
    }
}

/// What a running task tells of itself.
pub(crate) trait Report: Send + Sync {
    /// The task is up; `waiting` says for what, if it can do nothing at the moment.
    fn running(&self, waiting: Option<String>);
    /// The plugin asks for its task settings to be computed again.
    fn reconfigure(&self);
    /// The plugin is open.
    fn opened(&self);
    /// The plugin asks for its opening to be tried again later.
    fn puts_off_opening(&self);
    /// A batch is durable: its positions or offsets are stored.
    fn committed(&self);
    /// The task goes over to another edition and finishes what is in flight first.
    fn draining(&self);
    /// The first record after an exchange has passed.
    fn exchanged(&self, pause: Pause);
}

impl TaskContext {
    /// Waits before a call is repeated; true when the task was stopped meanwhile.
    pub(crate) async fn stopped_within(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause.max(SHORTEST_RETRY)) => false,
            () = self.stop.cancelled() => true,
        }
    }

    /// Names the task in errors: plugin, connector and number.
    pub(crate) fn who(&self) -> String {
        let mut plugin = format!("plugin `{}`", self.spec.plugin.description().name);
        if let Flow::Direct { sink, .. } = &self.spec.flow {
            plugin.push_str(&format!(" with sink `{}`", sink.description().name));
        }
        format!(
            "{plugin}, connector `{}`, task {}",
            self.spec.name, self.task
        )
    }

    /// Never more than may be in flight.
    pub(crate) fn batch_records(&self) -> u32 {
        let wanted = self.spec.sizes.batch_records;
        let wanted = wanted.unwrap_or(self.tuning.batch_records);
        let most = u32::try_from(self.metrics.in_flight_limit()).unwrap_or(u32::MAX);
        wanted.min(most)
    }

    pub(crate) fn batch_bytes(&self) -> u32 {
        self.spec
            .sizes
            .batch_bytes
            .unwrap_or(self.tuning.batch_bytes)
    }
}
