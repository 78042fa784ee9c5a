//! What a call into a plugin can end with. A supervisor decides by the case alone; the texts name
//! plugin, call and cause for people. Texts of guests are cut before they get here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use connect_record::BatchError;

use crate::limit::Breach;

/// A setting that cannot work, as the plugin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, reason } = self;
        if key.is_empty() {
            f.write_str(reason)
        } else {
            write!(f, "`{key}`: {reason}")
        }
    }
}

fn joined(problems: &[Problem]) -> String {
    if problems.is_empty() {
        return "it does not say why".to_owned();
    }
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn words(said: Option<&str>) -> String {
    said.map(|said| format!(" ({said})")).unwrap_or_default()
}

/// Why a call into a plugin did not succeed.
///
/// The first three cases are answers: the instance lives on. All others leave it unusable
/// ([`Self::poisoned`]); it has to be dropped and made again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The same instance may get the same call again.
    #[error("plugin `{plugin}`: `{call}` cannot be done now: {reason}")]
    Retriable {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// The plugin's words.
        reason: String,
        /// Not before this time has passed.
        after: Duration,
    },
    /// The settings cannot work. Ends the task.
    #[error("plugin `{plugin}`: `{call}` refuses the settings: {}", joined(.problems))]
    Invalid {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// Settings and reasons.
        problems: Vec<Problem>,
    },
    /// The plugin gives up. Ends the task.
    #[error("plugin `{plugin}`: `{call}` failed: {reason}")]
    Fatal {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// The plugin's words.
        reason: String,
    },
    /// The plugin crashed.
    #[error("plugin `{plugin}` crashed in `{call}`: {trap}{}", words(.said.as_deref()))]
    Trap {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// What stopped it.
        trap: String,
        /// The last lines it wrote to standard error during the call: a panic's message, as a rule.
        said: Option<String>,
        /// Its stack, innermost function first; empty when there was none.
        backtrace: String,
    },
    /// The call took too long, waiting included.
    #[error(
        "plugin `{plugin}`: `{call}` took too long, waiting included, and was stopped: {breach}"
    )]
    Wall {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// The limit.
        breach: Box<Breach>,
    },
    /// The call used too much of the processor.
    #[error("plugin `{plugin}`: `{call}` took too much of the processor and was stopped: {breach}")]
    Cpu {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// The limit.
        breach: Box<Breach>,
        /// Where it was stopped.
        backtrace: String,
    },
    /// The plugin asked for more memory than its limit and did not survive the refusal.
    #[error("plugin `{plugin}` ran out of memory in `{call}`: {breach}")]
    Memory {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// The limit, of memory or of table elements.
        breach: Box<Breach>,
        /// Its stack, innermost function first.
        backtrace: String,
    },
    /// The plugin was stopped because it wanted more of something else than its limit.
    #[error("plugin `{plugin}` wanted too much in `{call}` and was stopped: {breach}")]
    Limit {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// The limit.
        breach: Box<Breach>,
        /// Its stack, innermost function first; empty when there was none.
        backtrace: String,
    },
    /// The plugin returned a batch that breaks the interface.
    #[error("plugin `{plugin}`: `{call}` returned a batch that breaks the interface")]
    Batch {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// Entry, field, value and bound.
        #[source]
        source: BatchError,
    },
    /// The plugin's answer breaks the interface in some other way.
    #[error("plugin `{plugin}`: the answer of `{call}` breaks the interface: {reason}")]
    Answer {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The instance was unusable before the call.
    #[error(
        "plugin `{plugin}`: `{call}` was not called, since the instance cannot be used any more: {cause}"
    )]
    Gone {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that would have been called.
        call: &'static str,
        /// What happened to the instance.
        cause: String,
    },
    /// The worker could not do its part: it made no instance, or had no answer to an import that the
    /// plugin called. Not the plugin's fault.
    #[error("plugin `{plugin}`: {step} failed")]
    Host {
        /// The plugin.
        plugin: Arc<str>,
        /// The export that was called.
        call: &'static str,
        /// What the worker was doing.
        step: &'static str,
        /// What came back.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CallError {
    /// Whether the instance is unusable and has to be made again. False for answers.
    pub fn poisoned(&self) -> bool {
        !matches!(
            self,
            Self::Retriable { .. } | Self::Invalid { .. } | Self::Fatal { .. }
        )
    }

    /// The limit that ended the call, where one did.
    pub fn breach(&self) -> Option<&Breach> {
        match self {
            Self::Wall { breach, .. }
            | Self::Cpu { breach, .. }
            | Self::Memory { breach, .. }
            | Self::Limit { breach, .. } => Some(breach),
            _ => None,
        }
    }

    /// The plugin's stack at the moment it was stopped, where there is one.
    pub fn backtrace(&self) -> Option<&str> {
        match self {
            Self::Trap { backtrace, .. }
            | Self::Cpu { backtrace, .. }
            | Self::Memory { backtrace, .. }
            | Self::Limit { backtrace, .. } => (!backtrace.is_empty()).then_some(backtrace),
            _ => None,
        }
    }
}
