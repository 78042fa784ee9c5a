//! What records are on the worker's side: batches that cannot be wrong, schemas, values, queues. Must never do I/O,
//! never name a sandbox, a broker or a store, and never panic on anything that a guest wrote.
//!
//! - [`Batch::check`] is the one gate: what a guest returns is looked at once, completely, and is trusted from then
//!   on. Keys, values and header values of its [`Record`]s are slices of one arena, so passing them on copies nothing.
//! - [`Schema`] and [`Value`] are how structured keys and values are described and written.
//! - [`Queue`], [`QueueOffset`] and [`ResumePoint`] say where records come from and go to.
#![forbid(unsafe_code)]

mod batch;
mod limits;
mod queue;
mod schema;
mod value;

pub use batch::{Batch, BatchError, Origin, Record, RowName};
pub use limits::Limits;
pub use queue::{Queue, QueueOffset, ResumePoint};
pub use schema::{Field, Kind, Schema, SchemaError, Shape};
pub use value::{Value, ValueError};
