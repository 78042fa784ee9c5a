//! What the worker answers when it cannot do what it was asked. One enum for the whole crate
//! boundary; the REST layer maps each case to a status code and nothing else.

use connect_plugins::DepositError;
use connect_store::StoreError;

/// A request to the worker that was refused or failed. The connector goes on as it was; where the
/// store failed, what it holds is what it held.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The connector's name cannot be used.
    #[error("connector name `{name}`: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration cannot work. Every problem that was found is listed.
    #[error("connector `{name}`: {}", .problems.join("; "))]
    Invalid {
        /// The connector.
        name: String,
        /// One sentence per problem, each naming its key.
        problems: Vec<String>,
    },
    /// There is no such connector.
    #[error("connector `{name}` does not exist")]
    NotFound {
        /// The connector.
        name: String,
    },
    /// There is no such task.
    #[error("connector `{name}` has no task {task}")]
    TaskNotFound {
        /// The connector.
        name: String,
        /// The task's number.
        task: u32,
    },
    /// The very same configuration is in place already.
    #[error("connector `{name}` with same config already exist")]
    Conflict {
        /// The connector.
        name: String,
    },
    /// The plugin asks for something the operator has not granted. The text holds the lines of
    /// configuration that would grant it.
    #[error("connector `{name}`: {reason}")]
    NotAllowed {
        /// The connector.
        name: String,
        /// What was refused, and how to grant it.
        reason: String,
    },
    /// The broker cannot be reached.
    #[error("connector `{name}`: the broker cannot be asked for its topics: {reason}")]
    Unavailable {
        /// The connector.
        name: String,
        /// What was tried and what came back.
        reason: String,
    },
    /// The store failed.
    #[error("store: {step} of `{name}`")]
    Store {
        /// What was being stored.
        step: &'static str,
        /// The connector.
        name: String,
        /// The store's own error.
        #[source]
        source: StoreError,
    },
    /// A plugin cannot be taken in or given away.
    #[error("{source}")]
    Plugin {
        /// What is wrong.
        #[source]
        source: Box<DepositError>,
    },
    /// A plugin is not given away while connectors run it.
    #[error(
        "plugin `{plugin}` is in use by {}; delete these connectors or let them go over to another version first",
        .connectors.join(", ")
    )]
    PluginInUse {
        /// The plugin, `name@version`.
        plugin: String,
        /// The connectors.
        connectors: Vec<String>,
    },
    /// The worker is stopping and takes no more requests.
    #[error("the worker is shutting down")]
    ShuttingDown,
}

/// An error with all its causes, in one line.
pub(crate) fn story(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // some errors repeat their cause in their own text
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
