//! Going over to other versions of a connector's plugins while records flow, and back where they
//! turn out to be bad.
//!
//! Tasks go over one after the other. Where the new version splits the work otherwise, or writes
//! positions that the old one does not read, all tasks stop first. A new version is on trial until
//! every task has made some batches durable, or has run for a while; if it fails before that, all
//! tasks go back to the old one at what is durable, and the version is put into quarantine. What
//! fails later is a failure like any other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connect_sandbox::Plugin;
use connect_store::{Edition, Store, StoreError, Target};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::Plan;
use super::supervisor::{STOP, Supervisor};
use crate::delivery::{Exchange, Exchanged, TaskError, ready};
use crate::error::story;
use crate::spec::Flow;
use crate::status::{PluginChange, PluginInUse, SwapOutcome};

/// What came of telling a task to go over to a plan; nothing when the task is gone.
pub(super) struct Answered {
    task: u32,
    plan: Arc<Plan>,
    exchanged: Option<Exchanged>,
}

type Answer = BoxFuture<'static, Answered>;

/// A change of plugins under way.
pub(super) struct Swap {
    /// What the connector goes back to.
    old: Arc<Plan>,
    new: Arc<Plan>,
    /// Tasks that have yet to go over.
    left: VecDeque<u32>,
    /// The task that is going over.
    pub(super) under_way: Option<Answer>,
    /// Why the connector goes back, once it does.
    back: Option<String>,
    /// All tasks have to stop before they go back.
    stop_first: bool,
    /// When to look again without an event; none while not all tasks have gone over.
    pub(super) look_at: Option<Instant>,
    /// Durable batches of each task when it had gone over.
    baseline: Vec<u64>,
}

/// What an opening that is put off is looked at in.
const LOOK: Duration = Duration::from_millis(500);
/// So much longer than its longest call a version is on trial at least.
const MARGIN: Duration = Duration::from_secs(1);

impl Swap {
    /// What the tasks are going over to.
    fn target(&self) -> &Arc<Plan> {
        if self.back.is_some() {
            &self.old
        } else {
            &self.new
        }
    }

    /// Whether the new version writes positions that the old one does not read. The store keeps those
    /// from before then.
    fn other_format(&self) -> bool {
        formats(&self.old) != formats(&self.new)
    }
}

/// The answer of the task that is going over; for ever pending without one.
pub(super) async fn answered(under_way: Option<&mut Option<Answer>>) -> Answered {
    match under_way {
        Some(under_way) => ready(under_way).await,
        None => std::future::pending().await,
    }
}

impl Supervisor {
    /// Takes up the order to go over to `plan`; `from` is what the connector runs where it has no plan
    /// of its own yet.
    pub(super) async fn begin_swap(&mut self, plan: Plan, from: Option<Plan>, approved: bool) {
        self.planning = None;
        if let (None, Some(from)) = (&self.plan, from) {
            self.adopt(Arc::new(from));
            self.pause_if_wished();
        }
        let Some(current) = self.plan.clone() else {
            // what it ran cannot be planned: there is nothing to go over from, nor to go back to
            self.board.change(None);
            self.adopt(Arc::new(plan));
            self.pause_if_wished();
            return;
        };
        if current.spec.digests() == plan.spec.digests() {
            return;
        }
        let more = current.asks_less_than(&plan);
        if !more.is_empty() && !approved {
            self.board.change(Some(PluginChange::NeedsApproval {
                to: plan.in_use(),
                asks: more,
            }));
            return;
        }
        let new = Arc::new(plan);
        tracing::info!(connector = %self.spec.name, from = %current.name(), to = %new.name(), "the connector goes over to another version of its plugin");
        self.board.change(Some(PluginChange::Draining {
            from: current.in_use(),
            to: new.in_use(),
        }));
        // a version that is still on trial is not what anyone goes back to
        let (old, under_way) = match self.swap.take() {
            Some(trial) => (trial.old, trial.under_way),
            None => (current.clone(), None),
        };
        let other_format = formats(&old) != formats(&new) || formats(&current) != formats(&new);
        let other_split = current.tasks != new.tasks || current.sink_tasks != new.sink_tasks;
        let mut swap = Swap {
            old,
            new: new.clone(),
            left: (0..).take(self.slots.len()).collect(),
            under_way,
            back: None,
            stop_first: other_format || other_split,
            look_at: None,
            baseline: Vec::new(),
        };
        if swap.stop_first {
            self.end_tasks(STOP).await;
            swap.under_way = None;
            swap.left.clear();
            let (store, name) = (self.shared.deps.store.clone(), self.spec.name.clone());
            if let Err(error) = settle_positions(&store, &name, swap.other_format()).await {
                let reason = format!("positions cannot be kept: {}", story(&error));
                self.board
                    .swapped(&current, &new, SwapOutcome::Refused { reason });
                self.board.change(None);
                return;
            }
            self.adopt(new.clone());
            self.pause_if_wished();
        } else {
            self.plan = Some(new.clone());
            self.spec = new.spec.clone();
        }
        self.swap = Some(swap);
    }

