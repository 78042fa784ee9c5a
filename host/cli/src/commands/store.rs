//! `rocketmq-connect store`: what a worker has stored, for people and programs.
//!
//! Must never change the store, and has no way to show a secret.

use crate::arguments::{Output, StoreCommand};
use crate::failure::Failure;
use crate::output::{print, table};
use anyhow::anyhow;
use connect_store::{InspectedConnector, Inspection, Target};
use serde::Serialize;
use std::path::Path;

/// Shows `what` of the store in `directory`.
///
/// # Errors
/// There is no store there, it cannot be read, or nothing is known of the connector.
pub(crate) fn run(directory: &Path, output: Output, what: &StoreCommand) -> Result<(), Failure> {
    let store = Inspection::open(directory)?;
    let text = match (what, output) {
        (StoreCommand::Connectors, Output::Json) => json(&store.connectors()?)?,
        (StoreCommand::Connectors, Output::Table) => connectors(store.connectors()?),
        (StoreCommand::Positions { connector }, _) => {
            let rows = store.positions(connector)?;
            known(&store, connector, rows.is_empty())?;
            match output {
                Output::Json => json(&rows)?,
                Output::Table => {
                    let rows = rows.into_iter().map(|row| {
                        let position = row.text().into_owned();
                        [row.partition, position]
                    });
                    table(["PARTITION", "POSITION"], rows.collect())
                }
            }
        }
        (StoreCommand::Offsets { connector }, _) => {
            let rows = store.offsets(connector)?;
            known(&store, connector, rows.is_empty())?;
            match output {
                Output::Json => json(&rows)?,
                Output::Table => {
                    let rows = rows.into_iter().map(|row| {
                        [
                            row.topic,
                            row.broker,
                            row.id.to_string(),
                            row.next.to_string(),
                        ]
                    });
                    table(["TOPIC", "BROKER", "QUEUE", "NEXT"], rows.collect())
                }
            }
        }
        (StoreCommand::Dump, _) => json(&store.dump()?)?,
    };
    Ok(print(&text)?)
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value)?)
}

fn connectors(rows: Vec<InspectedConnector>) -> String {
    let rows = rows.into_iter().map(|row| {
        let target = match row.target {
            Target::Running => "running",
            Target::Paused => "paused",
        };
        let class = row.config.get("connector.class").cloned();
        [row.name, target.to_owned(), class.unwrap_or_default()]
    });
    table(["NAME", "TARGET", "CLASS"], rows.collect())
}

/// Tells "nothing yet" from "no such connector".
fn known(store: &Inspection, connector: &str, empty: bool) -> Result<(), Failure> {
    if !empty {
        return Ok(());
    }
    let names: Vec<String> = store
        .connectors()?
        .into_iter()
        .map(|row| row.name)
        .collect();
    if names.iter().any(|name| name == connector) {
        return Ok(());
    }
    let names = match names.is_empty() {
        true => "there are none".to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    let text = format!("no connector {connector} in the store; {names}");
    Err(anyhow!(crate::output::harmless(&text)).into())
}
