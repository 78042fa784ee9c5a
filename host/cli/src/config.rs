//! The worker's configuration file: found, read, checked, and turned into settings.
//!
//! TOML is the worker's own form; the Java project's properties files load as they are. Must
//! never print a value of its own accord: some are secrets.

mod java;
mod report;
mod section;
mod settings;
mod standalone;
#[cfg(test)]
mod tests;

pub(crate) use settings::{BrokerSettings, Remote, Settings};

use std::path::Path;

/// Largest configuration file in bytes; more is surely another file.
const LARGEST: u64 = 1 << 20;

/// Reads the file at `path`; its ending says which form it has.
///
/// # Errors
/// A text that names the file and everything that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Settings, String> {
    let file = path.display().to_string();
    let bytes = bytes(path).map_err(|error| format!("cannot read {file}: {error}"))?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("toml") => {
            let text = str::from_utf8(&bytes)
                .map_err(|error| format!("{file} is not UTF-8 at byte {}", error.valid_up_to()))?;
            standalone::read(text, &file)
        }
        Some("conf" | "properties") => {
            java::read(&bytes, &file, std::env::var("NAMESRV_ADDR").ok())
        }
        _ => Err(format!(
            "{file}: expected a name that ends in .toml, or in .conf or .properties for a file of the Java project"
        )),
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(bytes)
}
