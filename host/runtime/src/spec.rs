//! A connector's configuration, understood: which keys are the worker's, which are the plugin's,
//! and what is wrong with them. Knows no broker and starts nothing.

pub(crate) mod keys;
pub(crate) mod name;
pub(crate) mod options;
mod parse;
pub(crate) mod rocketmq_names;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use connect_convert::Converter;
use connect_sandbox::Plugin;

use crate::status::PluginInUse;

pub(crate) use parse::{Choice, Defaults, parse};

/// Which kind of task a connector runs.
#[derive(Clone)]
pub(crate) enum Flow {
    /// From a plugin to topics.
    Source {
        topic: Option<String>,
        queue_by: QueueBy,
    },
    /// From topics to a plugin.
    Sink {
        topics: Vec<String>,
        start: StartAt,
        offset_lost: OffsetLost,
    },
    /// From a plugin straight to another, without a topic.
    Direct {
        sink: Plugin,
        sink_settings: Vec<(String, String)>,
        topic: Option<String>,
    },
}

/// How the queue of an outgoing record is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueBy {
    /// By the key where there is one, else by the source partition.
    Key,
    /// By the source partition always.
    Partition,
    /// One after the other: spreads best, keeps no order.
    RoundRobin,
}

/// Where a sink without a stored offset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartAt {
    /// At the oldest message.
    Earliest,
    /// After the newest.
    Latest,
    /// At the first message stored at or after this time, in milliseconds since the epoch.
    Time(u64),
}

/// What happens when the stored offset is no longer in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetLost {
    /// The task stops and names the gap.
    Fail,
    /// It goes on with the oldest message.
    Earliest,
}

/// One connector, ready to be planned into tasks.
#[derive(Clone)]
pub(crate) struct Spec {
    /// The connector's name.
    pub(crate) name: Arc<str>,
    /// The configuration as given, secrets in clear.
    pub(crate) config: BTreeMap<String, String>,
    /// Keys of `config` whose values are secrets.
    pub(crate) secrets: BTreeSet<String>,
    /// The plugin that `connector.class` named.
    pub(crate) plugin: Plugin,
    /// What the plugin is given.
    pub(crate) settings: Vec<(String, String)>,
    /// Upper bound of tasks.
    pub(crate) max_tasks: u32,
    /// What kind of task, with its own options.
    pub(crate) flow: Flow,
    /// Converter of keys.
    pub(crate) key_converter: Arc<dyn Converter>,
    /// Converter of values.
    pub(crate) value_converter: Arc<dyn Converter>,
    /// Consumer group of a sink.
    pub(crate) group: String,
    /// Whether records that can never succeed are skipped, with a line in the log.
    pub(crate) skip_bad_records: bool,
    /// Batch and flush sizes, where the connector overrides the worker's.
    pub(crate) sizes: Sizes,
    /// Things without effect, told in the answer and the status.
    pub(crate) warnings: Vec<String>,
}

impl Spec {
    /// The connector's plugin, and a direct connector's sink.
    pub(crate) fn plugins(&self) -> Vec<&Plugin> {
        let sink = match &self.flow {
            Flow::Direct { sink, .. } => Some(sink),
            Flow::Source { .. } | Flow::Sink { .. } => None,
        };
        std::iter::once(&self.plugin).chain(sink).collect()
    }

    /// [`Self::plugins`] as people know them.
    pub(crate) fn in_use(&self) -> Vec<PluginInUse> {
        let plugins = self.plugins().into_iter();
        plugins.map(PluginInUse::of).collect()
    }

    /// The digests of [`Self::plugins`].
    pub(crate) fn digests(&self) -> Vec<String> {
        let plugins = self.plugins().into_iter();
        plugins.map(|plugin| plugin.digest().to_owned()).collect()
    }
}

/// Sizes a connector may set for itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) batch_records: Option<u32>,
    pub(crate) batch_bytes: Option<u32>,
    pub(crate) flush_records: Option<u64>,
    pub(crate) flush_interval: Option<Duration>,
}
