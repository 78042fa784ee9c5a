//! The place of one task: whether it runs, with which edition, and how often it has failed.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Plan;
use crate::delivery::{Careful, OrderSender};

/// Where one task stands.
pub(super) enum Stand {
    /// To be started at this moment.
    Due(Instant),
    Running(Instant),
    /// Not to be started without an order.
    GivenUp,
}

/// How far a task's plugin has come with its opening. Written by the task, read by its supervisor.
#[derive(Debug, Default)]
pub(crate) struct Opening(Mutex<Stage>);

#[derive(Clone, Copy, Debug, Default)]
struct Stage {
    opened: Option<Instant>,
    /// Since when it has been putting its opening off.
    put_off: Option<Instant>,
}

impl Opening {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn opened(&self) {
        *self.stage() = Stage {
            opened: Some(Instant::now()),
            put_off: None,
        };
    }

    pub(super) fn puts_off(&self) {
        self.stage().put_off.get_or_insert_with(Instant::now);
    }

    /// When it was opened.
    pub(super) fn since(&self) -> Option<Instant> {
        self.stage().opened
    }

    /// Since when it has been putting its opening off.
    pub(super) fn put_off_since(&self) -> Option<Instant> {
        self.stage().put_off
    }
}

pub(super) struct Slot {
    pub(super) stand: Stand,
    /// What it runs, or will run when it is started.
    pub(super) plan: Arc<Plan>,
    /// The way to the running task.
    pub(super) orders: Option<OrderSender>,
    /// Batches that became durable.
    pub(super) batches: Arc<AtomicU64>,
    /// How far the present run's plugin has come with its opening.
    pub(super) opening: Arc<Opening>,
    pub(super) failures: u32,
    pub(super) suspicions: u32,
    pub(super) careful: Careful,
}

impl Slot {
    /// A task that starts at once.
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            stand: Stand::Due(Instant::now()),
            plan,
            orders: None,
            batches: Arc::default(),
            opening: Arc::default(),
            failures: 0,
            suspicions: 0,
            careful: Careful::new(),
        }
    }

    pub(super) fn running(&self) -> bool {
        matches!(self.stand, Stand::Running(_))
    }

    /// Starts anew with another plan, whatever happened before.
    pub(super) fn begin_with(&mut self, plan: Arc<Plan>) {
        *self = Self {
            batches: self.batches.clone(),
            ..Self::new(plan)
        };
    }
}
