//! The plugins a worker has: found in directories, loaded once, and looked up by the names that a
//! connector's configuration uses. Knows files and names; runs nothing itself and decides nothing
//! about connectors.

mod catalogue;
mod deposit;
mod error;
mod names;
mod registry;
mod scan;
mod watch;

pub use catalogue::{Catalogue, Entry, ResolveError};
pub use error::DepositError;
pub use registry::{Registry, Reloaded};
pub use scan::ScanProblem;
pub use watch::{Watch, WatchError};
