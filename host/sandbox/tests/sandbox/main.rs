//! The sandbox with real guests: what they may do works, what they must not do is stopped and named.
//! One binary for all of it, since each one that links the engine is large.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code; the lints spare only the test functions themselves"
)]

mod answers;
mod budgets;
mod cache;
mod confinement;
mod connector;
mod corpus;
mod egress;
mod egress_http;
mod escapes;
mod faults;
mod files;
mod fixtures;
mod hostile;
mod limits;
mod load;
mod messages;
mod meter;
mod outside;
mod share;
mod sink;
mod source;
mod transform;
