//! What a task may use and what it has used, over all its runs. Written by the task once a batch at
//! most, read by whoever asks; never waits, and decides nothing about the task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connect_sandbox::{Access, Limit, Limits, Meter, Plugin, Role, TaskScope, Usage};

use crate::delivery::TaskContext;
use crate::limits::LimitLevels;
use crate::spec::{Flow, Spec};

/// The figures of one task.
#[derive(Debug, Default)]
pub(crate) struct TaskMetrics(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    sides: Vec<Side>,
    moved: Moved,
    starts: u64,
    failures: u64,
    /// Taken on by the present run since nothing was in flight the last time.
    taken: Amount,
    /// Of those, gone for good.
    gone: Amount,
    /// Whether `in-flight-records` is reached.
    full: bool,
}

/// One plugin's part in a task; a direct task has two.
#[derive(Clone, Debug)]
struct Side {
    plugin: String,
    role: Role,
    limits: Limits,
    meter: Meter,
}

#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    records: u64,
    bytes: u64,
}

/// What went through a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Records the task took on: out of a source's polls, into a sink's puts.
    pub records_in: u64,
    /// Their bytes, with keys, headers and positions.
    pub bytes_in: u64,
    /// Batches they came in.
    pub batches: u64,
    /// Records it is done with: confirmed by the broker, or durable in the sink.
    pub records_out: u64,
    /// Their bytes, as messages where they were sent.
    pub bytes_out: u64,
    /// Records it has taken on and is not done with.
    pub in_flight_records: u64,
}

/// What a task has moved and used since the worker started, or the connector was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskUsage {
    /// Records and bytes.
    pub moved: Moved,
    /// How often the task was started.
    pub starts: u64,
    /// How often it failed.
    pub failures: u64,
    /// Its plugin; in a direct connector source and sink; none before the first start.
    pub plugins: Vec<PluginUsage>,
}

/// What one plugin may use in a task, and has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginUsage {
    /// The plugin's name.
    pub plugin: String,
    /// What it does in the task.
    pub role: Role,
    /// The limits in force, in the units of their keys.
    pub limits: Vec<(Limit, u64)>,
    /// What it has used.
    pub used: Usage,
}

impl TaskMetrics {
    fn with<T>(&self, act: impl FnOnce(&mut Figures) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What it shows now.
    pub(crate) fn read(&self) -> TaskUsage {
        self.with(|figures| TaskUsage {
            moved: figures.moved.clone(),
            starts: figures.starts,
            failures: figures.failures,
            plugins: figures.sides.iter().map(Side::read).collect(),
        })
    }

    /// The task is about to start anew, maybe with another plugin. What was in flight is not any
    /// more: it comes again.
    pub(crate) fn starts(&self, spec: &Spec, levels: &LimitLevels) {
        self.with(|figures| {
            let known = std::mem::take(&mut figures.sides);
            let side = |plugin: &Plugin| Side::new(plugin, spec, levels, &known);
            figures.sides.push(side(&spec.plugin));
            if let Flow::Direct { sink, .. } = &spec.flow {
                figures.sides.push(side(sink));
            }
            figures.begin();
        });
    }

    /// The task failed.
    pub(crate) fn failed(&self) {
        self.with(|figures| figures.failures += 1);
    }

    /// A batch was taken on.
    pub(crate) fn took(&self, records: usize, bytes: usize) {
        self.with(|figures| figures.took(records as u64, bytes as u64));
    }

    /// Records were confirmed, and so many are in flight still.
    pub(crate) fn gave(&self, records: usize, bytes: usize, open: usize) {
        self.with(|figures| {
            figures.moved.records_out += records as u64;
            figures.moved.bytes_out += bytes as u64;
            figures.moved.in_flight_records = open as u64;
        });
    }

    /// All that was taken on is durable but for the last so many records.
    pub(crate) fn durable_but(&self, open: u64) {
        self.with(|figures| figures.durable_but(open));
    }

    /// The most records that may be in flight: the lower figure of both sides.
    pub(crate) fn in_flight_limit(&self) -> u64 {
        self.with(|figures| figures.in_flight_limit())
    }

    /// Whether more may be taken on while so many are in flight, and whether that has just changed.
    pub(crate) fn has_room(&self, open: u64) -> Room {
        self.with(|figures| {
            figures.moved.in_flight_records = open;
            let full = open >= figures.in_flight_limit();
            let changed = std::mem::replace(&mut figures.full, full) != full;
            if full
                && changed
                && let Some(side) = figures.sides.first()
            {
                side.meter.breach(Limit::InFlightRecords);
            }
            Room { full, changed }
        })
    }

    /// Time in which its plugins were held back because they were over their share of a core.
    pub(crate) fn held(&self) -> Duration {
        self.with(|figures| {
            let sides = figures.sides.iter();
            sides.map(|side| side.meter.read().held).sum()
        })
    }

    /// What holds for the plugin of this role.
    fn side(&self, role: Role) -> Option<Side> {
        self.with(|figures| {
            let mut sides = figures.sides.iter();
            sides.find(|side| side.role == role).cloned()
        })
    }
}

/// Answer of [`TaskMetrics::has_room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) full: bool,
    pub(crate) changed: bool,
}

