//! The place of one task: whether it runs, with which edition, and how often it has failed.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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

pub(super) struct Slot {
    pub(super) stand: Stand,
    /// What it runs, or will run when it is started.
    pub(super) plan: Arc<Plan>,
    /// The way to the running task.
    pub(super) orders: Option<OrderSender>,
    /// Batches that became durable.
    pub(super) batches: Arc<AtomicU64>,
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
