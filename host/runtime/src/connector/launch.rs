//! Starting the tasks that are due, each with the edition that its slot holds.

use std::sync::Arc;

use tokio::time::Instant;

use super::board::TaskReport;
use super::slot::Stand;
use super::supervisor::Supervisor;
use crate::delivery::{Edition, Orders, TaskContext, direct, sink, source};
use crate::spec::Flow;

impl Supervisor {
    pub(super) fn start_due(&mut self) {
        let now = Instant::now();
        for (number, slot) in (0..).zip(self.slots.iter_mut()) {
            if !matches!(slot.stand, Stand::Due(at) if at <= now) {
                continue;
            }
            let Some(edition) = slot.plan.edition(number) else {
                continue;
            };
            let Edition {
                spec,
                settings,
                access,
                sink_access,
                sink_settings,
            } = edition;
            slot.opening = Arc::default();
            let flow = spec.flow.clone();
            let context = TaskContext {
                spec,
                task: number,
                tasks: u32::try_from(slot.plan.tasks.len()).unwrap_or(u32::MAX),
                settings,
                access,
                sink_access,
                sink_settings,
                metrics: self.board.metrics.starts(
                    number,
                    &slot.plan.spec,
                    &self.shared.settings.limits,
                ),
                tuning: self.shared.settings.tuning.clone(),
                broker: self.shared.deps.broker.clone(),
                store: self.shared.deps.store.clone(),
                guests: self.shared.deps.guests.clone(),
                stop: self.stop.clone(),
                report: Arc::new(TaskReport {
                    board: self.board.clone(),
                    task: number,
                    batches: slot.batches.clone(),
                    opening: slot.opening.clone(),
                }),
                careful: slot.careful.clone(),
            };
            let (sender, orders) = Orders::channel();
            slot.orders = Some(sender);
            let handle = match flow {
                Flow::Source { .. } => self.tasks.spawn(source::run(context, orders)),
                Flow::Sink { .. } => self.tasks.spawn(sink::run(context, orders)),
                Flow::Direct { .. } => self.tasks.spawn(direct::run(context, orders)),
            };
            self.numbers.insert(handle.id(), number);
            slot.stand = Stand::Running(now);
        }
    }
}
