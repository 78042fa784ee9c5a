//! Which version of its plugins a connector has run with, and which versions are not to be tried
//! again. Rows like those of `tables`, in tables of their own, since files of the first format do
//! not have them: a table that is not there is empty.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};

/// Connector → JSON of an [`Edition`].
const EDITIONS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("editions");
/// Plugin digest → why it is not to be tried again.
const QUARANTINE: TableDefinition<'static, &str, &str> = TableDefinition::new("quarantine");

/// What a connector has run with last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// Digests of its plugin, and of a direct connector's sink.
    pub digests: Vec<String>,
    /// What they may touch, in words: what a version that takes their place has to stay within.
    pub access: Vec<String>,
}

type Read<T> = Result<T, redb::Error>;

/// What each connector has run with last.
pub(crate) fn editions(transaction: &ReadTransaction) -> Read<BTreeMap<String, Edition>> {
    let table = match transaction.open_table(EDITIONS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = BTreeMap::new();
    for entry in table.iter()? {
        let (connector, row) = entry?;
        let name = connector.value().to_owned();
        let edition = serde_json::from_slice(row.value()).map_err(|error| {
            redb::Error::Corrupted(format!("editions of connector {name}: {error}"))
        })?;
        found.insert(name, edition);
    }
    Ok(found)
}

/// Digests that are not to be tried again, with the reason.
pub(crate) fn quarantine(transaction: &ReadTransaction) -> Read<BTreeMap<String, String>> {
    let table = match transaction.open_table(QUARANTINE) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = BTreeMap::new();
    for entry in table.iter()? {
        let (digest, reason) = entry?;
        found.insert(digest.value().to_owned(), reason.value().to_owned());
    }
    Ok(found)
}

pub(crate) fn set_edition(
    transaction: &WriteTransaction,
    connector: &str,
    edition: &Edition,
) -> Read<()> {
    let row =
        serde_json::to_vec(edition).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
    transaction
        .open_table(EDITIONS)?
        .insert(connector, row.as_slice())?;
    Ok(())
}

pub(crate) fn forget_edition(transaction: &WriteTransaction, connector: &str) -> Read<()> {
    transaction.open_table(EDITIONS)?.remove(connector)?;
    Ok(())
}

/// With a reason the digest is not to be tried again; without one it may be.
pub(crate) fn set_quarantine(
    transaction: &WriteTransaction,
    digest: &str,
    reason: Option<&str>,
) -> Read<bool> {
    let mut table = transaction.open_table(QUARANTINE)?;
    let known = match reason {
        Some(reason) => table.insert(digest, reason)?,
        None => table.remove(digest)?,
    };
    Ok(known.is_some())
}
