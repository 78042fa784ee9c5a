//! The one error type of this crate.

use std::path::PathBuf;

/// An error of one of the embedded services.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the embedded services did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// Something else listens on a port.
    #[error(
        "port {port} for the {role} cannot be used: {source}; stop what uses it or configure another port"
    )]
    PortInUse {
        /// What the port is for.
        role: &'static str,
        /// The port.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// A port from which the broker's other ports cannot be derived.
    #[error(
        "broker port {port} cannot be used: it must be between 3 and 65534, since the broker also uses the ports {port} - 2 and {port} + 1"
    )]
    Port {
        /// The port.
        port: u16,
    },
    /// The directory cannot be made or written.
    #[error("directory {} of the embedded broker cannot be used: {source}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The disk is so full that the broker would take no messages.
    #[error(
        "the disk of {} is {percent} % full; a broker takes no messages from {most} % on: free some space or choose another directory",
        path.display()
    )]
    DiskFull {
        /// Where the broker would store messages.
        path: PathBuf,
        /// How full it is, in percent, counting what only the system's administrator may use as used.
        percent: u64,
        /// From where on the broker takes nothing.
        most: u64,
    },
    /// The broker refuses its own configuration.
    #[error("the embedded broker refuses the configuration {}: {source}", path.display())]
    Configuration {
        /// The file it was written to.
        path: PathBuf,
        /// What the broker says.
        source: Source,
    },
    /// One of the services failed while starting.
    #[error("the embedded {role} did not start: {source}")]
    Start {
        /// Which one.
        role: &'static str,
        /// What it says.
        source: Source,
    },
}
