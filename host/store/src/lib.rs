//! What a worker must not forget: its connectors, how far their sources have read, how far their
//! sinks have written. One file, one writer thread, every answer after the data is on disk.
//!
//! The only crate that names the database. It must never decide policy (who resumes where is the
//! runtime's business) and never hand out or write a secret in clear, except in the
//! [`StoredConnector`]s that the runtime asks for.
//!
//! # Example
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use connect_store::{Store, StoredConnector, Target};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path();
//! let store = Store::open(directory)?;
//! store
//!     .put_connector(StoredConnector {
//!         name: "orders".to_owned(),
//!         config: [("password".to_owned(), "hunter2".to_owned())].into(),
//!         secret_keys: ["password".to_owned()].into(),
//!         target: Target::Running,
//!         created: 1_700_000_000_000,
//!     })
//!     .await?;
//! store
//!     .commit_positions("orders", &[("table".to_owned(), "row 7".into())], &[])
//!     .await?;
//! drop(store);
//!
//! // The next process finds everything that was awaited.
//! let store = Store::open(directory)?;
//! assert_eq!(store.connectors()?.len(), 1);
//! assert_eq!(store.positions("orders")?.len(), 1);
//! # Ok::<(), connect_store::StoreError>(())
//! # }).unwrap();
//! ```

mod connector;
mod editions;
mod error;
mod format;
mod inspect;
mod lock;
mod overlay;
mod secrets;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use connector::StoredConnector;
pub use editions::Edition;
pub use error::StoreError;
pub use format::FormatInfo;
pub use inspect::{InspectedConnector, InspectedPosition, Inspection, SECRET_MARK};
pub use tables::{StoredOffset, Target};

use bytes::Bytes;
use connector::limited;
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::{Change, Writer};

/// The worker's durable memory. Clones share one file and one writer thread.
///
/// Dropping the last clone waits until everything queued is written and closes the file; that
/// takes about one disk flush, so drop it outside time-critical code.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

// Fields drop in order: the writer ends, then the file closes, then the directory is free.
#[derive(Debug)]
struct Inner {
    writer: Writer,
    database: Arc<Database>,
    secrets: secrets::Secrets,
    path: PathBuf,
    _lock: lock::DirectoryLock,
}

