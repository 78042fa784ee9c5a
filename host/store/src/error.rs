//! What can go wrong with the store, in words an operator can act on.
//!
//! Must never carry a secret value, and never a type of the database library: callers match on
//! these variants only.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the store could not be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused a file operation.
    #[error("{step} {}: {source}", path.display())]
    Io {
        /// What was being done, as a phrase that the path completes ("cannot create").
        step: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The system's own error.
        source: Arc<io::Error>,
    },

    /// Another process, or another [`Store`](crate::Store) of this one, has the directory open.
    #[error(
        "the store directory {} is in use{holder}; one worker at a time may use it: stop the other one or set another `worker.directory`",
        directory.display()
    )]
    InUse {
        /// The directory that is taken.
        directory: PathBuf,
        /// " by process N" when the holder left its number, else empty.
        holder: String,
    },

    /// The directory holds no store (only for inspection, which never creates one).
    #[error("no store in {}: there is no file {}", directory.display(), crate::format::FILE_NAME)]
    NotFound {
        /// The directory that was searched.
        directory: PathBuf,
    },

    /// The file is not what this program wrote. It was not changed.
    #[error(
        "the store file {} is damaged ({reason}); nothing was changed: restore the file from a backup, or move it away to start with no connectors",
        path.display()
    )]
    Corrupted {
        /// The damaged file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },

    /// The file was written by a newer version of this program. It was not changed.
    #[error(
        "the store file {} has format {found} (created by {created_by}), this program knows formats up to {supported}; nothing was changed: use the newer program, or restore a backup from before the upgrade",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format number.
        found: u32,
        /// The highest format this program reads.
        supported: u32,
        /// The program that created the file.
        created_by: String,
    },

    /// Sealed values are stored but the file with their key is gone.
    #[error(
        "the key file {} is missing, and the store holds secret values sealed with it: restore the key file from a backup, or delete the store and create the connectors again",
        path.display()
    )]
    KeyMissing {
        /// Where the key file is expected.
        path: PathBuf,
    },

    /// Others than the owner may read or write the key file.
    #[error(
        "the key file {} has permissions {mode:04o}, which lets others at the secrets: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    KeyPermissions {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },

    /// The key file does not hold a key.
    #[error("the key file {} does not hold a key ({reason}): restore it from a backup", path.display())]
    KeyMalformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The key file holds another key than the one the values were sealed with.
    #[error(
        "the key in {} is not the one the store's secret values were sealed with: restore the key file that belongs to this store",
        path.display()
    )]
    KeyWrong {
        /// The key file.
        path: PathBuf,
    },

    /// One sealed value does not belong where it stands.
    #[error(
        "the secret value of `{key}` of connector {connector} cannot be opened: it was changed or moved outside the worker; create the connector again"
    )]
    SealBroken {
        /// The connector.
        connector: String,
        /// The option's key.
        key: String,
    },

    /// A name or value is larger than the store takes.
    #[error("{what} of connector {connector} has {bytes} bytes, the store takes {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The connector concerned (shortened when it is the name that is too large).
        connector: String,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// The worker changes the file faster than it can be copied (only for inspection).
    #[error(
        "the store file {} kept changing while it was read: try again, or pause the worker's connectors first",
        path.display()
    )]
    Busy {
        /// The file.
        path: PathBuf,
    },

    /// An earlier write failed; since then the store takes no more of them.
    #[error("the store {} takes no more writes since one failed ({reason}): mend the cause and restart the worker", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The first failure.
        reason: Arc<str>,
    },
}

impl StoreError {
    pub(crate) fn io(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            step,
            path,
            source: Arc::new(source),
        }
    }

    pub(crate) fn corrupted(path: &Path, reason: impl ToString) -> Self {
        Self::Corrupted {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// A failure of the database library: input and output keep their own variant, everything
    /// else means the file is not what it was when this program wrote it.
    pub(crate) fn database(path: &Path) -> impl Fn(redb::Error) -> Self {
        let path = path.to_owned();
        move |error| match error {
            redb::Error::Io(source) => match source.kind() {
                // How a foreign file and a cut one show.
                io::ErrorKind::InvalidData => Self::corrupted(&path, source),
                io::ErrorKind::UnexpectedEof => Self::corrupted(&path, "it ends too early"),
                _ => Self::Io {
                    step: "cannot read or write",
                    path: path.clone(),
                    source: Arc::new(source),
                },
            },
            other => Self::corrupted(&path, other),
        }
    }
}
