//! The supervisor's loop: keeps the tasks of one connector as its target says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connect_store::Target;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::slot::{Slot, Stand};
use super::swap::{Answered, Swap, answered, restore};
use super::{Order, Plan, PlanError, Shared, Within, backoff, plan};
use crate::delivery::{TaskError, ready};
use crate::error::story;
use crate::spec::Spec;
use crate::status::{PluginChange, State};

/// Longest time tasks get to end before a pause or a new configuration goes on without them.
pub(super) const STOP: Duration = Duration::from_secs(30);
/// Shortest time between two plans of a connector.
const REPLAN: Duration = Duration::from_secs(1);
/// How long without a timer a supervisor waits for its next event.
const FAR: Duration = Duration::from_secs(3_600);
/// Suspicious batches in a row after which it counts as a failure like any other.
const SUSPICIONS: u32 = 3;

pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) spec: Arc<Spec>,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) target: Target,
    pub(super) board: Arc<Board>,
    inbox: mpsc::Receiver<(Order, oneshot::Sender<()>)>,
    pub(super) slots: Vec<Slot>,
    /// The change of plugins that is under way.
    pub(super) swap: Option<Swap>,
    /// The digests that the store has for this connector.
    pub(super) remembered: Vec<String>,
    /// What the first plan has to stay within, in words.
    noted: Option<Vec<String>>,
    pub(super) tasks: JoinSet<Result<(), TaskError>>,
    pub(super) numbers: HashMap<Id, u32>,
    pub(super) stop: CancellationToken,
    plan_failures: u32,
    plan_due: Option<Instant>,
    /// The plan being made.
    pub(super) planning: Option<BoxFuture<'static, Result<Plan, PlanError>>>,
    replan_due: Option<Instant>,
}

type Ended = Result<(Id, Result<(), TaskError>), JoinError>;