    /// Does what can be done now of a change that is under way.
    pub(super) async fn step_swap(&mut self) {
        let gone = |swap: &Swap| swap.under_way.is_none() && swap.left.is_empty();
        let goes_back = |swap: &Swap| swap.back.is_some();
        loop {
            self.go_over().await;
            if !self.swap.as_ref().is_some_and(gone) {
                return;
            }
            self.over().await;
            // what it has just learnt may send the tasks back, which nothing else would begin
            if !self.swap.as_ref().is_some_and(goes_back) {
                return;
            }
        }
    }

    /// Lets the next tasks go over, or back.
    async fn go_over(&mut self) {
        if self
            .swap
            .as_ref()
            .is_some_and(|swap| swap.back.is_some() && swap.stop_first)
        {
            self.go_back_together().await;
        }
        let Some(swap) = &mut self.swap else { return };
        while swap.under_way.is_none()
            && let Some(task) = swap.left.front().copied()
        {
            let target = swap.target().clone();
            let slot = usize::try_from(task).ok();
            let slot = slot.and_then(|index| self.slots.get_mut(index));
            let (Some(slot), Some(edition)) = (slot, target.edition(task)) else {
                swap.left.pop_front();
                continue;
            };
            if Arc::ptr_eq(&slot.plan, &target) {
                swap.left.pop_front();
                continue;
            }
            if !slot.running() {
                slot.begin_with(target);
                swap.left.pop_front();
                continue;
            }
            let (order, answered) = Exchange::to(edition);
            let plan = target;
            let sent = slot.orders.as_ref();
            if sent.is_none_or(|orders| orders.try_send(order).is_err()) {
                // it is ending: its end comes as an event, and then it is started with the target;
                // an order that it has not taken up yet is `under_way`
                return;
            }
            swap.left.pop_front();
            swap.under_way = Some(Box::pin(async move {
                let exchanged = answered.await.ok();
                Answered {
                    task,
                    plan,
                    exchanged,
                }
            }));
        }
    }

    /// All tasks have gone over, or back.
    async fn over(&mut self) {
        let running = self.target == Target::Running;
        let reload = self.shared.settings.reload.clone();
        let Some(swap) = &mut self.swap else { return };
        if let Some(reason) = swap.back.clone() {
            let (old, new) = (swap.old.clone(), swap.new.clone());
            self.swap = None;
            self.plan = Some(old.clone());
            self.spec = old.spec.clone();
            self.board.uses(&old);
            let shared = self.shared.clone();
            for plugin in changed(&old, &new) {
                shared.quarantine.add(plugin, &reason).await;
            }
            let outcome = SwapOutcome::RolledBack {
                reason: reason.clone(),
            };
            self.board.swapped(&new, &old, outcome);
            let failed = changed(&old, &new).into_iter();
            self.board.change(Some(PluginChange::Quarantined {
                plugins: failed.map(PluginInUse::of).collect(),
                reason,
            }));
            return;
        }
        if swap.look_at.is_none() {
            let count = |slot: &super::slot::Slot| slot.batches.load(Ordering::Acquire);
            swap.baseline = self.slots.iter().map(count).collect();
            self.board.uses(&swap.new);
            self.board.change(Some(PluginChange::OnTrial {
                from: swap.old.in_use(),
                to: swap.new.in_use(),
            }));
            self.board.watch(true);
        }
        let now = Instant::now();
        swap.look_at = Some(now + LOOK);
        // nothing can be learnt of a plugin that does not work
        if !running {
            return;
        }
        let patience = self.shared.settings.tuning.drain;
        let put_off = self
            .slots
            .iter()
            .filter_map(|slot| slot.opening.put_off_since());
        if put_off.min().is_some_and(|since| now >= since + patience) {
            swap.stop_first = true;
            self.go_back(format!("it did not open within {} s", patience.as_secs()));
            return;
        }
        let proven = self.slots.iter().zip(&swap.baseline).all(|(slot, before)| {
            slot.running()
                && slot.batches.load(Ordering::Acquire)
                    >= before + u64::from(reload.confirm_batches)
        });
        // a call that hangs until its limit is no sign of health
        let longest = self.shared.settings.limits.longest_call(&swap.new.spec);
        let trial = reload.confirm_after.max(longest + MARGIN);
        let open = self.slots.iter().map(|slot| slot.opening.since());
        let all_open = open.collect::<Option<Vec<Instant>>>();
        let last_open = all_open.and_then(|open| open.into_iter().max());
        let at_work = self.slots.iter().all(super::slot::Slot::running);
        let late = last_open.is_some_and(|last| now >= last + trial);
        if !(proven || (at_work && late)) {
            return;
        }
        let (old, new) = (swap.old.clone(), swap.new.clone());
        self.swap = None;
        self.board.watch(false);
        self.board.swapped(&old, &new, SwapOutcome::Swapped);
        self.board.change(None);
        self.replan_after(new.recheck);
        tracing::info!(connector = %self.spec.name, to = %new.name(), "the new version of the plugin is trusted from here on");
    }

