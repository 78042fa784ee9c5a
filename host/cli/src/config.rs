//! The worker's configuration file: found, read, checked, and turned into settings.
//!
//! TOML is the worker's own form; the Java project's properties files load as they are. Must
//! never print a value of its own accord: some are secrets.

#[cfg(test)]
mod corpus;
mod grants;
mod java;
mod limits;
mod report;
mod section;
mod settings;
mod standalone;
#[cfg(test)]
mod tests;

pub(crate) use settings::{BrokerSettings, Remote, Settings};

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Largest configuration file in bytes; more is surely another file.
const LARGEST: u64 = 1 << 20;

/// Reads the file at `path`; its ending says which form it has.
///
/// # Errors
/// A text that names the file and everything that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Settings, String> {
    let file = path.display().to_string();
    let (bytes, mode) = bytes(path).map_err(|error| format!("cannot read {file}: {error}"))?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let mut settings = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("toml") => {
            let text = str::from_utf8(&bytes)
                .map_err(|error| format!("{file} is not UTF-8 at byte {}", error.valid_up_to()))?;
            standalone::read(text, &file)?
        }
        Some("conf" | "properties") => {
            java::read(&bytes, &file, std::env::var("NAMESRV_ADDR").ok())?
        }
        _ => {
            return Err(format!(
                "{file}: expected a name that ends in .toml, or in .conf or .properties for a file of the Java project"
            ));
        }
    };
    let mut warnings = doubts(&settings, &file, mode);
    settings.warnings.append(&mut warnings);
    Ok(settings)
}

/// The content of a file, and its permissions.
fn bytes(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok((bytes, mode))
}

/// What may be meant, but probably is not.
fn doubts(settings: &Settings, file: &str, mode: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    if let BrokerSettings::Remote(remote) = &settings.broker
        && remote.secret_key.is_some()
        && mode & 0o077 != 0
    {
        warnings.push(format!(
            "{file} holds a secret key and can be read by others: run `chmod 600 {file}`"
        ));
    }
    for grant in &settings.grants {
        for directory in grant.read_directory.iter().chain(&grant.write_directory) {
            if !directory.is_dir() {
                warnings.push(format!(
                    "the grant of {} to `{}` has no effect as long as there is no such directory",
                    directory.display(),
                    grant.plugin
                ));
            }
        }
    }
    warnings
}
