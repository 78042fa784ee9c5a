//! The tables of the store and the only code that reads and writes their rows.
//!
//! Keys are tuples, which the database compares element by element: a connector's rows lie
//! together, and no name can run into the next element. Must never see a secret in clear.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Name → text. This table never changes its types, so that every version can read the format.
pub(crate) const META: TableDefinition<'static, &str, &str> = TableDefinition::new("meta");
/// Connector → JSON of a [`ConnectorRow`].
pub(crate) const CONNECTORS: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("connectors");
/// (connector, source partition) → position, bytes of the plugin's own making.
pub(crate) const POSITIONS: TableDefinition<'static, (&str, &str), &[u8]> =
    TableDefinition::new("positions");
/// (connector, topic, broker, queue) → offset of the next message to read.
pub(crate) const OFFSETS: TableDefinition<'static, (&str, &str, &str, i32), u64> =
    TableDefinition::new("offsets");

/// Key in [`META`]: the format number, decimal.
pub(crate) const META_FORMAT: &str = "format";
/// Key in [`META`]: program and version that created the file.
pub(crate) const META_CREATED_BY: &str = "created-by";
/// Key in [`META`]: a token that the right key opens; there once a secret was stored.
pub(crate) const META_KEY_CHECK: &str = "key-check";

/// Whether a connector is meant to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Its tasks are to run.
    Running,
    /// Its tasks are to stand still, also after a restart.
    Paused,
}

/// How far a sink has read one queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct StoredOffset {
    /// Topic of the queue.
    pub topic: String,
    /// Name of the broker that holds the queue.
    pub broker: String,
    /// Number of the queue in topic and broker.
    pub id: i32,
    /// Offset of the first message that is not done yet.
    pub next: u64,
}

/// A connector as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ConnectorRow {
    pub(crate) created: u64,
    pub(crate) target: Target,
    /// Options that are not secret.
    pub(crate) config: BTreeMap<String, String>,
    /// Keys that are secret, whether or not they have a value.
    pub(crate) secret_keys: BTreeSet<String>,
    /// Sealed values of secret options.
    pub(crate) sealed: BTreeMap<String, String>,
}

impl ConnectorRow {
    /// Texts by text: this cannot fail, but an error is better than a half-written row.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, redb::Error> {
        serde_json::to_vec(self).map_err(|error| redb::Error::Corrupted(error.to_string()))
    }

    fn decode(bytes: &[u8], name: &str) -> Result<Self, redb::Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| redb::Error::Corrupted(format!("row of connector {name}: {error}")))
    }
}

type Read<T> = Result<T, redb::Error>;

/// The first text after every key that starts with `connector` as its whole first element.
fn after(connector: &str) -> String {
    format!("{connector}\0")
}

pub(crate) fn meta(transaction: &ReadTransaction, key: &str) -> Read<Option<String>> {
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(table.get(key)?.map(|value| value.value().to_owned()))
}

pub(crate) fn connectors(transaction: &ReadTransaction) -> Read<Vec<(String, ConnectorRow)>> {
    let table = transaction.open_table(CONNECTORS)?;
    let mut rows = Vec::new();
    for entry in table.iter()? {
        let (name, row) = entry?;
        let name = name.value().to_owned();
        let row = ConnectorRow::decode(row.value(), &name)?;
        rows.push((name, row));
    }
    Ok(rows)
}

pub(crate) fn positions(
    transaction: &ReadTransaction,
    connector: &str,
) -> Read<Vec<(String, Vec<u8>)>> {
    positions_in(&transaction.open_table(POSITIONS)?, connector)
}

/// From the table [`POSITIONS`] of any transaction.
pub(crate) fn positions_in(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    connector: &str,
) -> Read<Vec<(String, Vec<u8>)>> {
    let end = after(connector);
    let mut rows = Vec::new();
    for entry in table.range((connector, "")..(end.as_str(), ""))? {
        let (key, position) = entry?;
        rows.push((key.value().1.to_owned(), position.value().to_vec()));
    }
    Ok(rows)
}