impl Store {
    /// Opens the store in `directory`, creating both if there are none. Blocks for the time it
    /// takes to read the file once.
    ///
    /// # Errors
    /// The directory is taken by another process or cannot be used; the file is damaged, foreign
    /// or of a newer format; the key of its secrets is missing, another one, or open to others.
    /// In each of these cases nothing on disk has changed.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        format::create_directory(directory)?;
        let lock = lock::DirectoryLock::take(directory)?;
        let path = directory.join(format::FILE_NAME);
        let secrets = secrets::Secrets::new(directory);
        let database = format::open(&path, &secrets)?;
        Self::start(path, database, secrets, lock)
    }

    fn start(
        path: PathBuf,
        database: Database,
        secrets: secrets::Secrets,
        lock: lock::DirectoryLock,
    ) -> Result<Self, StoreError> {
        let database = Arc::new(database);
        let writer = Writer::start(&path, Arc::clone(&database))?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                database,
                secrets,
                path,
                _lock: lock,
            }),
        })
    }

    /// Stores a connector, replacing one of the same name. Values of its secret keys are sealed;
    /// the first of them makes the key file.
    ///
    /// # Errors
    /// The name or a value is too large, the key file cannot be used, or the store has failed.
    pub async fn put_connector(&self, connector: StoredConnector) -> Result<(), StoreError> {
        let change = connector.seal(&self.inner.secrets)?;
        self.inner.writer.apply(change).await.map(drop)
    }

    /// Removes a connector; `false` if there was none. With `purge` its positions and offsets go
    /// too (also those of a connector removed earlier), else one of the same name resumes there.
    ///
    /// # Errors
    /// The store has failed.
    pub async fn delete_connector(&self, name: &str, purge: bool) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.inner
            .writer
            .apply(Change::DeleteConnector { name, purge })
            .await
    }

    /// Says whether a connector is to run; `false` if there is none of that name.
    ///
    /// # Errors
    /// The store has failed.
    pub async fn set_target(&self, name: &str, target: Target) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.inner
            .writer
            .apply(Change::SetTarget { name, target })
            .await
    }

    /// All connectors, by name, secrets opened.
    ///
    /// # Errors
    /// The file cannot be read or a secret no longer opens.
    pub fn connectors(&self) -> Result<Vec<StoredConnector>, StoreError> {
        self.read(tables::connectors)?
            .into_iter()
            .map(|(name, row)| StoredConnector::unseal(name, row, &self.inner.secrets))
            .collect()
    }

    /// Stores how far a source has come, and forgets partitions it has left. Both happen or
    /// neither does; a partition in both lists keeps its new position. A future that is dropped
    /// leaves it open which.
    ///
    /// # Errors
    /// A partition or position is too large, or the store has failed.
    pub async fn commit_positions(
        &self,
        connector: &str,
        points: &[(String, Bytes)],
        forget: &[String],
    ) -> Result<(), StoreError> {
        limited("the name", connector, connector.len())?;
        for (partition, position) in points {
            limited("a partition", connector, partition.len())?;
            limited("a position", connector, position.len())?;
        }
        let change = Change::Positions {
            connector: connector.to_owned(),
            points: points.to_vec(),
            forget: forget.to_vec(),
        };
        self.inner.writer.apply(change).await.map(drop)
    }

    /// Positions of a source, ordered by partition.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn positions(&self, connector: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let rows = self.read(|transaction| tables::positions(transaction, connector))?;
        Ok(shared(rows))
    }

    /// Keeps a source's positions as they are beside those that a version on trial writes, until the
    /// next [`Self::put_back`] or [`Self::set_edition`]. What is kept already stays.
    ///
    /// # Errors
    /// The name is too large, or the store has failed.
    pub async fn set_aside(&self, connector: &str) -> Result<(), StoreError> {
        limited("the name", connector, connector.len())?;
        let connector = connector.to_owned();
        let change = Change::SetAside { connector };
        self.inner.writer.apply(change).await.map(drop)
    }

    /// What [`Self::set_aside`] keeps, ordered by partition; none when it keeps nothing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn aside(&self, connector: &str) -> Result<Option<Vec<(String, Bytes)>>, StoreError> {
        let rows = self.read(|transaction| editions::aside(transaction, connector))?;
        Ok(rows.map(shared))
    }

    /// Puts in force again what [`Self::set_aside`] keeps, all of it, and nothing else. Answers
    /// whether it kept anything.
    ///
    /// # Errors
    /// The name is too large, or the store has failed.
    pub async fn put_back(&self, connector: &str) -> Result<bool, StoreError> {
        limited("the name", connector, connector.len())?;
        let connector = connector.to_owned();
        self.inner.writer.apply(Change::PutBack { connector }).await
    }

    /// Stores how far a sink has come, all of it or nothing. Going back is allowed: an operator
    /// may reset a connector.
    ///
    /// # Errors
    /// A name is too large, or the store has failed.
    pub async fn commit_offsets(
        &self,
        connector: &str,
        offsets: &[StoredOffset],
    ) -> Result<(), StoreError> {
        limited("the name", connector, connector.len())?;
        for offset in offsets {
            limited("a topic", connector, offset.topic.len())?;
            limited("a broker name", connector, offset.broker.len())?;
        }
        let change = Change::Offsets {
            connector: connector.to_owned(),
            offsets: offsets.to_vec(),
        };
        self.inner.writer.apply(change).await.map(drop)
    }

    /// Offsets of a sink, ordered by topic, broker and queue.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn offsets(&self, connector: &str) -> Result<Vec<StoredOffset>, StoreError> {
        self.read(|transaction| tables::offsets(transaction, connector))
    }

    /// Notes what a connector runs with, and that it will not go back to positions set aside.
    ///
    /// # Errors
    /// The name is too large, or the store has failed.
    pub async fn set_edition(&self, connector: &str, edition: Edition) -> Result<(), StoreError> {
        limited("the name", connector, connector.len())?;
        let change = Change::Edition {
            connector: connector.to_owned(),
            edition,
        };
        self.inner.writer.apply(change).await.map(drop)
    }

    /// What each connector has run with last, by connector.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn editions(&self) -> Result<BTreeMap<String, Edition>, StoreError> {
        self.read(editions::editions)
    }

    /// Notes that a plugin is not to be tried again, and why; without a reason that it may be.
    ///
    /// # Errors
    /// The reason is too large, or the store has failed.
    pub async fn set_quarantine(
        &self,
        digest: &str,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        limited("a reason", digest, reason.map_or(0, str::len))?;
        let change = Change::Quarantine {
            digest: digest.to_owned(),
            reason: reason.map(str::to_owned),
        };
        self.inner.writer.apply(change).await.map(drop)
    }

    /// Digests of plugins that are not to be tried again, with the reason.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn quarantine(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.read(editions::quarantine)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let read = || work(&self.inner.database.begin_read()?);
        read().map_err(StoreError::database(&self.inner.path))
    }
}

fn shared(rows: Vec<(String, Vec<u8>)>) -> Vec<(String, Bytes)> {
    let row = |(partition, position): (String, Vec<u8>)| (partition, position.into());
    rows.into_iter().map(row).collect()
}
