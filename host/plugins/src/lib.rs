//! The plugins a worker has: found in directories, loaded once, and looked up by the names that a
//! connector's configuration uses. Knows files and names; runs nothing itself and decides nothing
//! about connectors.

mod catalogue;
mod names;
mod scan;

pub use catalogue::{Catalogue, Entry, ResolveError};
pub use scan::ScanProblem;
