//! Why a plugin cannot be taken in or given away.

use std::io;
use std::path::PathBuf;

use connect_sandbox::LoadError;

/// An upload or a removal that was refused or failed. The directory is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DepositError {
    /// The worker has no plugin directory.
    #[error("the worker has no plugin directory; name one as `plugins` under [worker]")]
    NoDirectory,
    /// The bytes are no plugin that can be used here.
    #[error("the upload cannot be used")]
    Load(#[from] LoadError),
    /// Name and version make no file name.
    #[error(
        "`{file}` cannot be a file's name: a plugin's name and version may hold letters, digits, `.`, `-`, `_` and `+`"
    )]
    Name {
        /// The name that it would have.
        file: String,
    },
    /// Another file is this version of this plugin.
    #[error(
        "`{}` is `{name}@{version}` already, with other content; give the new one another version",
        .path.display()
    )]
    Taken {
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
        /// The file that is there.
        path: PathBuf,
    },
    /// There is no such plugin.
    #[error("there is no plugin `{name}@{version}`")]
    Unknown {
        /// The name.
        name: String,
        /// The version.
        version: String,
    },
    /// The file system refused.
    #[error("plugin file `{}` cannot be {step}", .path.display())]
    Disk {
        /// What was being done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}
