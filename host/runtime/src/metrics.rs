//! What a task may use and what it has used, over all its runs. Written by the task once a batch at
//! most, read by whoever asks; never waits, and decides nothing about the task.

use std::sync::{Arc, Mutex, PoisonError};

use connect_sandbox::{Access, Limits, Meter, Plugin, Role, TaskScope};

use crate::delivery::TaskContext;
use crate::limits::LimitLevels;
use crate::spec::{Flow, Spec};

/// The figures of one task.
#[derive(Debug, Default)]
pub(crate) struct TaskMetrics {
    sides: Mutex<Vec<Side>>,
}

/// One plugin's part in a task; a direct task has two.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    plugin: String,
    role: Role,
    limits: Limits,
    meter: Meter,
}

impl TaskMetrics {
    /// The task is about to start anew, maybe with another plugin.
    pub(crate) fn starts(&self, spec: &Spec, levels: &LimitLevels) {
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut *sides);
        let side = |plugin: &Plugin| {
            let (name, role) = (&plugin.description().name, plugin.role());
            let before = known
                .iter()
                .find(|side| side.role == role && side.plugin == *name);
            Side {
                plugin: name.clone(),
                role,
                limits: levels.of(name, &spec.name),
                meter: before.map(|side| side.meter.clone()).unwrap_or_default(),
            }
        };
        sides.push(side(&spec.plugin));
        if let Flow::Direct { sink, .. } = &spec.flow {
            sides.push(side(sink));
        }
    }

    /// What holds for the plugin of this role.
    fn side(&self, role: Role) -> Option<Side> {
        let sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        sides.iter().find(|side| side.role == role).cloned()
    }
}

impl TaskContext {
    /// On whose behalf and within which bounds an instance of this role is made.
    pub(crate) fn scope(&self, role: Role, access: Access) -> TaskScope {
        let (limits, meter) = match self.metrics.side(role) {
            Some(side) => (side.limits, side.meter),
            // no task has a plugin of a role that it did not start with
            None => (Limits::default(), Meter::default()),
        };
        TaskScope {
            connector: self.spec.name.to_string(),
            task: self.task,
            limits,
            access,
            meter,
        }
    }
}

/// The figures of all tasks of a connector by number.
#[derive(Debug, Default)]
pub(crate) struct ConnectorMetrics(Mutex<Vec<Arc<TaskMetrics>>>);

impl ConnectorMetrics {
    /// Of one task, which is about to start.
    pub(crate) fn starts(&self, task: u32, spec: &Spec, levels: &LimitLevels) -> Arc<TaskMetrics> {
        let metrics = self.task(task);
        metrics.starts(spec, levels);
        metrics
    }

    /// Of one task, which may never have started.
    pub(crate) fn task(&self, task: u32) -> Arc<TaskMetrics> {
        let index = usize::try_from(task).unwrap_or(usize::MAX);
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.len() <= index {
            tasks.resize_with(index.saturating_add(1), Arc::default);
        }
        tasks.get(index).cloned().unwrap_or_default()
    }
}
