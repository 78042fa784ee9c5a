//! From a configuration to tasks: what the plugin needs, what it is granted, whether it likes its
//! settings, and how it splits them.

use std::sync::Arc;
use std::time::Duration;

use connect_sandbox::{Access, CallError, Plugin};

use super::Shared;
use crate::delivery::Edition;
use crate::error::{WorkerError, story};
use crate::spec::{Flow, Spec};
use crate::status::PluginInUse;

type Settings = Vec<(String, String)>;

/// A connector split into tasks.
pub(crate) struct Plan {
    pub(crate) spec: Arc<Spec>,
    pub(crate) access: Access,
    /// Access of the sink of a direct connector.
    pub(crate) sink_access: Access,
    pub(crate) tasks: Vec<Arc<Settings>>,
    /// Settings of the sink of a direct connector, task by task.
    pub(crate) sink_tasks: Vec<Arc<Settings>>,
    /// When to ask for the tasks again.
    pub(crate) recheck: Option<Duration>,
}

impl Plan {
    /// What one of its tasks runs; none of a task that it does not have.
    pub(crate) fn edition(&self, task: u32) -> Option<Edition> {
        let index = usize::try_from(task).ok()?;
        Some(Edition {
            spec: self.spec.clone(),
            settings: self.tasks.get(index)?.clone(),
            access: self.access.clone(),
            sink_access: self.sink_access.clone(),
            sink_settings: self.sink_tasks.get(index).cloned().unwrap_or_default(),
        })
    }

    /// The plugins it runs: the connector's, and a direct connector's sink.
    pub(crate) fn plugins(&self) -> Vec<&Plugin> {
        self.spec.plugins()
    }
}

impl Plan {
    /// Its plugins as people know them.
    pub(crate) fn in_use(&self) -> Vec<PluginInUse> {
        self.spec.in_use()
    }

    /// What both sides may touch.
    pub(crate) fn accesses(&self) -> (Access, Access) {
        (self.access.clone(), self.sink_access.clone())
    }

    /// The same in words.
    pub(crate) fn access_words(&self) -> Vec<String> {
        let none = Access::default();
        let mut words = self.access.beyond(&none);
        words.extend(self.sink_access.beyond(&none));
        words
    }

    /// Its plugins in one word, for the log.
    pub(crate) fn name(&self) -> String {
        let names: Vec<String> = self.in_use().iter().map(ToString::to_string).collect();
        names.join(" with ")
    }

    /// What `other` may touch and this may not, in words.
    pub(crate) fn asks_less_than(&self, other: &Self) -> Vec<String> {
        let mut more = other.access.beyond(&self.access);
        more.extend(other.sink_access.beyond(&self.sink_access));
        more
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{0}")]
    Denied(String),
    /// Granted, but more than the version before may touch.
    #[error("it asks for more than the version before: {}; approve it, or put that version back", .0.join("; "))]
    NeedsApproval(Vec<String>),
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    #[error("the plugin `{plugin}` cannot plan its tasks")]
    Plugin {
        plugin: String,
        #[source]
        source: CallError,
    },
    #[error("the plugin's instance ended unexpectedly")]
    Gone,
}

impl PlanError {
    pub(crate) fn for_request(self, name: &str) -> WorkerError {
        let name = name.to_owned();
        match self {
            Self::Denied(reason) => WorkerError::NotAllowed { name, reason },
            Self::Invalid(problems) => WorkerError::Invalid { name, problems },
            other => WorkerError::Invalid {
                name,
                problems: vec![story(&other)],
            },
        }
    }

    /// Whether a later try may succeed without anyone changing the configuration.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::Invalid(_) | Self::NeedsApproval(_))
    }
}

/// What a plan may touch beside what is granted.
#[derive(Clone, Copy)]
pub(crate) enum Within<'a> {
    /// Nothing: somebody asked for this very version.
    Grants,
    /// What the version before may touch, on both sides.
    Access(&'a (Access, Access)),
    /// The same in words, as the store has it.
    Words(&'a [String]),
}

impl Within<'_> {
    fn more(self, access: &Access, sink: bool) -> Vec<String> {
        match self {
            Self::Grants => Vec::new(),
            Self::Access((_, before)) if sink => access.beyond(before),
            Self::Access((before, _)) => access.beyond(before),
            Self::Words(before) => {
                let mut words = access.beyond(&Access::default());
                words.retain(|word| !before.contains(word));
                words
            }
        }
    }
}