    /// Hears the answer of the task that is going over, if it is there.
    pub(super) fn hear_exchange(&mut self) {
        let Some(swap) = &mut self.swap else { return };
        let answer = swap.under_way.as_mut().and_then(FutureExt::now_or_never);
        if let Some(answered) = answer {
            swap.under_way = None;
            self.exchanged(answered);
        }
    }

    /// A task has answered the order to go over, or is gone.
    pub(super) fn exchanged(&mut self, answered: Answered) {
        let Answered {
            task,
            plan,
            exchanged,
        } = answered;
        let Some(swap) = &mut self.swap else { return };
        match exchanged {
            Some(Exchanged::Open) => {
                let slot = usize::try_from(task).ok();
                if let Some(slot) = slot.and_then(|index| self.slots.get_mut(index)) {
                    slot.plan = plan;
                    slot.failures = 0;
                    slot.suspicions = 0;
                }
            }
            // of a plan that is not wanted any more
            Some(Exchanged::Refused(_)) if !Arc::ptr_eq(&plan, swap.target()) => {
                swap.left.push_front(task);
            }
            Some(Exchanged::Refused(error)) if swap.back.is_some() => {
                tracing::error!(connector = %self.spec.name, task, error = %story(&error), "the old version of the plugin did not open; its tasks are started anew");
                swap.stop_first = true;
            }
            Some(Exchanged::Refused(error)) => self.go_back(story(&error)),
            // it failed by itself, or was stopped; when it is started again, it is with the target
            None => swap.left.push_front(task),
        }
    }

    /// Whether a task's failure is that of a version on trial; the connector goes back then.
    pub(super) fn failed_on_trial(&mut self, task: u32, error: &TaskError) -> bool {
        let Some(swap) = &self.swap else { return false };
        let slot = usize::try_from(task).ok();
        let Some(slot) = slot.and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        let new = Arc::ptr_eq(&slot.plan, &swap.new);
        // what a sink's converter cannot read is the message's fault
        let message = matches!(error, TaskError::Record { .. })
            && matches!(self.spec.flow, Flow::Sink { .. });
        if !new || swap.back.is_some() || message || !error.blames_plugin() {
            return false;
        }
        slot.begin_with(if swap.stop_first {
            swap.new.clone()
        } else {
            swap.old.clone()
        });
        self.go_back(story(error));
        true
    }

    fn go_back(&mut self, reason: String) {
        let Some(swap) = &mut self.swap else { return };
        tracing::error!(connector = %self.spec.name, from = %swap.new.name(), to = %swap.old.name(), reason, "a new version of the plugin failed; the connector goes back to the one before");
        swap.back = Some(reason);
        swap.look_at = None;
        swap.left = (0..).take(self.slots.len()).collect();
        self.board.watch(false);
    }

