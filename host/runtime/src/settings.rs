//! What the worker is told at its start: identity, defaults, and the things it works with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use connect_broker::Broker;
use connect_plugins::Registry;
use connect_sandbox::{Grants, Lanes};
use connect_store::Store;

use crate::limits::LimitLevels;

/// Settings of one worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Name of this worker in statuses. Default `standalone-worker`.
    pub id: String,
    /// Key converter of connectors that name none, with its own settings. Default `string`.
    pub key_converter: ConverterDefault,
    /// Value converter of connectors that name none. Default `string`.
    pub value_converter: ConverterDefault,
    /// What plugins may touch.
    pub grants: Grants,
    /// Limits of tasks.
    pub limits: LimitLevels,
    /// Sizes and times of the data path.
    pub tuning: Tuning,
    /// How failed tasks are started again.
    pub restart: Restart,
    /// How new versions of plugins are taken up.
    pub reload: Reload,
}

/// A converter's name and its settings without prefix.
#[derive(Clone, Debug)]
pub struct ConverterDefault {
    /// Our name, a Java class name or its simple form.
    pub class: String,
    /// Settings such as `schemas.enable`.
    pub settings: BTreeMap<String, String>,
}

impl Default for ConverterDefault {
    fn default() -> Self {
        Self {
            class: "string".into(),
            settings: BTreeMap::new(),
        }
    }
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            id: "standalone-worker".into(),
            key_converter: ConverterDefault::default(),
            value_converter: ConverterDefault::default(),
            grants: Grants::default(),
            limits: LimitLevels::default(),
            tuning: Tuning::default(),
            restart: Restart::default(),
            reload: Reload::default(),
        }
    }
}

/// Sizes and times of the data path. A connector may override the starred ones.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Records of one batch across the wall, `batch.records`*. Default 1 024.
    pub batch_records: u32,
    /// Bytes of one batch across the wall, `batch.bytes`*. Default 1 MiB; a single record may
    /// exceed it.
    pub batch_bytes: u32,
    /// Longest wait inside a source's `poll`. Default 500 ms.
    pub poll_wait: Duration,
    /// A sink is flushed after this many records, `flush.records`*. Default 10 000.
    pub flush_records: u64,
    /// A sink is flushed this long after its first unflushed record, `flush.interval.ms`*.
    /// Default 1 s.
    pub flush_interval: Duration,
    /// Messages asked for in one pull. Default 1 024 (a broker may give fewer).
    pub pull_messages: u32,
    /// How long a pull waits at the broker. Default 15 s.
    pub pull_wait: Duration,
    /// How often a task looks for queues that came or went. Default 15 s.
    pub queue_refresh: Duration,
    /// Queues of a topic that the worker creates. Default 8.
    pub topic_queues: u32,
    /// A task that stops gives in-flight work this long. Default 10 s.
    pub drain: Duration,
    /// First and longest pause between tries while the broker refuses or is away.
    /// Default 100 ms to 1 s.
    pub broker_retry: (Duration, Duration),
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            batch_records: 1_024,
            batch_bytes: 1 << 20,
            poll_wait: Duration::from_millis(500),
            flush_records: 10_000,
            flush_interval: Duration::from_secs(1),
            pull_messages: 1_024,
            pull_wait: Duration::from_secs(15),
            queue_refresh: Duration::from_secs(15),
            topic_queues: 8,
            drain: Duration::from_secs(10),
            broker_retry: (Duration::from_millis(100), Duration::from_secs(1)),
        }
    }
}

/// How failed tasks are started again.
#[derive(Clone, Debug)]
pub struct Restart {
    /// First pause. Default 1 s; each further one is doubled.
    pub first: Duration,
    /// Longest pause. Default 60 s.
    pub longest: Duration,
    /// A run of this length makes the next failure the first again. Default 60 s.
    pub healthy: Duration,
    /// Failures in a row after which a task stays FAILED until someone resumes it. Default 10;
    /// 0 never starts a task again.
    pub attempts: u32,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            healthy: Duration::from_secs(60),
            attempts: 10,
        }
    }
}

/// How new versions of plugins are taken up. A version is on trial until each of its tasks has made
/// so many batches durable, or has run for so long; if it fails before that, the one before it runs
/// again.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Durable batches of each task after which a version is trusted. Default 20.
    pub confirm_batches: u32,
    /// Time after which it is trusted without them. Default 30 s.
    pub confirm_after: Duration,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            confirm_batches: 20,
            confirm_after: Duration::from_secs(30),
        }
    }
}

/// What the worker works with. The binary builds these.
#[derive(Clone)]
pub struct Dependencies {
    /// The RocketMQ cluster.
    pub broker: Arc<dyn Broker>,
    /// Configurations, positions, offsets.
    pub store: Store,
    /// The plugins.
    pub plugins: Arc<Registry>,
    /// Where guest code runs; nothing else does, so that REST and broker traffic go on while
    /// every guest is busy.
    pub guests: Lanes,
}
