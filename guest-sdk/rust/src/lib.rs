//! Write RocketMQ Connect connectors in Rust: sources, sinks and transforms that run as WebAssembly
//! components inside the worker. Knows the wall and nothing of any system; does no I/O of its own.
//!
//! A plugin is one crate with one type and one line:
//!
//! | role | trait | the line |
//! |---|---|---|
//! | brings records in | [`Source`] | `connect_sdk::register!(source: MySource);` |
//! | takes records out | [`Sink`] | `connect_sdk::register!(sink: MySink);` |
//! | changes records between | [`Transform`] | `connect_sdk::register!(transform: MyTransform);` |
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]   # rlib, so that tests can use it natively
//!
//! [profile.release]
//! opt-level = "s"
//! lto = true
//! panic = "abort"
//! ```
//!
//! `cargo build --release --target wasm32-wasip2` makes the `.wasm` file that goes into the worker's
//! plugin directory.
//!
//! # A source
//!
//! Reads the measurements of a sensor that appear one per file in a directory. Each file becomes a
//! record; its name is the position, so after a crash the directory is read on from there.
//!
//! ```
//! use std::{fs, time::Duration};
//! use connect_sdk::{Batch, Connector, Description, Need, Next, OptionSpec, Result, Settings, Source, SourceContext};
//!
//! struct Inbox { directory: String, last: String }
//!
//! impl Connector for Inbox {
//!     fn describe() -> Description {
//!         Description::new("inbox-source", env!("CARGO_PKG_VERSION"), "Sends each new file of a directory.")
//!             .option(OptionSpec::text("directory").required().doc("where files appear, named in order"))
//!     }
//!
//!     fn needs(settings: &Settings) -> Vec<Need> {
//!         settings.get("directory").map(Need::read_directory).into_iter().collect()
//!     }
//! }
//!
//! impl Source for Inbox {
//!     fn open(settings: &Settings, context: SourceContext) -> Result<Self> {
//!         let directory = settings.text("directory")?.to_owned();
//!         let stored = context.resume_point(&directory).unwrap_or_default();
//!         Ok(Self { directory, last: String::from_utf8_lossy(&stored).into_owned() })
//!     }
//!
//!     fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
//!         let names = fs::read_dir(&self.directory)?.filter_map(|file| file.ok()?.file_name().into_string().ok());
//!         let mut names: Vec<String> = names.filter(|name| *name > self.last).collect();
//!         names.sort();
//!         for name in names {
//!             if batch.is_full() {
//!                 return Ok(Next::Now);
//!             }
//!             let content = fs::read(format!("{}/{name}", self.directory))?;
//!             let record = batch.add().partition(&self.directory).position(name.as_bytes());
//!             record.header("file", name.as_bytes()).value(&content).finish()?;
//!             self.last = name;
//!         }
//!         Ok(Next::After(Duration::from_secs(1)))
//!     }
//! }
//!
//! connect_sdk::register!(source: Inbox);
//! #
//! # use connect_sdk::testing::SourceDriver;
//! # let directory = std::env::temp_dir().join(format!("inbox-{}", std::process::id()));
//! # fs::create_dir_all(&directory)?;
//! # for (name, text) in [("2", "warm"), ("1", "cold")] { fs::write(directory.join(name), text)?; }
//! # let mut source = SourceDriver::<Inbox>::open([("directory", directory.to_str().unwrap())])?;
//! # assert_eq!(source.poll()?.texts(), ["cold", "warm"]);
//! # source.commit()?;
//! # fs::write(directory.join("3"), "hot")?;
//! # assert_eq!(source.crash()?.poll()?.texts(), ["hot"]);
//! # fs::remove_dir_all(&directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A sink
//!
//! Keeps the latest value of each key in a file of that name. Writing a value twice does no harm, so
//! it does not matter that the records since the last flush come again after a crash. `flush` returns
//! when everything is on disk.
//!
//! ```
//! use std::{collections::BTreeSet, fs};
//! use connect_sdk::{Connector, Description, Flushed, Need, OptionSpec, Records, Rejected, Result, Settings, Sink, SinkContext};
//!
//! struct Latest { directory: String, written: BTreeSet<String> }
//!
//! impl Connector for Latest {
//!     fn describe() -> Description {
//!         Description::new("latest-sink", env!("CARGO_PKG_VERSION"), "Keeps the latest value of each key.")
//!             .option(OptionSpec::text("directory").required().doc("where the values are kept"))
//!     }
//!
//!     fn needs(settings: &Settings) -> Vec<Need> {
//!         settings.get("directory").map(Need::write_directory).into_iter().collect()
//!     }
//! }
//!
//! impl Sink for Latest {
//!     fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
//!         Ok(Self { directory: settings.text("directory")?.to_owned(), written: BTreeSet::new() })
//!     }
//!
//!     fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
//!         let mut rejected = Vec::new();
//!         for record in records.records() {
//!             let key = std::str::from_utf8(record.key().unwrap_or_default()).unwrap_or_default();
//!             if key.is_empty() || !key.chars().all(char::is_alphanumeric) {
//!                 rejected.push(Rejected::new(&record, "the key is not a plain name"));
//!                 continue;
//!             }
//!             fs::write(format!("{}/{key}", self.directory), record.value().unwrap_or_default())?;
//!             self.written.insert(key.to_owned());
//!         }
//!         Ok(rejected)
//!     }
//!
//!     fn flush(&mut self) -> Result<Flushed> {
//!         for key in &self.written {
//!             fs::File::open(format!("{}/{key}", self.directory))?.sync_all()?;
//!         }
//!         self.written.clear();
//!         Ok(Flushed::all())
//!     }
//! }
//!
//! connect_sdk::register!(sink: Latest);
//! #
//! # use connect_sdk::testing::{record, SinkDriver};
//! # let directory = std::env::temp_dir().join(format!("latest-{}", std::process::id()));
//! # fs::create_dir_all(&directory)?;
//! # let mut sink = SinkDriver::<Latest>::open([("directory", directory.to_str().unwrap())])?;
//! # let batch = [record("1").key("a"), record("x").key("../b"), record("2").key("a"), record("no key")];
//! # let rejected: Vec<u32> = sink.put(&batch)?.into_iter().map(|rejected| rejected.index).collect();
//! # assert_eq!(rejected, [1, 3]);
//! # sink.flush()?;
//! # assert_eq!(fs::read_to_string(directory.join("a"))?, "2");
//! # fs::remove_dir_all(&directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Answers and traps
//!
//! Every call answers [`Result`]. A [`Failure`] is an answer: the instance lives on, a retriable one
//! gets the same call again. A panic is not: it traps, the worker drops the instance with all its
//! memory, and the task starts again from what was durable, or fails if that goes on. So a connector
//! must not panic on data or on what the outside does; use `?`, [`OrFail`] and [`Rejected`]. The text
//! of a panic reaches the worker's log.
//!
//! # What a plugin can touch
//!
//! Nothing, but for what it [needs](Connector::needs) and the operator grants. `std::fs` works within
//! granted directories, under the paths that were asked for. There are no threads, no environment and
//! no arguments; waiting belongs to the worker ([`Next::After`]).
//!
//! # Tests
//!
//! [`testing`] drives a connector natively: `cargo test`, no Wasm, no worker.

#![forbid(unsafe_op_in_unsafe_fn)]

mod batch;
mod connector;
mod describe;
mod failure;
#[cfg(target_arch = "wasm32")]
mod guest;
mod host;
mod json;
pub mod log;
mod register;
mod settings;
mod sink;
mod source;
mod task;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod transform;

pub use batch::Batch;
pub use connect_rows::{Headers, RecordBuilder, RecordView as Record, TooLarge, View as Records};
pub use connector::Connector;
pub use describe::{Description, Kind, Need, OptionSpec, Plan};
pub use failure::{Failure, OrFail, Problem, RETRY_AFTER};
pub use settings::Settings;
pub use sink::{Flushed, Late, Queue, QueueOffset, Rejected, Sink, SinkContext};
pub use source::{Next, ResumePoint, Source, SourceContext};
pub use transform::Transform;

/// The answer of a call: what it brings, or why it could not.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What [`register!`] expands to; no business of a plugin's.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::guest::{Exports, Slot, bindings};
    pub use crate::task::{Applied, Polled, SinkTask, SourceTask, TransformTask};
}
