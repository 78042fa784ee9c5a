//! Several versions of one plugin, made from one component: `edition-source` and `edition-sink` write
//! their version into what they emit, and its last digits say how they fail.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::rest::Rest;
use crate::{locate, wait};

/// What stands in the components as they are built.
const MARK: &[u8] = b"71.72.73";

/// Writes version `version` (as `10.20.00`, eight characters) of `guest` into the plugin directory
/// `folder` under its own name, in one step.
///
/// # Errors
/// There is no such guest, or it does not say its version.
pub fn install(folder: &Path, guest: &str, version: &str) -> Result<()> {
    install_as(folder, &format!("{guest}-{version}"), guest, version)
}

/// As [`install`], under another name, and in the place of what is there.
///
/// # Errors
/// As for [`install`].
pub fn install_as(folder: &Path, name: &str, guest: &str, version: &str) -> Result<()> {
    let bytes = make(guest, version)?;
    let fresh = folder.join(format!(".{name}.new"));
    std::fs::write(&fresh, bytes).context("cannot write a version")?;
    std::fs::rename(&fresh, folder.join(format!("{name}.wasm"))).context("cannot rename a version")
}

/// The bytes of a version.
///
/// # Errors
/// As for [`install`].
pub fn make(guest: &str, version: &str) -> Result<Vec<u8>> {
    ensure!(version.len() == MARK.len(), "`{version}` is no version");
    let path = locate::guests()?.join(format!("{guest}.wasm"));
    let mut bytes = std::fs::read(&path).with_context(|| format!("no {}", path.display()))?;
    let places: Vec<usize> = bytes
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .map(|(place, _)| place)
        .collect();
    ensure!(!places.is_empty(), "{guest} does not say its version");
    for place in places {
        let mark = bytes.get_mut(place..place + MARK.len());
        mark.context("a place behind the end")?
            .copy_from_slice(version.as_bytes());
    }
    Ok(bytes)
}

/// The text at a place of an answer; empty where there is none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// What a connector says of its plugins.
#[derive(Clone, Debug)]
pub struct Editions(pub Value);

impl Editions {
    /// Asks for it.
    ///
    /// # Errors
    /// There is no such connector.
    pub fn of(rest: &Rest, connector: &str) -> Result<Self> {
        let answer = rest.get(&format!("/v1/connectors/{connector}/plugin"))?;
        Ok(Self(answer.body()?))
    }

    /// The version of its plugin.
    pub fn version(&self) -> &str {
        text(&self.0, "/plugins/0/version")
    }

    /// The state of the change under way; empty without one.
    pub fn change(&self) -> &str {
        text(&self.0, "/change/state")
    }

    /// The changes that are over.
    pub fn history(&self) -> &[Value] {
        let history = self.0.get("history").and_then(Value::as_array);
        history.map_or(&[], Vec::as_slice)
    }

    /// Waits until `connector` runs `version` and no change is under way.
    ///
    /// # Errors
    /// It does not within `within`; the text says what is the case instead.
    pub fn settled(rest: &Rest, connector: &str, version: &str, within: Duration) -> Result<Self> {
        Self::until(rest, connector, within, |editions| {
            editions.version() == version && !["draining", "on-trial"].contains(&editions.change())
        })
        .with_context(|| format!("waiting for {version}"))
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// It does not within `within`.
    pub fn until(
        rest: &Rest,
        connector: &str,
        within: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<Self> {
        let mut last = Self(Value::Null);
        let found = wait::until(&format!("{connector}'s plugin changes"), within, || {
            last = Self::of(rest, connector)?;
            Ok(holds(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("it is {}", last.0))
    }
}