    /// Goes back with all tasks at once, to the positions from before where the old version does not
    /// read the new ones.
    async fn go_back_together(&mut self) {
        self.end_tasks(STOP).await;
        let Some(swap) = &mut self.swap else { return };
        swap.under_way = None;
        swap.left.clear();
        swap.stop_first = false;
        let old = swap.old.clone();
        if swap.other_format() {
            let (store, name) = (self.shared.deps.store.clone(), self.spec.name.clone());
            put_back(&store, &name).await;
        }
        self.adopt(old);
        self.pause_if_wished();
    }

    /// The change ends here, since the connector gets another plan; all its tasks have ended.
    pub(super) async fn give_up_swap(&mut self, plan: &Plan) {
        let Some(swap) = self.swap.take() else { return };
        self.board.watch(false);
        self.board.change(None);
        if swap.other_format() && formats(plan) == formats(&swap.old) {
            let (store, name) = (self.shared.deps.store.clone(), self.spec.name.clone());
            put_back(&store, &name).await;
        }
        let reason = "the connector's configuration was changed".to_owned();
        self.board
            .swapped(&swap.old, &swap.new, SwapOutcome::Refused { reason });
    }

    /// The tasks were stopped in good order: what a version on trial has made durable in another format
    /// is not to come again, so the next start goes on with it and not with the one before.
    pub(super) async fn keep_trial(&mut self) {
        let Some(swap) = &self.swap else { return };
        if swap.other_format() && swap.back.is_none() {
            let new = swap.new.clone();
            self.note_edition(&new).await;
        }
    }

    /// Notes in the store which versions this connector runs with, so that a worker that starts
    /// again begins with them. A version on trial is not noted yet.
    pub(super) async fn remember(&mut self) {
        if self.swap.is_some() {
            return;
        }
        if let Some(plan) = self.plan.clone()
            && plan.spec.digests() != self.remembered
        {
            self.note_edition(&plan).await;
        }
    }

    async fn note_edition(&mut self, plan: &Plan) {
        // not through `self`: the futures it holds are not shared between threads
        let digests = plan.spec.digests();
        let edition = Edition {
            digests: digests.clone(),
            access: plan.access_words(),
        };
        let name = self.spec.name.clone();
        let store = self.shared.deps.store.clone();
        let stored = store.set_edition(&name, edition).await;
        if let Err(error) = stored {
            tracing::error!(connector = %name, error = %story(&error), "the version of the plugin in use could not be stored");
        }
        self.remembered = digests;
    }
}

/// Keeps the positions from before where the new version writes others, and puts them in force again
/// where a version on trial had written others.
async fn settle_positions(
    store: &Store,
    connector: &str,
    other_format: bool,
) -> Result<(), StoreError> {
    if other_format {
        store.set_aside(connector).await
    } else {
        restore(store, connector).await
    }
}

/// Puts positions from before in force again, where the connector goes on whether that succeeds or not.
async fn put_back(store: &Store, connector: &str) {
    if let Err(error) = restore(store, connector).await {
        tracing::error!(connector, error = %story(&error), "the positions from before the change could not be stored");
    }
}

/// Puts positions from before in force again, if there are any.
pub(super) async fn restore(store: &Store, connector: &str) -> Result<(), StoreError> {
    let Some(before) = store.aside(connector)? else {
        return Ok(());
    };
    let now = store.positions(connector)?;
    let before: HashMap<_, _> = before.into_iter().collect();
    let moved = now
        .iter()
        .filter(|(partition, position)| before.get(partition) != Some(position))
        .count();
    store.put_back(connector).await?;
    tracing::warn!(
        connector,
        partitions = moved,
        "positions from before the change are in force again; records since then come once more"
    );
    Ok(())
}

/// Numbers of the position formats that a plan's plugins write.
fn formats(plan: &Plan) -> Vec<u32> {
    let plugins = plan.plugins().into_iter();
    plugins
        .map(|plugin| plugin.description().position_format)
        .collect()
}

/// The plugins of `new` that `old` does not have.
fn changed<'a>(old: &Plan, new: &'a Plan) -> Vec<&'a Plugin> {
    let known = old.spec.digests();
    let plugins = new.plugins().into_iter();
    plugins
        .filter(|plugin| !known.iter().any(|digest| digest == plugin.digest()))
        .collect()
}
