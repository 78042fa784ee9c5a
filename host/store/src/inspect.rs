//! Looks into a store without owning it: for the `store` command, also beside a running worker.
//!
//! Works on a copy of the file in memory, so it must never change anything on disk, takes no lock
//! and needs no key: secrets stay sealed and show as a mark.

use crate::StoreError;
use crate::format::{self, FormatInfo};
use crate::overlay::Base;
use crate::tables::{self, ConnectorRow, StoredOffset, Target};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use redb::{Database, ReadTransaction, ReadableDatabase as _};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What stands in the place of every secret value.
pub const SECRET_MARK: &str = "<secret>";

/// How often a copy that fails its checks is taken anew while the file keeps changing.
const ATTEMPTS: u32 = 20;

/// A connector without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InspectedConnector {
    /// Its name.
    pub name: String,
    /// Whether it is meant to run.
    pub target: Target,
    /// When it was created, in milliseconds since 1970 (UTC).
    pub created: u64,
    /// Its options; secret ones have the value [`SECRET_MARK`].
    pub config: BTreeMap<String, String>,
    /// Keys of its secret options.
    pub secret_keys: BTreeSet<String>,
}

/// How far a source has read one of its partitions. In JSON `position` is there when the position
/// is text, else `position-base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedPosition {
    /// The partition, in the plugin's words.
    pub partition: String,
    /// The position, bytes of the plugin's own making.
    pub position: Vec<u8>,
}

impl InspectedPosition {
    /// The position as text; in base64 after a mark where it is none.
    pub fn text(&self) -> Cow<'_, str> {
        match str::from_utf8(&self.position) {
            Ok(text) => text.into(),
            Err(_) => format!("base64:{}", BASE64.encode(&self.position)).into(),
        }
    }
}

impl Serialize for InspectedPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("partition", &self.partition)?;
        match str::from_utf8(&self.position) {
            Ok(text) => map.serialize_entry("position", text)?,
            Err(_) => map.serialize_entry("position-base64", &BASE64.encode(&self.position))?,
        }
        map.end()
    }
}

/// A consistent view of a store at one moment.
#[derive(Debug)]
pub struct Inspection {
    database: Database,
    path: PathBuf,
    format: FormatInfo,
}

impl Inspection {
    /// Copies the store in `directory` into memory and checks it. A worker may be using it.
    ///
    /// # Errors
    /// There is no store, it cannot be read, is damaged, foreign or of a newer format, or a
    /// worker changes it faster than it can be copied.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(format::FILE_NAME);
        let mut before: Option<Vec<u8>> = None;
        for _ in 0..ATTEMPTS {
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StoreError::NotFound {
                        directory: directory.to_owned(),
                    });
                }
                Err(error) => return Err(StoreError::io("cannot read", &path)(error)),
            };
            match format::rehearse(&path, Base::Memory(bytes.clone())) {
                Ok(database) => {
                    let format = format::info(&database, &path)?;
                    return Ok(Self {
                        database,
                        path,
                        format,
                    });
                }
                // Torn by a write in the middle of the copy, unless it was the same before.
                Err(error @ StoreError::Corrupted { .. }) => {
                    if before.as_ref() == Some(&bytes) {
                        return Err(error);
                    }
                    before = Some(bytes);
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy { path })
    }

    /// What the file says about itself.
    pub fn format(&self) -> &FormatInfo {
        &self.format
    }

    /// All connectors, by name.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn connectors(&self) -> Result<Vec<InspectedConnector>, StoreError> {
        let rows = self.read(tables::connectors)?;
        Ok(rows.into_iter().map(inspected).collect())
    }

    /// Positions of a source, ordered by partition.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn positions(&self, connector: &str) -> Result<Vec<InspectedPosition>, StoreError> {
        let rows = self.read(|transaction| tables::positions(transaction, connector))?;
        Ok(rows
            .into_iter()
            .map(|(partition, position)| InspectedPosition {
                partition,
                position,
            })
            .collect())
    }

    /// Offsets of a sink, ordered by topic, broker and queue.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn offsets(&self, connector: &str) -> Result<Vec<StoredOffset>, StoreError> {
        self.read(|transaction| tables::offsets(transaction, connector))
    }

    /// Everything in the store as one JSON document, secrets marked.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn dump(&self) -> Result<Value, StoreError> {
        let connectors = self.connectors()?;
        let mut positions = Map::new();
        let mut offsets = Map::new();
        for name in self.read(tables::progress_owners)? {
            let rows = self.positions(&name)?;
            if !rows.is_empty() {
                positions.insert(name.clone(), json!(rows));
            }
            let rows = self.offsets(&name)?;
            if !rows.is_empty() {
                offsets.insert(name, json!(rows));
            }
        }
        Ok(json!({
            "format": self.format.format,
            "created-by": self.format.created_by,
            "connectors": connectors,
            "positions": positions,
            "offsets": offsets,
        }))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let read = || work(&self.database.begin_read()?);
        read().map_err(StoreError::database(&self.path))
    }
}

fn inspected((name, row): (String, ConnectorRow)) -> InspectedConnector {
    let mut config = row.config;
    for key in row.sealed.into_keys() {
        config.insert(key, SECRET_MARK.to_owned());
    }
    InspectedConnector {
        name,
        target: row.target,
        created: row.created,
        config,
        secret_keys: row.secret_keys,
    }
}
