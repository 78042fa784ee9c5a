//! Where plugins run: WebAssembly components in instances of their own, with nothing to reach but
//! what was granted and nothing to spend but what their limits say. The only crate that names
//! wasmtime; it decides nothing about connectors, retries or offsets.
//!
//! ```text
//! Sandbox --load(bytes)--> Plugin --source/sink/transform--> one instance a task
//!                            |
//!                            +--needs/validate/task_settings--> throw-away instances
//! ```
//!
//! What a guest returns is checked here, once, into types that cannot be wrong. An error of a call
//! says whether the instance lives on ([`CallError::poisoned`]); when it does not, drop it and make
//! another one: that takes microseconds.
//!
//! A future of a call that is dropped before it is done leaves the guest's stack half-way, so the
//! instance is of no use afterwards. To stop a guest, drop the future and the instance with it.

mod access;
mod bindings;
mod birth;
mod cache;
mod call;
mod compile;
mod config;
mod connector;
mod context;
mod denied;
mod description;
mod egress;
mod engine;
mod error;
mod fault;
mod files;
mod gate;
mod grants;
mod inspect;
mod lanes;
mod limit;
mod limits;
mod linker;
mod load_error;
mod log;
mod meter;
mod plugin;
mod progress;
mod rejects;
mod share;
mod sink;
mod source;
mod state;
mod stdio;
mod text;
mod ticker;
mod transform;
mod turn;

use std::fmt;

pub use access::{Access, Directory};
pub use compile::{CompileFailure, Compiler, CompilerCommand, compile_as_child};
pub use config::SandboxSettings;
pub use connector::Plan;
pub use context::{ResumeAnswer, SinkContext, SourceContext};
pub use denied::{Denied, Kind as GrantKind, Refusal, Why};
pub use description::{Description, OptionKind, OptionSpec};
pub use egress::{
    AddressGrant, BadTarget, Counted, Counters, EgressLimits, Endpoint, HostName, NetworkAccess,
    NetworkSettings, Origin, Resolver, SystemResolver,
};
pub use engine::{Sandbox, digest};
pub use error::{CallError, Problem};
pub use grants::{Grant, Grants, Need};
pub use inspect::{Inspected, inspect};
pub use lanes::Lanes;
pub use limit::{Breach, Limit};
pub use limits::{LimitChanges, Limits};
pub use load_error::LoadError;
pub use meter::{Meter, Usage};
pub use plugin::{Plugin, TaskScope};
pub use rejects::Rejected;
pub use sink::{Flushed, Late, SinkInstance};
pub use source::{Polled, SourceInstance};
pub use transform::{Applied, TransformInstance};

/// What a plugin does in a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Brings records in.
    Source,
    /// Takes records out.
    Sink,
    /// Changes records on their way.
    Transform,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Transform => "transform",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_rows::Parts;

    fn shared<T: Send + Sync + 'static>() {}
    fn owned<T: Send + 'static>() {}
    fn spawnable(_: impl Send) {}

    /// Never called: it compiles, which is all it is for.
    async fn calls_can_be_spawned(
        source: &mut SourceInstance,
        sink: &mut SinkInstance,
        parts: &Parts,
    ) {
        spawnable(source.open(&[]));
        spawnable(source.poll(1, 1, std::time::Duration::ZERO));
        spawnable(sink.open(&[], &[]));
        spawnable(sink.put(parts));
        spawnable(sink.flush());
    }

    #[test]
    fn plugins_are_shared_between_threads_and_instances_move_between_them() {
        shared::<Sandbox>();
        shared::<Plugin>();
        shared::<CallError>();
        shared::<LoadError>();
        owned::<SourceInstance>();
        owned::<SinkInstance>();
        owned::<TransformInstance>();
        let _ = calls_can_be_spawned;
    }
}