impl Figures {
    fn begin(&mut self) {
        self.starts += 1;
        self.moved.in_flight_records = 0;
        self.taken = Amount::default();
        self.gone = Amount::default();
        self.full = false;
    }

    fn took(&mut self, records: u64, bytes: u64) {
        let moved = &mut self.moved;
        moved.batches += u64::from(records > 0);
        moved.records_in += records;
        moved.bytes_in += bytes;
        moved.in_flight_records += records;
        self.taken.records += records;
        self.taken.bytes += bytes;
    }

    fn durable_but(&mut self, open: u64) {
        let Amount { records, bytes } = self.taken;
        let gone = Amount {
            records: records.saturating_sub(open),
            // of a part nobody knows the bytes; once all of it is through the sum is right again
            bytes: match records.saturating_sub(open) {
                0 => 0,
                gone => u64::try_from(u128::from(bytes) * u128::from(gone) / u128::from(records))
                    .unwrap_or(bytes),
            },
        };
        self.moved.in_flight_records = open;
        // a sink that seeks back has more open than before; what it gets again counts once
        if gone.records > self.gone.records {
            self.moved.records_out += gone.records - self.gone.records;
            self.moved.bytes_out += gone.bytes.saturating_sub(self.gone.bytes);
            self.gone = gone;
        }
        if open == 0 {
            self.taken = Amount::default();
            self.gone = Amount::default();
        }
    }

    fn in_flight_limit(&self) -> u64 {
        let limits = self.sides.iter().map(|side| side.limits.in_flight_records);
        limits.min().unwrap_or(u64::MAX)
    }
}

impl Side {
    fn new(plugin: &Plugin, spec: &Spec, levels: &LimitLevels, known: &[Self]) -> Self {
        let (name, role) = (&plugin.description().name, plugin.role());
        let before = known
            .iter()
            .find(|side| side.role == role && side.plugin == *name);
        let mut limits = levels.of(name, &spec.name);
        limits
            .hostcall_bytes
            .get_or_insert_with(|| plugin.hostcall_bytes());
        Self {
            plugin: name.clone(),
            role,
            limits,
            meter: before.map(|side| side.meter.clone()).unwrap_or_default(),
        }
    }

    fn read(&self) -> PluginUsage {
        let limits = Limit::ALL.iter();
        let limits = limits.filter_map(|limit| Some((*limit, limit.of(&self.limits)?)));
        PluginUsage {
            plugin: self.plugin.clone(),
            role: self.role,
            limits: limits.collect(),
            used: self.meter.read(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_is_out_and_the_rest_in_flight() {
        let metrics = TaskMetrics::default();
        let shown = || {
            let moved = metrics.read().moved;
            (moved.records_out, moved.bytes_out, moved.in_flight_records)
        };
        metrics.took(10, 1_000);
        metrics.took(30, 1_000);
        assert_eq!(shown(), (0, 0, 40));
        metrics.durable_but(20);
        assert_eq!(shown(), (20, 1_000, 20));
        // a sink that seeks back may have more open than before
        metrics.durable_but(25);
        assert_eq!(shown(), (20, 1_000, 25));
        metrics.took(5, 7);
        metrics.durable_but(0);
        assert_eq!(shown().2, 0);
        metrics.took(1, 3);
        metrics.durable_but(0);
        let moved = metrics.read().moved;
        assert_eq!((moved.records_in, moved.batches), (46, 4));
    }

    #[test]
    fn what_is_durable_twice_is_out_once() {
        let mut figures = Figures::default();
        figures.took(10, 100);
        for open in [4, 6, 4, 0] {
            figures.durable_but(open);
        }
        assert_eq!(
            (figures.moved.records_out, figures.moved.bytes_out),
            (10, 100)
        );
        figures.took(3, 30);
        figures.begin();
        figures.durable_but(0);
        assert_eq!(figures.moved.records_out, 10);
        assert_eq!(figures.starts, 1);
    }
}
