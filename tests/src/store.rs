//! What is durable: read from the worker's store by the worker's own `store` command, between a
//! kill and the next start.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::locate;

/// The store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// Next offset by connector, topic and queue.
    offsets: BTreeMap<(String, String, i64), u64>,
    /// Position, as the plugin wrote it, by connector and partition.
    positions: BTreeMap<(String, String), String>,
}

impl Durable {
    /// Reads the store of the worker directory `directory`.
    ///
    /// # Errors
    /// The command refuses, or prints another form.
    pub fn read(directory: &Path) -> Result<Self> {
        let output = Command::new(locate::binary()?)
            .arg("store")
            .arg("--directory")
            .arg(directory)
            .args(["dump", "--output", "json"])
            .output()
            .context("cannot run the store command")?;
        if !output.status.success() {
            bail!(
                "the store cannot be read: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let json: Value =
            serde_json::from_slice(&output.stdout).context("a dump that is no JSON")?;
        let mut durable = Self::default();
        for (connector, row) in rows(&json, "offsets") {
            let topic = text(row, "topic")?;
            let id = row
                .get("id")
                .and_then(Value::as_i64)
                .context("an offset without queue")?;
            let next = row
                .get("next")
                .and_then(Value::as_u64)
                .context("an offset without next")?;
            durable.offsets.insert((connector.clone(), topic, id), next);
        }
        for (connector, row) in rows(&json, "positions") {
            let partition = text(row, "partition")?;
            durable
                .positions
                .insert((connector.clone(), partition), text(row, "position")?);
        }
        Ok(durable)
    }

    /// The next offset that a sink will read of a queue; 0 before its first commit.
    pub fn offset(&self, connector: &str, topic: &str, queue: i64) -> u64 {
        let key = (connector.to_owned(), topic.to_owned(), queue);
        self.offsets.get(&key).copied().unwrap_or(0)
    }

    /// How many records of all its queues a sink need not read again.
    pub fn committed(&self, connector: &str) -> u64 {
        let own = self
            .offsets
            .iter()
            .filter(|((name, ..), _)| name == connector);
        own.map(|(_, next)| next).sum()
    }

    /// The position of a source's partition, none before its first commit.
    pub fn position(&self, connector: &str, partition: &str) -> Option<&str> {
        let key = (connector.to_owned(), partition.to_owned());
        self.positions.get(&key).map(String::as_str)
    }
}

fn rows<'a>(json: &'a Value, part: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let part = json.get(part).and_then(Value::as_object);
    part.into_iter().flatten().flat_map(|(connector, rows)| {
        rows.as_array()
            .into_iter()
            .flatten()
            .map(move |row| (connector, row))
    })
}

fn text(row: &Value, key: &str) -> Result<String> {
    let text = row.get(key).and_then(Value::as_str);
    Ok(text
        .with_context(|| format!("no {key} in {row}"))?
        .to_owned())
}
