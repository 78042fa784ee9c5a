//! How a task ends when it does not end well, and what the next run must know of it.

use std::collections::HashMap;
use std::time::Duration;

use connect_broker::BrokerError;
use connect_mapping::MappingError;
use connect_record::Queue;
use connect_sandbox::CallError;
use connect_store::StoreError;

/// Stretches of queues, by the offset after their end, that are put one record at a time: a batch
/// among them brought an instance down, and the record that did it is to be found. Of a direct task,
/// whose records have no offsets that outlive it, the number of records from where it begins.
pub(crate) type Careful = HashMap<Queue, u64>;

/// Why a task ended by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// The plugin failed or was stopped; where it was working, if known.
    #[error("{place}")]
    Plugin {
        place: String,
        #[source]
        source: Box<CallError>,
    },
    /// A batch of several records brought the instance down.
    #[error("a batch from {place} failed; its records are put one at a time to find the one")]
    Suspect {
        place: String,
        careful: Careful,
        #[source]
        source: Box<CallError>,
    },
    /// One record cannot be converted or mapped.
    #[error("{place}")]
    Record {
        place: String,
        #[source]
        source: Box<MappingError>,
    },
    /// A sink refused one record for good.
    #[error("{place}: the sink rejected the record: {reason}")]
    Rejected { place: String, reason: String },
    /// The broker refused something that will not succeed by trying again.
    #[error("{place}")]
    Broker {
        place: String,
        #[source]
        source: Box<BrokerError>,
    },
    /// Messages the sink has not seen are gone from the queue.
    #[error("{0}")]
    OffsetLost(String),
    /// The store failed.
    #[error("{step}")]
    Store {
        step: &'static str,
        #[source]
        source: Box<StoreError>,
    },
    /// A new version of the plugin did not open in time.
    #[error("{place}: it did not open within {} s", .limit.as_secs())]
    Slow { place: String, limit: Duration },
    /// The plugin's instance is gone: its actor ended without an answer.
    #[error("the plugin's instance ended unexpectedly during `{call}`")]
    Gone { call: &'static str },
}

impl TaskError {
    /// Whether trying again by itself makes no sense: the plugin said so, or its settings are wrong.
    pub(crate) fn final_word(&self) -> bool {
        match self {
            Self::Plugin { source, .. } => matches!(
                **source,
                CallError::Invalid { .. } | CallError::Fatal { .. }
            ),
            other => matches!(other, Self::OffsetLost(_)),
        }
    }

    /// Whether a version of the plugin that has just been taken up is to blame. Not for what broker
    /// and store do.
    pub(crate) fn blames_plugin(&self) -> bool {
        match self {
            Self::Plugin { .. }
            | Self::Suspect { .. }
            | Self::Record { .. }
            | Self::Rejected { .. }
            | Self::Slow { .. }
            | Self::Gone { .. } => true,
            Self::Broker { .. } | Self::OffsetLost(_) | Self::Store { .. } => false,
        }
    }
}