enum Event {
    Order(Order, oneshot::Sender<()>),
    Ended(Ended),
    Planned(Result<Plan, PlanError>),
    /// A task asks for a new plan.
    Replan,
    /// A task has answered the order to change its plugin, or is gone.
    Exchanged(Answered),
    /// A batch of a plugin on trial is durable.
    Progress,
    Time,
    /// Nobody can give orders any more.
    Alone,
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: Arc<Spec>,
        plan: Option<Plan>,
        target: Target,
        board: Arc<Board>,
        inbox: mpsc::Receiver<(Order, oneshot::Sender<()>)>,
        noted: Option<Vec<String>>,
    ) -> Self {
        Self {
            shared,
            spec,
            plan: None,
            target,
            board,
            inbox,
            slots: Vec::new(),
            swap: None,
            remembered: Vec::new(),
            noted,
            tasks: JoinSet::new(),
            numbers: HashMap::new(),
            stop: CancellationToken::new(),
            plan_failures: 0,
            plan_due: Some(Instant::now()),
            planning: None,
            replan_due: None,
        }
        .with(plan)
    }

    fn with(mut self, plan: Option<Plan>) -> Self {
        if let Some(plan) = plan {
            self.adopt(Arc::new(plan));
        }
        self.pause_if_wished();
        self
    }

    pub(super) fn pause_if_wished(&self) {
        if self.target == Target::Paused {
            self.board.connector(State::Paused, None);
            self.board.tasks(State::Paused);
        }
    }

    pub(super) async fn run(mut self) {
        // a version was on trial when the worker died, whose positions the one before does not read
        let (store, name) = (self.shared.deps.store.clone(), self.spec.name.clone());
        if let Err(error) = restore(&store, &name).await {
            let story = format!("its positions cannot be put back: {}", story(&error));
            tracing::error!(connector = %name, error = story, "the connector does not run");
            self.board.connector(State::Failed, Some(story));
            return;
        }
        loop {
            self.step_swap().await;
            self.remember().await;
            if self.target == Target::Running {
                self.begin_plan();
                self.start_due();
            }
            let event = self.next().await;
            match event {
                Event::Order(order, done) => {
                    let last = matches!(order, Order::Stop(_));
                    self.obey(order).await;
                    if done.send(()).is_err() {
                        tracing::debug!(connector = %self.spec.name, "nobody waits for the order's end");
                    }
                    if last {
                        return;
                    }
                }
                Event::Ended(ended) => self.ended(ended),
                Event::Planned(planned) => self.planned(planned).await,
                Event::Replan => {
                    let soon = Instant::now() + REPLAN;
                    self.replan_due = Some(self.replan_due.map_or(soon, |due| due.min(soon)));
                }
                Event::Exchanged(answered) => self.exchanged(answered),
                Event::Time | Event::Progress => {}
                Event::Alone => {
                    self.end_tasks(STOP).await;
                    return;
                }
            }
        }
    }

    async fn next(&mut self) -> Event {
        let now = Instant::now();
        let mut due = now + FAR;
        if self.target == Target::Running {
            let starts = self.slots.iter().filter_map(|slot| match slot.stand {
                Stand::Due(at) => Some(at),
                Stand::Running(_) | Stand::GivenUp => None,
            });
            let plans = match &self.plan {
                None => self.plan_due,
                Some(_) => self.replan_due,
            };
            // one thing at a time: a new split waits for a change of plugins to be over
            let plans = plans.filter(|_| self.planning.is_none() && self.swap.is_none());
            let trusted = self.swap.as_ref().and_then(|swap| swap.look_at);
            due = starts.chain(plans).chain(trusted).fold(due, Instant::min);
        }
        let swapping = self.swap.is_some();
        let exchange = self.swap.as_mut().map(|swap| &mut swap.under_way);
        tokio::select! {
            biased;
            order = self.inbox.recv() => match order {
                Some((order, done)) => Event::Order(order, done),
                None => Event::Alone,
            },
            Some(ended) = self.tasks.join_next_with_id() => Event::Ended(ended),
            () = self.board.replan.notified() => Event::Replan,
            planned = ready(&mut self.planning) => Event::Planned(planned),
            answered = answered(exchange) => Event::Exchanged(answered),
            () = self.board.progress.notified(), if swapping => Event::Progress,
            () = tokio::time::sleep_until(due) => Event::Time,
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Pause => {
                self.target = Target::Paused;
                self.planning = None;
                self.end_tasks(STOP).await;
                self.pause_if_wished();
            }
            Order::Resume => {
                self.target = Target::Running;
                self.plan_failures = 0;
                self.plan_due = Some(Instant::now());
                for slot in &mut self.slots {
                    if !slot.running() {
                        slot.stand = Stand::Due(Instant::now());
                        slot.failures = 0;
                    }
                }
                if self.plan.is_some() {
                    self.board.connector(State::Running, None);
                }
            }
            Order::Swap {
                plan,
                from,
                approved,
            } => {
                self.begin_swap(*plan, from.map(|from| *from), approved)
                    .await;
            }
            Order::Replace(plan) => {
                self.planning = None;
                self.end_tasks(STOP).await;
                self.give_up_swap(&plan).await;
                self.adopt(Arc::new(*plan));
                self.pause_if_wished();
            }
            Order::Stop(deadline) => {
                self.end_tasks(deadline).await;
                self.keep_trial().await;
                self.board.connector(State::Stopped, None);
                self.board.tasks(State::Stopped);
            }
        }
    }

    /// Begins to plan where there is no plan, or a new one is wanted, and it is time to. Orders are
    /// heard meanwhile: a plugin may take its time.
    fn begin_plan(&mut self) {
        let due = match &self.plan {
            None => self.plan_due,
            Some(_) => self.replan_due,
        };
        if self.planning.is_some()
            || self.swap.is_some()
            || due.is_none_or(|due| due > Instant::now())
        {
            return;
        }
        self.replan_due = None;
        let (shared, spec) = (self.shared.clone(), self.spec.clone());
        let noted = self.noted.clone();
        let present = self.plan.as_ref().map(|plan| plan.accesses());
        self.planning = Some(Box::pin(async move {
            let within = match (&present, &noted) {
                (Some(present), _) => Within::Access(present),
                (None, Some(noted)) => Within::Words(noted),
                (None, None) => Within::Grants,
            };
            plan(&shared, spec, within).await
        }));
    }

    async fn planned(&mut self, planned: Result<Plan, PlanError>) {
        let pause = planned.as_ref().ok().and_then(|plan| plan.recheck);
        match (planned, &self.plan) {
            // made with what is on its way out
            _ if self.swap.is_some() => {}
            (Ok(plan), None) => self.adopt(Arc::new(plan)),
            (Ok(fresh), Some(current)) if fresh.tasks != current.tasks => {
                tracing::info!(connector = %self.spec.name, tasks = fresh.tasks.len(), "the plugin split its work anew");
                self.end_tasks(STOP).await;
                self.adopt(Arc::new(fresh));
            }
            (Ok(_), Some(_)) => self.replan_after(pause),
            (Err(error), Some(current)) => {
                tracing::warn!(connector = %self.spec.name, error = story(&error), "the tasks could not be planned anew; the present ones go on");
                let pause = current.recheck;
                self.replan_after(pause);
            }
            (Err(error), None) => self.plan_failed(&error),
        }
    }

    fn plan_failed(&mut self, error: &PlanError) {
        self.plan_failures += 1;
        let restart = &self.shared.settings.restart;
        let pause = error
            .may_pass()
            .then(|| backoff::pause(restart, self.plan_failures, self.seed()))
            .flatten();
        self.plan_due = pause.map(|pause| Instant::now() + pause);
        if let PlanError::NeedsApproval(asks) = error {
            self.board.change(Some(PluginChange::NeedsApproval {
                to: self.spec.in_use(),
                asks: asks.clone(),
            }));
        }
        let story = story(error);
        tracing::error!(connector = %self.spec.name, error = story, "the connector cannot be planned");
        self.board
            .connector(State::Failed, Some(format!("{story}; {}", next_try(pause))));
    }

    pub(super) fn replan_after(&mut self, pause: Option<Duration>) {
        self.replan_due = pause.map(|pause| Instant::now() + pause.max(REPLAN));
    }

    /// Goes over to a plan. A task whose settings stay what they were keeps its record of failures,
    /// or a plugin that plans anew now and then would never be given up.
    pub(super) fn adopt(&mut self, plan: Arc<Plan>) {
        let before = self.plan.take();
        let same_spec = Arc::ptr_eq(&self.spec, &plan.spec);
        let mut old = std::mem::take(&mut self.slots).into_iter();
        for (place, settings) in plan.tasks.iter().enumerate() {
            let known = old.next();
            let earlier = before.as_ref().and_then(|plan| plan.tasks.get(place));
            let unchanged = same_spec && earlier == Some(settings);
            let slot = match known.filter(|_| unchanged) {
                Some(slot) => Slot {
                    plan: plan.clone(),
                    ..slot
                },
                None => Slot::new(plan.clone()),
            };
            self.slots.push(slot);
        }
        self.spec = plan.spec.clone();
        self.board.planned(&plan);
        self.board.connector(State::Running, None);
        self.plan_failures = 0;
        self.replan_after(plan.recheck);
        self.plan = Some(plan);
    }

    /// Tells the tasks to stop, waits for them, and ends by force those that do not.
    pub(super) async fn end_tasks(&mut self, deadline: Duration) {
        self.stop.cancel();
        let until = Instant::now() + deadline;
        while let Ok(Some(ended)) =
            tokio::time::timeout_at(until, self.tasks.join_next_with_id()).await
        {
            self.ended(ended);
        }
        if !self.tasks.is_empty() {
            tracing::warn!(connector = %self.spec.name, tasks = self.tasks.len(), "tasks that did not end in time are ended by force; what they had not committed comes again");
            self.tasks.shutdown().await;
        }
        self.numbers.clear();
        self.stop = CancellationToken::new();
        for slot in &mut self.slots {
            if slot.running() {
                slot.stand = Stand::Due(Instant::now());
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        // a task that has gone over and failed right away has answered first
        self.hear_exchange();
        let (id, result) = match ended {
            Ok((id, result)) => (id, result.map_err(Some)),
            Err(error) => (error.id(), Err(None)),
        };
        let Some(number) = self.numbers.remove(&id) else {
            return;
        };
        let seed = self.seed();
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let now = Instant::now();
        let ran = match slot.stand {
            Stand::Running(since) => now.duration_since(since),
            Stand::Due(_) | Stand::GivenUp => Duration::ZERO,
        };
        let error = match result {
            Ok(()) => {
                slot.stand = Stand::Due(now);
                return;
            }
            Err(error) => error,
        };
        if let Some(error) = &error
            && self.failed_on_trial(number, error)
        {
            return;
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        let restart = &self.shared.settings.restart;
        let (story, last) = match &error {
            Some(error) => (story(error), error.final_word()),
            None => (
                "the task ended by a fault in the worker itself; see its log".to_owned(),
                false,
            ),
        };
        // a call that hangs until its limit is no sign of health
        if ran >= restart.healthy + self.shared.settings.limits.longest_call(&self.spec) {
            slot.failures = 0;
            slot.suspicions = 0;
            slot.careful.clear();
        }
        if let Some(TaskError::Suspect { careful, .. }) = &error {
            for (queue, end) in careful {
                let known = slot.careful.entry(queue.clone()).or_default();
                *known = (*known).max(*end);
            }
            slot.suspicions += 1;
            if slot.suspicions <= SUSPICIONS {
                tracing::warn!(connector = %self.spec.name, task = number, error = story, "a batch failed; its records follow one at a time");
                slot.stand = Stand::Due(now);
                return;
            }
        }
        slot.failures += 1;
        let pause = if last {
            None
        } else {
            backoff::pause(restart, slot.failures, seed ^ u64::from(number))
        };
        slot.stand = pause.map_or(Stand::GivenUp, |pause| Stand::Due(now + pause));
        tracing::error!(connector = %self.spec.name, task = number, error = story, "the task failed");
        self.board.task(
            number,
            State::Failed,
            Some(format!("{story}; {}", next_try(pause))),
        );
    }

    /// Something that differs between connectors and moments, for spreading restarts.
    fn seed(&self) -> u64 {
        let name = self.spec.name.bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        name.wrapping_add(u64::from(self.plan_failures))
            .wrapping_add(self.slots.iter().map(|slot| u64::from(slot.failures)).sum())
    }
}

fn next_try(pause: Option<Duration>) -> String {
    match pause {
        Some(pause) => format!("next try in {:.1} s", pause.as_secs_f64()),
        None => "it stays so until it is resumed or its configuration is changed".to_owned(),
    }
}
