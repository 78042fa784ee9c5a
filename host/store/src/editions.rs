//! Which version of its plugins a connector has run with, what it would go back to with the one that
//! is on trial, and which versions are not to be tried again. Rows like those of `tables`, in tables
//! of their own, since files of the first format do not have them: a table that is not there is empty.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::tables;

/// Connector → JSON of an [`Edition`].
const EDITIONS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("editions");
/// Plugin digest → why it is not to be tried again.
const QUARANTINE: TableDefinition<'static, &str, &str> = TableDefinition::new("quarantine");
/// Connector → JSON of its positions from before a version that writes others came on trial.
const ASIDE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("positions-aside");

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
/// Source partitions and their positions.
type Positions = Vec<(String, Vec<u8>)>;

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

/// Positions that were set aside.
pub(crate) fn aside(transaction: &ReadTransaction, connector: &str) -> Read<Option<Positions>> {
    let table = match transaction.open_table(ASIDE) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let row = table.get(connector)?;
    row.map(|row| parse(connector, row.value())).transpose()
}

fn parse(connector: &str, row: &[u8]) -> Read<Positions> {
    serde_json::from_slice(row).map_err(|error| {
        redb::Error::Corrupted(format!("positions aside of connector {connector}: {error}"))
    })
}

/// Sets positions aside unless some are already, which are from before an earlier trial.
pub(crate) fn set_aside(transaction: &WriteTransaction, connector: &str) -> Read<bool> {
    let mut table = transaction.open_table(ASIDE)?;
    if table.get(connector)?.is_some() {
        return Ok(false);
    }
    let positions = tables::positions_in(&transaction.open_table(tables::POSITIONS)?, connector)?;
    let row = serde_json::to_vec(&positions)
        .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
    table.insert(connector, row.as_slice())?;
    Ok(true)
}

/// Puts positions in force again that were set aside.
pub(crate) fn put_back(transaction: &WriteTransaction, connector: &str) -> Read<bool> {
    let mut kept = transaction.open_table(ASIDE)?;
    let row = kept.remove(connector)?;
    let Some(positions) = row.map(|row| parse(connector, row.value())).transpose()? else {
        return Ok(false);
    };
    let now = tables::positions_in(&transaction.open_table(tables::POSITIONS)?, connector)?;
    tables::put_positions(
        transaction,
        connector,
        positions
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice())),
        now.iter().map(|(key, _)| key.as_str()),
    )?;
    Ok(true)
}

/// What a connector runs with is what it goes back to from now on.
pub(crate) fn set_edition(
    transaction: &WriteTransaction,
    connector: &str,
    edition: &Edition,
) -> Read<()> {
    transaction.open_table(ASIDE)?.remove(connector)?;
    let row =
        serde_json::to_vec(edition).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
    transaction
        .open_table(EDITIONS)?
        .insert(connector, row.as_slice())?;
    Ok(())
}

pub(crate) fn forget_edition(transaction: &WriteTransaction, connector: &str) -> Read<()> {
    transaction.open_table(EDITIONS)?.remove(connector)?;
    transaction.open_table(ASIDE)?.remove(connector)?;
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
