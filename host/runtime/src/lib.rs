//! The worker: connectors, their tasks, and every decision about a record's way between a plugin
//! and RocketMQ.
//!
//! Policy lives here (when to retry, what to commit, when a task has failed); the mechanism is in
//! the crates below. The order of two things is the whole promise: a source position becomes
//! durable only after the broker confirmed everything before it, a sink offset only after the
//! plugin's flush returned.
//!
//! This crate must never name wasmtime, a RocketMQ crate or the database, and never read a file
//! or the environment of its own accord: the binary hands it what it needs.

mod connector;
mod delivery;
mod error;
mod failpoint;
mod fixed_hash;
mod guest;
mod limits;
mod metrics;
mod settings;
mod spec;
mod status;
mod worker;

pub use connect_plugins::DepositError;
pub use error::WorkerError;
pub use limits::LimitLevels;
pub use metrics::{Moved, PluginUsage, TaskUsage};
pub use settings::{ConverterDefault, Dependencies, Reload, Restart, Tuning, WorkerSettings};
pub use spec::name::check_name;
pub use status::{
    ConnectorInfo, Pause, PluginChange, PluginInUse, PluginInfo, Readiness, ReloadReport, State,
    SwapOutcome, SwapRecord, TaskInfo,
};
pub use worker::{Put, Worker};