/// Makes the plan of a connector. Guest code runs on the guests' runtime, with nothing beyond what
/// it is to stay within.
pub(crate) async fn plan(
    shared: &Shared,
    spec: Arc<Spec>,
    within: Within<'_>,
) -> Result<Plan, PlanError> {
    let asked = (&spec.plugin, &spec.settings, spec.max_tasks);
    let (access, plan) = side(shared, asked, |access| within.more(access, false)).await?;
    let tasks = plan.tasks;
    let (sink_access, sink_tasks) = match &spec.flow {
        Flow::Direct {
            sink,
            sink_settings,
            ..
        } => {
            let wanted = u32::try_from(tasks.len()).unwrap_or(u32::MAX).max(1);
            let asked = (sink, sink_settings, wanted);
            let (access, split) = side(shared, asked, |access| within.more(access, true)).await?;
            if split.tasks.len() < tasks.len() {
                let (source, sink) = (tasks.len(), split.tasks.len());
                return Err(PlanError::Invalid(vec![format!(
                    "`max.tasks`: the source would run {source} tasks, but the sink can be split into {sink} with these settings; set it to {sink}"
                )]));
            }
            (access, split.tasks)
        }
        Flow::Source { .. } | Flow::Sink { .. } => (Access::default(), Vec::new()),
    };
    let most = usize::try_from(spec.max_tasks).unwrap_or(usize::MAX);
    // no task is an answer only of a plugin that wants to be asked again
    if tasks.len() > most || (tasks.is_empty() && plan.recheck.is_none()) {
        let found = tasks.len();
        return Err(PlanError::Invalid(vec![format!(
            "the plugin split its work into {found} tasks; `max.tasks` allows 1 to {most}"
        )]));
    }
    Ok(Plan {
        spec,
        access,
        sink_access,
        tasks: tasks.into_iter().map(Arc::new).collect(),
        sink_tasks: sink_tasks.into_iter().map(Arc::new).collect(),
        recheck: plan.recheck,
    })
}

async fn side(
    shared: &Shared,
    (plugin, settings, max_tasks): (&Plugin, &Settings, u32),
    more: impl Fn(&Access) -> Vec<String>,
) -> Result<(Access, connect_sandbox::Plan), PlanError> {
    let name = plugin.description().name.clone();
    let failed = |source: CallError| match source {
        CallError::Invalid { problems, .. } => PlanError::Invalid(
            problems
                .into_iter()
                .map(|problem| format!("`{}`: {}", problem.key, problem.reason))
                .collect(),
        ),
        source => PlanError::Plugin {
            plugin: name.clone(),
            source,
        },
    };
    let failed = |asked: Asked| match asked {
        Asked::Call(source) => failed(source),
        Asked::Denied(reason) => PlanError::Denied(reason),
        Asked::Problems(problems) => PlanError::Invalid(problems),
    };
    let grants = shared.settings.grants.clone();
    let (plugin, settings) = (plugin.clone(), settings.clone());
    let asking = (plugin.clone(), settings.clone());
    let needed = shared.deps.guests.spawn(async move {
        let (plugin, settings) = asking;
        let needs = plugin.needs(&settings).await.map_err(Asked::Call)?;
        grants
            .allow(&plugin.description().name, &needs)
            .map_err(|denied| Asked::Denied(denied.to_string()))
    });
    let needed = needed.await.map_err(|_| PlanError::Gone)?;
    let access = needed.map_err(failed)?;
    // before any code of it runs with that access
    let more = more(&access);
    if !more.is_empty() {
        return Err(PlanError::NeedsApproval(more));
    }
    let asked = shared.deps.guests.spawn(async move {
        let problems = plugin
            .validate(&settings, &access)
            .await
            .map_err(Asked::Call)?;
        if !problems.is_empty() {
            let texts = problems
                .into_iter()
                .map(|problem| format!("`{}`: {}", problem.key, problem.reason));
            return Err(Asked::Problems(texts.collect()));
        }
        let plan = plugin
            .task_settings(&settings, max_tasks, &access)
            .await
            .map_err(Asked::Call)?;
        Ok((access, plan))
    });
    asked.await.map_err(|_| PlanError::Gone)?.map_err(failed)
}

enum Asked {
    Call(CallError),
    Denied(String),
    Problems(Vec<String>),
}
