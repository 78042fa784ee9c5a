//! From topics to a plugin. An offset becomes durable only after the plugin's flush returned, and
//! never beyond what that flush covers; the broker's group offset follows the store's.

mod ahead;
mod assign;
mod commit;
mod crowd;
mod desk;
mod flush;
mod gather;
mod hands;
mod mirror;
mod reader;
mod refresh;
mod seat;
mod task;
mod trouble;

pub(crate) use desk::{make, open};
pub(crate) use task::run;
