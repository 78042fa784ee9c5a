//! The file source: sends each line of one or more files as a record. Reads files; never writes,
//! renames or removes one.
//!
//! What is promised of a file: every byte is read once per position; a line is what stands between
//! line ends, whatever its bytes; a record's position is the place after its line end, so that what
//! comes after a restart is exactly what comes after the last durable record.
//!
//! A file is known by its beginning (length and hash of its first bytes, up to 1 KiB), which is kept
//! with the offset: a file that begins otherwise or is shorter is another file. While a task runs, it
//! keeps the handle of a file that was renamed or deleted, reads it to its end, and goes on with the
//! new file of that name once the old one has been quiet for `rotate.wait`. After a restart it looks
//! for the renamed file beside the path; a second rotation within the same pause is not followed, and
//! logged as a file that is not the one read before.

mod buffer;
mod config;
mod emit;
mod follow;
mod locate;
mod plan;
mod position;
mod task;
#[cfg(test)]
mod tests;

pub use task::FileSource;

connect_sdk::register!(source: FileSource);
