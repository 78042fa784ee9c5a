//! One connector: its plan, its tasks, and what happens when one of them fails.
//!
//! A supervisor owns the tasks and takes orders one at a time; nobody else starts or stops a
//! task. It decides when to try again; what a task does is the delivery part's business.

mod backoff;
mod board;
mod launch;
mod plan;
mod quarantine;
mod slot;
mod supervisor;
mod swap;

use std::sync::Arc;
use std::time::Duration;

use connect_store::Target;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

pub(crate) use board::Board;
pub(crate) use plan::{Plan, PlanError, Within, plan};
pub(crate) use quarantine::Quarantine;

use crate::settings::{Dependencies, WorkerSettings};
use crate::spec::Spec;

/// What all connectors of a worker share.
pub(crate) struct Shared {
    pub(crate) settings: WorkerSettings,
    pub(crate) deps: Dependencies,
    /// Plugins that are not to be tried again.
    pub(crate) quarantine: Quarantine,
    /// Where supervisors and tasks run.
    pub(crate) runtime: Handle,
}

enum Order {
    Pause,
    /// Run; tasks that had given up try again.
    Resume,
    Replace(Box<Plan>),
    /// Go over to other versions of the plugins, task by task; back again where they fail.
    Swap {
        plan: Box<Plan>,
        /// What the connector goes over from, where it has no plan yet.
        from: Option<Box<Plan>>,
        /// The operator has said yes to what it asks for.
        approved: bool,
    },
    Stop(Duration),
}

/// The handle of a running supervisor.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) board: Arc<Board>,
    orders: mpsc::Sender<(Order, oneshot::Sender<()>)>,
}

impl Connector {
    /// Starts a supervisor. Without a plan it makes one itself, and again until it succeeds; within
    /// what is `noted` in words, where another version takes the place of one that is gone.
    pub(crate) fn start(
        shared: Arc<Shared>,
        spec: Arc<Spec>,
        plan: Option<Plan>,
        target: Target,
        noted: Option<Vec<String>>,
    ) -> Self {
        let board = Arc::new(Board::new(&spec, &shared.settings.id));
        let (orders, inbox) = mpsc::channel(8);
        // the caller may be on REST's own runtime, which is not for moving records
        let runtime = shared.runtime.clone();
        let supervisor =
            supervisor::Supervisor::new(shared, spec, plan, target, board.clone(), inbox, noted);
        runtime.spawn(supervisor.run());
        Self { board, orders }
    }

    /// False when the supervisor is gone: it was stopped, or a fault in the worker ended it.
    async fn order(&self, order: Order) -> bool {
        let (done, finished) = oneshot::channel();
        self.orders.send((order, done)).await.is_ok() && finished.await.is_ok()
    }

    /// Drains and ends all tasks; they stay away until resumed. False without a supervisor.
    pub(crate) async fn pause(&self) -> bool {
        self.order(Order::Pause).await
    }

    /// Starts all tasks, also those that had given up. False without a supervisor.
    pub(crate) async fn resume(&self) -> bool {
        self.order(Order::Resume).await
    }

    /// Drains the tasks and goes on with another configuration. False without a supervisor.
    pub(crate) async fn replace(&self, plan: Plan) -> bool {
        self.order(Order::Replace(Box::new(plan))).await
    }

    /// Begins to go over to other versions of the plugins; the board tells how it goes. False without
    /// a supervisor.
    pub(crate) async fn swap(&self, plan: Plan, from: Option<Plan>, approved: bool) -> bool {
        let (plan, from) = (Box::new(plan), from.map(Box::new));
        self.order(Order::Swap {
            plan,
            from,
            approved,
        })
        .await
    }

    /// Drains and ends the tasks and the supervisor, by force after `deadline`. One that is gone
    /// has stopped already.
    pub(crate) async fn stop(&self, deadline: Duration) {
        self.order(Order::Stop(deadline)).await;
    }
}
