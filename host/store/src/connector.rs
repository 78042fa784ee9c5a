//! A connector on its way into the file and back: secrets are sealed here and opened here.
//!
//! Must never show a secret value, in `Debug` or in an error.

use crate::StoreError;
use crate::inspect::SECRET_MARK;
use crate::secrets::Secrets;
use crate::tables::{ConnectorRow, Target};
use crate::writer::Change;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Largest name, key, value or position in bytes. Far above anything sensible; it keeps a plugin
/// from making the database refuse a whole transaction.
const LIMIT: usize = 16 * 1024 * 1024;

/// A connector as the worker knows it. Its secret values are in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredConnector {
    /// Its unique name.
    pub name: String,
    /// All options, secret ones in clear.
    pub config: BTreeMap<String, String>,
    /// Keys of `config` whose values are sealed in the file. Keys without a value are remembered.
    pub secret_keys: BTreeSet<String>,
    /// Whether it is meant to run.
    pub target: Target,
    /// When it was first created, in milliseconds since 1970 (UTC).
    pub created: u64,
}

impl fmt::Debug for StoredConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config: BTreeMap<_, _> = self
            .config
            .iter()
            .map(|(key, value)| match self.secret_keys.contains(key) {
                true => (key, SECRET_MARK),
                false => (key, value.as_str()),
            })
            .collect();
        f.debug_struct("StoredConnector")
            .field("name", &self.name)
            .field("config", &config)
            .field("secret_keys", &self.secret_keys)
            .field("target", &self.target)
            .field("created", &self.created)
            .finish()
    }
}

impl StoredConnector {
    pub(crate) fn seal(self, secrets: &Secrets) -> Result<Change, StoreError> {
        limited("the name", &self.name, self.name.len())?;
        let mut config = BTreeMap::new();
        let mut sealed = BTreeMap::new();
        for (key, value) in self.config {
            limited("an option's key", &self.name, key.len())?;
            limited("an option's value", &self.name, value.len())?;
            if self.secret_keys.contains(&key) {
                let value = zeroize::Zeroizing::new(value);
                let text = secrets.seal(&self.name, &key, &value)?;
                sealed.insert(key, text);
            } else {
                config.insert(key, value);
            }
        }
        let key_check = match sealed.is_empty() {
            true => None,
            false => Some(secrets.check_token()?),
        };
        let row = ConnectorRow {
            created: self.created,
            target: self.target,
            config,
            secret_keys: self.secret_keys,
            sealed,
        };
        let row = row.encode().map_err(StoreError::database(secrets.path()))?;
        limited("the configuration", &self.name, row.len())?;
        Ok(Change::PutConnector {
            name: self.name,
            row,
            key_check,
        })
    }

    pub(crate) fn unseal(
        name: String,
        row: ConnectorRow,
        secrets: &Secrets,
    ) -> Result<Self, StoreError> {
        let mut config = row.config;
        for (key, sealed) in &row.sealed {
            let mut value = secrets.open(&name, key, sealed)?;
            config.insert(key.clone(), std::mem::take(&mut *value));
        }
        Ok(Self {
            name,
            config,
            secret_keys: row.secret_keys,
            target: row.target,
            created: row.created,
        })
    }
}

/// Refuses what is larger than [`LIMIT`].
pub(crate) fn limited(what: &'static str, connector: &str, bytes: usize) -> Result<(), StoreError> {
    if bytes <= LIMIT {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        what,
        connector: connector.chars().take(100).collect(),
        bytes,
        limit: LIMIT,
    })
}
