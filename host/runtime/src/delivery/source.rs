//! From a plugin to topics. A position becomes durable only when the broker has confirmed every
//! record before it in its partition; order within a queue comes from one send in flight per queue.

mod dispatch;
mod lanes;
mod open;
mod resume;
mod route;
mod task;

pub(crate) use dispatch::topic_of;
pub(crate) use open::{make, open};
pub(crate) use task::run;
