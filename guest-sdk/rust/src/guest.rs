//! The plugin inside a component: generated bindings, and the functions the host calls, which hand
//! everything on to `task`. Exists only on wasm32; decides nothing.

pub mod bindings;
mod exports;
pub(crate) mod host;

use std::marker::PhantomData;

use crate::connector::Connector;

/// Where a registered plugin keeps its one task.
pub trait Slot: 'static {
    /// The plugin.
    type Plugin: Connector;

    /// A task of its role.
    type Task;

    /// Runs `act` on the task.
    fn with<R>(act: impl FnOnce(&mut Self::Task) -> R) -> R;
}

/// What a component exports for the plugin in `S`.
#[derive(Debug)]
pub struct Exports<S>(PhantomData<S>);
