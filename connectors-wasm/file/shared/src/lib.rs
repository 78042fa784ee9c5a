//! What the file source and the file sink have in common: lines, the identity of a file, paths.
//! Knows neither records nor the worker, so all of it is tested with plain bytes and files.

mod head;
mod identity;
mod lines;
mod path;

pub use head::{HEAD, Head};
pub use identity::{Identity, Look};
pub use lines::{Ends, Line, find_line};
pub use path::{directory, is_plain_name, name};
