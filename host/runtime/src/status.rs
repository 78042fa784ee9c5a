//! What the worker says of itself: states and their reasons, as REST shows them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use connect_sandbox::Role;

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
