//! The JSON of plugins in use and of their changes; the Java project has nothing like it.
//!
//! Only shapes, as in `shapes`: built from what the worker says of itself.

use connect_runtime::{ConnectorInfo, Pause, PluginChange, PluginInUse, SwapOutcome, SwapRecord};
use serde::Serialize;

/// A plugin that a connector runs.
#[derive(Serialize)]
pub(crate) struct InUse<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
}

/// What happens to a connector's plugins, or stands in the way of a newer version.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum Change<'a> {
    Draining {
        from: Vec<InUse<'a>>,
        to: Vec<InUse<'a>>,
    },
    OnTrial {
        from: Vec<InUse<'a>>,
        to: Vec<InUse<'a>>,
    },
    NeedsApproval {
        to: Vec<InUse<'a>>,
        /// What the new version may touch and the present one may not.
        asks: &'a [String],
    },
    Quarantined {
        plugins: Vec<InUse<'a>>,
        reason: &'a str,
    },
    Removed,
    Refused {
        to: Vec<InUse<'a>>,
        reason: &'a str,
    },
}

/// One change that is over.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    /// Milliseconds since the epoch.
    at: u64,
    /// `swapped`, `rolled-back` or `refused`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    from: Vec<InUse<'a>>,
    to: Vec<InUse<'a>>,
    /// By task: how long it stood still, from the last confirmation before.
    pauses: Vec<Option<Paused>>,
}

/// In milliseconds, three digits behind the point.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    committed_ms: f64,
    opened_ms: f64,
    first_record_ms: f64,
    waited_ms: f64,
}

/// `/v1/connectors/{name}/plugin`.
#[derive(Serialize)]
pub(crate) struct Plugin<'a> {
    plugins: Vec<InUse<'a>>,
    change: Option<Change<'a>>,
    history: Vec<Record<'a>>,
}

pub(crate) fn in_use(plugins: &[PluginInUse]) -> Vec<InUse<'_>> {
    plugins.iter().map(one).collect()
}

/// One plugin.
pub(crate) fn one(plugin: &PluginInUse) -> InUse<'_> {
    InUse {
        name: &plugin.name,
        version: &plugin.version,
        digest: &plugin.digest,
    }
}

pub(crate) fn change(change: &PluginChange) -> Change<'_> {
    match change {
        PluginChange::Draining { from, to } => Change::Draining {
            from: in_use(from),
            to: in_use(to),
        },
        PluginChange::OnTrial { from, to } => Change::OnTrial {
            from: in_use(from),
            to: in_use(to),
        },
        PluginChange::NeedsApproval { to, asks } => Change::NeedsApproval {
            to: in_use(to),
            asks,
        },
        PluginChange::Quarantined { plugins, reason } => Change::Quarantined {
            plugins: in_use(plugins),
            reason,
        },
        PluginChange::Removed => Change::Removed,
        PluginChange::Refused { to, reason } => Change::Refused {
            to: in_use(to),
            reason,
        },
    }
}

/// Everything about the plugins of one connector.
pub(crate) fn plugin(info: &ConnectorInfo) -> Plugin<'_> {
    Plugin {
        plugins: in_use(&info.plugins),
        change: info.change.as_ref().map(change),
        history: info.history.iter().map(record).collect(),
    }
}

fn record(record: &SwapRecord) -> Record<'_> {
    let (outcome, reason) = match &record.outcome {
        SwapOutcome::Swapped => ("swapped", None),
        SwapOutcome::RolledBack { reason } => ("rolled-back", Some(reason.as_str())),
        SwapOutcome::Refused { reason } => ("refused", Some(reason.as_str())),
    };
    Record {
        at: record.at,
        outcome,
        reason,
        from: in_use(&record.from),
        to: in_use(&record.to),
        pauses: record
            .pauses
            .iter()
            .map(|pause| pause.as_ref().map(paused))
            .collect(),
    }
}

fn paused(pause: &Pause) -> Paused {
    let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    Paused {
        committed_ms: ms(pause.committed),
        opened_ms: ms(pause.opened),
        first_record_ms: ms(pause.first_record),
        waited_ms: ms(pause.waited),
    }
}
