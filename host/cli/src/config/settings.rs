//! What a worker is told by its configuration file, whichever kind of file it is.
//!
//! Holds secrets (the access keys of a cluster): must never be printed as a whole.

use connect_runtime::{ConverterDefault, LimitLevels, Reload, Restart, Tuning};
use connect_sandbox::{CompilerCommand, Grant};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything in a configuration file; paths are relative to the working directory.
pub(crate) struct Settings {
    /// Name of this worker in statuses and client names.
    pub(crate) id: String,
    /// Directory of the store, its key and the code cache.
    pub(crate) directory: PathBuf,
    /// Directory of compiled plugins, where it is not `code` in `directory`.
    pub(crate) code_cache: Option<PathBuf>,
    /// Directories with plugin files.
    pub(crate) plugins: Vec<PathBuf>,
    /// How long connectors may take to end after a signal.
    pub(crate) shutdown_deadline: Duration,
    /// Largest plugin file in bytes.
    pub(crate) plugin_bytes: u64,
    /// Who compiles plugin files that are new, and within which limits.
    pub(crate) compiler: CompilerCommand,
    pub(crate) rest: RestSettings,
    pub(crate) broker: BrokerSettings,
    pub(crate) key_converter: ConverterDefault,
    pub(crate) value_converter: ConverterDefault,
    pub(crate) limits: LimitLevels,
    pub(crate) grants: Vec<Grant>,
    pub(crate) tuning: Tuning,
    pub(crate) restart: Restart,
    pub(crate) reload: ReloadSettings,
    /// Things in the file that have no effect; logged once.
    pub(crate) warnings: Vec<String>,
}

/// How new versions of plugins come in.
pub(crate) struct ReloadSettings {
    /// Whether the plugin directories are watched.
    pub(crate) watch: bool,
    /// Whether plugins may be sent over REST.
    pub(crate) upload: bool,
    pub(crate) trial: Reload,
}

impl Default for ReloadSettings {
    fn default() -> Self {
        Self {
            watch: true,
            upload: false,
            trial: Reload::default(),
        }
    }
}

/// Where REST listens.
pub(crate) struct RestSettings {
    pub(crate) listen: SocketAddr,
    /// Names besides `localhost` by which clients may call it.
    pub(crate) hosts: Vec<String>,
}

/// The cluster: one that is there, or one in this process.
pub(crate) enum BrokerSettings {
    Remote(Remote),
    Embedded(Embedded),
}

/// A cluster that is there.
pub(crate) struct Remote {
    /// Name servers, `host:port`, several separated by `;`.
    pub(crate) namesrv: String,
    /// The cluster among those the name servers know.
    pub(crate) cluster: Option<String>,
    pub(crate) access_key: Option<String>,
    pub(crate) secret_key: Option<String>,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
}

/// A name server and broker in this process.
pub(crate) struct Embedded {
    pub(crate) directory: PathBuf,
    pub(crate) namesrv_port: u16,
    pub(crate) broker_port: u16,
}

/// Where name servers are by default.
pub(crate) const NAMESRV: &str = "127.0.0.1:9876";
/// The name server's usual port.
pub(crate) const NAMESRV_PORT: u16 = 9876;
/// The broker's usual port.
pub(crate) const BROKER_PORT: u16 = 10911;
/// How long a request to a broker may take by default.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

impl Default for Settings {
    fn default() -> Self {
        Self {
            id: "standalone-worker".to_owned(),
            directory: "data".into(),
            code_cache: None,
            plugins: vec!["plugins".into()],
            shutdown_deadline: Duration::from_secs(30),
            plugin_bytes: 32 << 20,
            compiler: CompilerCommand::this_program(["compile"]),
            rest: RestSettings {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8082)),
                hosts: Vec::new(),
            },
            broker: BrokerSettings::Remote(Remote::default()),
            key_converter: ConverterDefault::default(),
            value_converter: ConverterDefault::default(),
            limits: LimitLevels::default(),
            grants: Vec::new(),
            tuning: Tuning::default(),
            restart: Restart::default(),
            reload: ReloadSettings::default(),
            warnings: Vec::new(),
        }
    }
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            namesrv: NAMESRV.to_owned(),
            cluster: None,
            access_key: None,
            secret_key: None,
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

/// Why an id cannot be used, if it cannot. It becomes part of client names, which brokers and
/// consoles show, and of JSON.
pub(crate) fn check_id(id: &str) -> Result<(), &'static str> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    match id.len() {
        1..=100 if id.chars().all(fits) => Ok(()),
        _ => Err("expected 1 to 100 of a-z, A-Z, 0-9, `.`, `_` and `-`"),
    }
}

/// Whether name servers are written as they must be.
pub(crate) fn check_namesrv(namesrv: &str) -> Result<(), &'static str> {
    let mut addresses = namesrv
        .split([';', ','])
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .peekable();
    let fits = |address: &str| {
        address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    match addresses.peek().is_some() && addresses.all(fits) {
        true => Ok(()),
        false => Err("expected host:port, several separated by `;`, such as 127.0.0.1:9876"),
    }
}
