//! The file sink: appends each record as a line to a file. Never leaves a torn or doubled part of a
//! line behind a failed write, and never takes a write for done that failed.
//!
//! What is promised of a file: only whole lines are added; a last line that a crash has torn is cut
//! back to the last line end when the file is opened; `flush` returns after everything that was put
//! is written and, unless `fsync=never`, on disk. After a crash the records since the last flush come
//! again, so lines may repeat; none is lost.
//!
//! One file has one writer. A file may be written by several tasks only if no two of them can meet,
//! so several tasks are planned only when the name holds topic, broker and queue; nobody but one
//! connector must write to a file.

mod cbor;
mod config;
mod output;
mod outputs;
mod tail;
mod task;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use task::FileSink;

connect_sdk::register!(sink: FileSink);
