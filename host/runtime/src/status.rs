//! What the worker says of itself: states and their reasons, as REST shows them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use connect_sandbox::{Plugin, Role, Usage};

use crate::metrics::TaskUsage;

/// State of a connector or task, in the Java project's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Known, not yet running.
    Unassigned,
    /// At work.
    Running,
    /// Kept from working by someone's wish; positions stay.
    Paused,
    /// Ended by an error; the reason says which.
    Failed,
    /// Being taken down.
    Stopped,
}

impl State {
    /// The word as REST writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A connector as seen from outside. Values of secret options are already replaced.
#[derive(Clone, Debug)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// What its plugin is; none while the plugin is missing.
    pub role: Option<Role>,
    /// The configuration as given, secrets redacted.
    pub config: BTreeMap<String, String>,
    /// State of the connector itself.
    pub state: State,
    /// Why it is in that state, where there is something to say.
    pub reason: Option<String>,
    /// Things in the configuration that have no effect.
    pub warnings: Vec<String>,
    /// The worker that runs it.
    pub worker_id: String,
    /// Its tasks by number.
    pub tasks: Vec<TaskInfo>,
    /// What it runs: its plugin, and a direct connector's sink. Empty while it cannot be understood.
    pub plugins: Vec<PluginInUse>,
    /// What happens to its plugins, or stands in the way of a newer version.
    pub change: Option<PluginChange>,
    /// Changes of its plugins since the worker started, the last ones, oldest first.
    pub history: Vec<SwapRecord>,
}

/// A plugin that a connector runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInUse {
    /// Its own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hex.
    pub digest: String,
}

impl PluginInUse {
    pub(crate) fn of(plugin: &Plugin) -> Self {
        let description = plugin.description();
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: plugin.digest().to_owned(),
        }
    }
}

impl fmt::Display for PluginInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// What happens to the plugins of a connector.
#[derive(Clone, Debug)]
pub enum PluginChange {
    /// The tasks finish what is in flight and go over.
    Draining {
        /// What they run.
        from: Vec<PluginInUse>,
        /// What they will run.
        to: Vec<PluginInUse>,
    },
    /// All tasks run the new version; if it fails now, they go back.
    OnTrial {
        /// What they would go back to.
        from: Vec<PluginInUse>,
        /// What they run.
        to: Vec<PluginInUse>,
    },
    /// A newer version asks for more than the present one has.
    NeedsApproval {
        /// The newer version.
        to: Vec<PluginInUse>,
        /// What it asks for beyond that.
        asks: Vec<String>,
    },
    /// A version failed and is not tried again until its file changes.
    Quarantined {
        /// The version.
        plugins: Vec<PluginInUse>,
        /// How it failed.
        reason: String,
    },
    /// The file of the plugin in use is gone. The connector goes on; a worker that starts anew cannot
    /// start it.
    Removed,
    /// A newer version is there and cannot be used by this connector.
    Refused {
        /// The newer version.
        to: Vec<PluginInUse>,
        /// Why not.
        reason: String,
    },
}

/// How long no record moved because of an exchange, from the last confirmation of the old edition
/// on. The new one's first record may be long in coming where there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Until what the old edition had confirmed was durable.
    pub committed: Duration,
    /// Until the new edition was open.
    pub opened: Duration,
    /// Until its first record was polled from a source, or handed to a sink.
    pub first_record: Duration,
    /// Time of that in which a sink was open and no record was there to be handed to it; nothing for
    /// others.
    pub waited: Duration,
}

/// One change of a connector's plugins.
#[derive(Clone, Debug)]
pub struct SwapRecord {
    /// When it was over, in milliseconds since the epoch.
    pub at: u64,
    /// What the connector ran before.
    pub from: Vec<PluginInUse>,
    /// What it went over to, or was to go over to.
    pub to: Vec<PluginInUse>,
    /// What came of it.
    pub outcome: SwapOutcome,
    /// How long each task stood still, by task; none of a task that has not had a record since.
    pub pauses: Vec<Option<Pause>>,
}

/// What came of a change of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwapOutcome {
    /// The connector runs `to`.
    Swapped,
    /// `from` failed on trial; the connector runs `to`, which it ran before.
    RolledBack {
        /// How it failed.
        reason: String,
    },
    /// The connector runs `from`.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A task as seen from outside.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// Number within the connector, from 0.
    pub id: u32,
    /// Its state.
    pub state: State,
    /// Why it is in that state, where there is something to say.
    pub reason: Option<String>,
    /// Settings of this task, secrets redacted.
    pub config: BTreeMap<String, String>,
    /// What it may use, and what it has moved and used.
    pub usage: TaskUsage,
}

/// A plugin that `connector.class` may name.
#[derive(Clone, Debug)]
pub struct PluginInfo {
    /// Its own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The Java class it stands in for, else its name.
    pub class: String,
    /// What it is.
    pub role: Role,
    /// SHA-256 of its file, in hex.
    pub digest: String,
    /// Where it was found.
    pub path: PathBuf,
    /// When it was first found, in milliseconds since the epoch.
    pub since: u64,
    /// Tasks that run it.
    pub tasks: usize,
    /// Why it is not to be tried, if so.
    pub quarantined: Option<String>,
    /// What answering questions about itself and about settings has used, outside any task.
    pub asked: Usage,
}

/// What a reload of the plugins found.
#[derive(Clone, Debug, Default)]
pub struct ReloadReport {
    /// Plugins that were not there before.
    pub added: Vec<PluginInUse>,
    /// Plugins that are there no more.
    pub removed: Vec<PluginInUse>,
    /// Files that cannot be used, one sentence each.
    pub problems: Vec<String>,
}

/// Whether the worker can do its work.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// True when nothing stands in the way.
    pub ready: bool,
    /// What stands in the way.
    pub reasons: Vec<String>,
}

/// What replaces a secret wherever a configuration is shown.
pub(crate) const REDACTED: &str = "<secret>";
