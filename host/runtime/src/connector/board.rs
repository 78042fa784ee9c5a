//! What a connector shows of itself. Written by its supervisor and tasks, read by anyone, never
//! held across an await.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use connect_sandbox::{Access, OptionKind};
use tokio::sync::Notify;

use super::Plan;
use super::slot::Opening;
use crate::delivery::Report;
use crate::metrics::{ConnectorMetrics, TaskUsage};
use crate::spec::{Spec, keys};
use crate::status::{
    ConnectorInfo, Pause, PluginChange, PluginInUse, REDACTED, State, SwapOutcome, SwapRecord,
    TaskInfo,
};

/// The notice board of one connector.
pub(crate) struct Board {
    info: Mutex<ConnectorInfo>,
    /// Rung when a task asks for a new plan.
    pub(crate) replan: Notify,
    /// Rung when a batch has become durable, while anyone wants to know.
    pub(crate) progress: Notify,
    watched: AtomicBool,
    /// How long each task stood still at its last change of plugins.
    pauses: Mutex<Vec<Option<Pause>>>,
    /// What its plugins may touch; none before the first plan.
    access: Mutex<Option<(Access, Access)>>,
    /// What its tasks have used, by number.
    pub(crate) metrics: ConnectorMetrics,
}

/// Changes of plugins that are kept.
const HISTORY: usize = 50;

impl Board {
    pub(crate) fn new(spec: &Spec, worker_id: &str) -> Self {
        let info = ConnectorInfo {
            name: spec.name.to_string(),
            role: Some(spec.plugin.role()),
            config: redacted(&spec.config, |key, _| spec.secrets.contains(key)),
            state: State::Unassigned,
            reason: None,
            warnings: spec.warnings.clone(),
            worker_id: worker_id.to_owned(),
            tasks: Vec::new(),
            plugins: spec.plugins().into_iter().map(PluginInUse::of).collect(),
            change: None,
            history: Vec::new(),
        };
        Self::showing(info)
    }

    /// The board of a connector that cannot even be understood, such as one whose plugin is gone.
    pub(crate) fn showing(info: ConnectorInfo) -> Self {
        Self {
            info: Mutex::new(info),
            replan: Notify::new(),
            progress: Notify::new(),
            watched: AtomicBool::new(false),
            pauses: Mutex::default(),
            access: Mutex::default(),
            metrics: ConnectorMetrics::default(),
        }
    }

    pub(crate) fn read(&self) -> ConnectorInfo {
        let mut info = self.with(|info| info.clone());
        for task in &mut info.tasks {
            task.usage = self.metrics.task(task.id).read();
        }
        info
    }

