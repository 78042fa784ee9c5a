//! The commands, one file each.

pub(crate) mod broker;
pub(crate) mod compile;
pub(crate) mod plugin;
pub(crate) mod standalone;
pub(crate) mod store;