pub(crate) fn offsets(transaction: &ReadTransaction, connector: &str) -> Read<Vec<StoredOffset>> {
    let table = transaction.open_table(OFFSETS)?;
    let end = after(connector);
    let mut rows = Vec::new();
    for entry in table.range((connector, "", "", i32::MIN)..(end.as_str(), "", "", i32::MIN))? {
        let (key, next) = entry?;
        let (_, topic, broker, id) = key.value();
        rows.push(StoredOffset {
            topic: topic.to_owned(),
            broker: broker.to_owned(),
            id,
            next: next.value(),
        });
    }
    Ok(rows)
}

/// Names that have positions or offsets, with or without a connector of that name.
pub(crate) fn progress_owners(transaction: &ReadTransaction) -> Read<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in transaction.open_table(POSITIONS)?.iter()? {
        names.insert(entry?.0.value().0.to_owned());
    }
    for entry in transaction.open_table(OFFSETS)?.iter()? {
        names.insert(entry?.0.value().0.to_owned());
    }
    Ok(names)
}

/// Creates every table, so that later reads need not tell "empty" from "absent".
pub(crate) fn create(transaction: &WriteTransaction) -> Read<()> {
    transaction.open_table(META)?;
    transaction.open_table(CONNECTORS)?;
    transaction.open_table(POSITIONS)?;
    transaction.open_table(OFFSETS)?;
    Ok(())
}

pub(crate) fn set_meta(transaction: &WriteTransaction, key: &str, value: &str) -> Read<()> {
    transaction.open_table(META)?.insert(key, value)?;
    Ok(())
}

pub(crate) fn put_connector(transaction: &WriteTransaction, name: &str, row: &[u8]) -> Read<()> {
    transaction.open_table(CONNECTORS)?.insert(name, row)?;
    Ok(())
}

pub(crate) fn delete_connector(
    transaction: &WriteTransaction,
    name: &str,
    purge: bool,
) -> Read<bool> {
    let existed = transaction.open_table(CONNECTORS)?.remove(name)?.is_some();
    if purge {
        let end = after(name);
        transaction
            .open_table(POSITIONS)?
            .retain_in((name, "")..(end.as_str(), ""), |_, _| false)?;
        transaction.open_table(OFFSETS)?.retain_in(
            (name, "", "", i32::MIN)..(end.as_str(), "", "", i32::MIN),
            |_, _| false,
        )?;
    }
    Ok(existed)
}

pub(crate) fn set_target(transaction: &WriteTransaction, name: &str, target: Target) -> Read<bool> {
    let mut table = transaction.open_table(CONNECTORS)?;
    let Some(mut row) = table
        .get(name)?
        .map(|row| ConnectorRow::decode(row.value(), name))
        .transpose()?
    else {
        return Ok(false);
    };
    row.target = target;
    table.insert(name, row.encode()?.as_slice())?;
    Ok(true)
}

pub(crate) fn put_positions<'a>(
    transaction: &WriteTransaction,
    connector: &str,
    points: impl Iterator<Item = (&'a str, &'a [u8])>,
    forget: impl Iterator<Item = &'a str>,
) -> Read<()> {
    let mut table = transaction.open_table(POSITIONS)?;
    // Forgotten first: a partition that is named in both lists was left and taken up again.
    for partition in forget {
        table.remove((connector, partition))?;
    }
    for (partition, position) in points {
        table.insert((connector, partition), position)?;
    }
    Ok(())
}

pub(crate) fn put_offsets(
    transaction: &WriteTransaction,
    connector: &str,
    offsets: &[StoredOffset],
) -> Read<()> {
    let mut table = transaction.open_table(OFFSETS)?;
    for offset in offsets {
        table.insert(
            (
                connector,
                offset.topic.as_str(),
                offset.broker.as_str(),
                offset.id,
            ),
            offset.next,
        )?;
    }
    Ok(())
}