    fn with<T>(&self, act: impl FnOnce(&mut ConnectorInfo) -> T) -> T {
        act(&mut self.info.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connector's own state.
    pub(crate) fn connector(&self, state: State, reason: Option<String>) {
        self.with(|info| {
            info.state = state;
            info.reason = reason;
        });
    }

    /// Shows a new plan: its configuration and tasks, none of them running yet.
    pub(crate) fn planned(&self, plan: &Plan) {
        self.touches(plan);
        let spec = &plan.spec;
        // a plugin may write a secret into settings of other names
        let secrets = spec.secrets.iter().filter_map(|key| spec.config.get(key));
        let secrets: Vec<&String> = secrets.filter(|value| !value.is_empty()).collect();
        let secret = |key: &str, value: &str| {
            let options = &spec.plugin.description().options;
            spec.secrets.contains(key)
                || secrets.iter().any(|secret| value.contains(secret.as_str()))
                || options.iter().any(|option| {
                    option.kind == OptionKind::Secret && keys::covers(&option.key, key)
                })
        };
        let tasks = plan.tasks.iter().zip(0..).map(|(settings, id)| {
            let mut config: BTreeMap<String, String> = settings.iter().cloned().collect();
            config.insert("task.id".into(), format!("{}", id));
            for key in ["connector.class", "connect.topicname", "connect.topicnames"] {
                if let Some(value) = spec.config.get(key) {
                    config.insert(key.to_owned(), value.clone());
                }
            }
            TaskInfo {
                id,
                state: State::Unassigned,
                reason: None,
                config: redacted(&config, secret),
                usage: TaskUsage::default(),
            }
        });
        self.with(|info| {
            info.role = Some(spec.plugin.role());
            info.config = redacted(&spec.config, |key, _| spec.secrets.contains(key));
            info.warnings = spec.warnings.clone();
            info.tasks = tasks.collect();
            info.plugins = plan.in_use();
        });
    }

    /// What the connector runs now.
    pub(crate) fn uses(&self, plan: &Plan) {
        self.touches(plan);
        let plugins = plan.in_use();
        self.with(|info| info.plugins = plugins);
    }

    fn touches(&self, plan: &Plan) {
        let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        *access = Some(plan.accesses());
    }

    /// What its plugins may touch; none before the first plan.
    pub(crate) fn access(&self) -> Option<(Access, Access)> {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        access.clone()
    }

    /// What happens to its plugins.
    pub(crate) fn change(&self, change: Option<PluginChange>) {
        if matches!(change, Some(PluginChange::Draining { .. })) {
            self.pauses(Vec::clear);
        }
        self.with(|info| info.change = change);
    }

    /// A change of plugins is over.
    pub(crate) fn swapped(&self, from: &Plan, to: &Plan, outcome: SwapOutcome) {
        let pauses = self.pauses(|pauses| pauses.clone());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = since.map_or(0, |since| since.as_millis());
        let record = SwapRecord {
            at: u64::try_from(at).unwrap_or(u64::MAX),
            from: from.in_use(),
            to: to.in_use(),
            outcome,
            pauses,
        };
        self.with(|info| {
            if info.history.len() >= HISTORY {
                info.history.remove(0);
            }
            info.history.push(record);
        });
    }

    /// Whether [`Self::progress`] is rung.
    pub(crate) fn watch(&self, watched: bool) {
        self.watched.store(watched, Ordering::Release);
    }

    fn pauses<T>(&self, act: impl FnOnce(&mut Vec<Option<Pause>>) -> T) -> T {
        act(&mut self.pauses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn paused(&self, task: u32, pause: Pause) {
        let index = usize::try_from(task).unwrap_or(usize::MAX);
        let tasks = self.with(|info| info.tasks.len());
        self.pauses(|pauses| {
            pauses.resize(tasks, None);
            if let Some(known) = pauses.get_mut(index) {
                *known = Some(pause);
            }
        });
    }

    /// The state of one task.
    pub(crate) fn task(&self, id: u32, state: State, reason: Option<String>) {
        if state == State::Failed {
            self.metrics.task(id).failed();
        }
        self.with(|info| {
            if let Some(task) = info.tasks.iter_mut().find(|task| task.id == id) {
                task.state = state;
                task.reason = reason;
            }
        });
    }

    /// The state of all tasks.
    pub(crate) fn tasks(&self, state: State) {
        self.with(|info| {
            for task in &mut info.tasks {
                task.state = state;
                task.reason = None;
            }
        });
    }
}

fn redacted(
    config: &BTreeMap<String, String>,
    secret: impl Fn(&str, &str) -> bool,
) -> BTreeMap<String, String> {
    config
        .iter()
        .map(|(key, value)| {
            (
                key.clone(),
                if secret(key, value) {
                    REDACTED.to_owned()
                } else {
                    value.clone()
                },
            )
        })
        .collect()
}

/// One task's way to the board.
pub(crate) struct TaskReport {
    pub(crate) board: Arc<Board>,
    pub(crate) task: u32,
    /// Batches that became durable.
    pub(crate) batches: Arc<AtomicU64>,
    /// How far its plugin has come with its opening.
    pub(crate) opening: Arc<Opening>,
}

impl Report for TaskReport {
    fn running(&self, waiting: Option<String>) {
        self.board.task(self.task, State::Running, waiting);
    }

    fn reconfigure(&self) {
        self.board.replan.notify_one();
    }

    fn committed(&self) {
        self.batches.fetch_add(1, Ordering::AcqRel);
        if self.board.watched.load(Ordering::Acquire) {
            self.board.progress.notify_one();
        }
    }

    fn opened(&self) {
        self.opening.opened();
        if self.board.watched.load(Ordering::Acquire) {
            self.board.progress.notify_one();
        }
    }

    fn puts_off_opening(&self) {
        self.opening.puts_off();
    }

    fn draining(&self) {
        let reason = Some("draining: another version of the plugin takes over".to_owned());
        self.board.task(self.task, State::Running, reason);
    }

    fn exchanged(&self, pause: Pause) {
        self.board.paused(self.task, pause);
    }
}
