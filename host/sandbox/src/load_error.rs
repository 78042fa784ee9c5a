//! Why a file cannot be used as a plugin. Every text names the file, what was found and what would
//! be right; nothing of the file has run but its own description of itself.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::CallError;
use crate::text;

/// A file that cannot be used as a plugin, or a sandbox that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is too large.
    #[error("`{file}` has {bytes} bytes, the limit of a plugin is {}", text::bytes(*.limit))]
    TooLarge {
        /// The file.
        file: Arc<str>,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is machine code that an engine compiled.
    #[error(
        "`{file}` is precompiled code, which is never accepted: give the component it was made from"
    )]
    Precompiled {
        /// The file.
        file: Arc<str>,
    },
    /// The file is something else than WebAssembly.
    #[error("`{file}` is not a WebAssembly component: it does not begin as one")]
    NotWasm {
        /// The file.
        file: Arc<str>,
    },
    /// The file is a core module.
    #[error(
        "`{file}` is a WebAssembly core module, not a component: build it for the target wasm32-wasip2, \
         or wrap it with `wasm-tools component new`"
    )]
    CoreModule {
        /// The file.
        file: Arc<str>,
    },
    /// The file begins as a component but cannot be read.
    #[error("`{file}` is damaged: {reason}")]
    Malformed {
        /// The file.
        file: Arc<str>,
        /// What could not be read, and where.
        reason: String,
    },
    /// A module inside the component has more of something than it may, which each of its instances
    /// would keep outside of its memory.
    #[error("`{file}` has a core module with {count} {what}, the most is {most}")]
    TooMany {
        /// The file.
        file: Arc<str>,
        /// Of what.
        what: &'static str,
        /// How many, as far as was counted.
        count: u64,
        /// How many there may be.
        most: u64,
    },
    /// The component is of another version of the interface.
    #[error("`{file}` has `{found}`, but this worker speaks {supported} of `rocketmq:connect`")]
    Version {
        /// The file.
        file: Arc<str>,
        /// Interface and version that were found.
        found: String,
        /// Versions that would do.
        supported: String,
    },
    /// The component is not exactly one connector.
    #[error("`{file}` is not a connector plugin: {reason}")]
    NotAConnector {
        /// The file.
        file: Arc<str>,
        /// What is missing or too much.
        reason: String,
    },
    /// The component asks for something that this worker does not offer.
    #[error("`{file}` imports `{import}`, which this worker does not offer")]
    Import {
        /// The file.
        file: Arc<str>,
        /// The import.
        import: String,
    },
    /// The component does not compile.
    #[error("`{file}` does not compile: {reason}")]
    Compile {
        /// The file.
        file: Arc<str>,
        /// What the compiler says.
        reason: String,
    },
    /// The compiler did not do its work: it ran into a limit or fell over the file.
    #[error("`{file}` could not be compiled: {reason}")]
    Compiler {
        /// The file.
        file: Arc<str>,
        /// How the compiler ended; of a limit, its value and where to change it.
        reason: String,
    },
    /// An import or export has another type than the interface says.
    #[error("`{file}` does not fit the interface: {reason}")]
    Types {
        /// The file.
        file: Arc<str>,
        /// Which one, and how they differ.
        reason: String,
    },
    /// The component could not say what it is.
    #[error("`{file}` cannot describe itself")]
    Describe {
        /// The file.
        file: Arc<str>,
        /// What happened.
        #[source]
        source: Box<CallError>,
    },
    /// The component's description of itself cannot be used.
    #[error("`{file}` describes itself wrongly: {reason}")]
    Description {
        /// The file.
        file: Arc<str>,
        /// The field, its value, and what would be right.
        reason: String,
    },
    /// The directory of the code cache cannot be used.
    #[error("code cache `{}`: {reason}", .directory.display())]
    Cache {
        /// The directory.
        directory: PathBuf,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// The engine could not be set up.
    #[error("the sandbox cannot be set up: {reason}")]
    Engine {
        /// What the engine says.
        reason: String,
    },
}
