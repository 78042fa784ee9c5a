//! Settings, and the broker configuration they become. Chosen for a small disk footprint, quick
//! single sends and long pulls; measured, see the comments.

use crate::error::EmbeddedError;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// Name under which the broker registers.
pub(crate) const BROKER_NAME: &str = "broker-a";

/// How to start the embedded services.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// Everything is kept here; made when it is not there.
    pub directory: PathBuf,
    /// The address to listen on and to tell clients; default 127.0.0.1.
    pub bind: IpAddr,
    /// The name server's port; default 9876.
    pub namesrv_port: u16,
    /// The broker's port; default 10911. The broker also listens on this port − 2 and + 1.
    pub broker_port: u16,
}

impl EmbeddedSettings {
    /// Settings with every default.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            namesrv_port: 9876,
            broker_port: 10911,
        }
    }

    /// Makes a directory below the configured one.
    pub(crate) fn make_directory(&self, name: &str) -> Result<PathBuf, EmbeddedError> {
        let path = self.directory.join(name);
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(EmbeddedError::Directory { path, source }),
        }
    }

    /// Writes the broker's configuration, anew on each start, and returns where.
    pub(crate) fn write_broker_file(&self, namesrv: &str) -> Result<PathBuf, EmbeddedError> {
        let store = self.make_directory("store")?;
        let auth = self.make_directory("auth")?;
        let path = self.directory.join("broker.toml");
        let text = self.broker_file(namesrv, &store, &auth)?;
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(source) => Err(EmbeddedError::Directory { path, source }),
        }
    }

    fn broker_file(
        &self,
        namesrv: &str,
        store: &Path,
        auth: &Path,
    ) -> Result<String, EmbeddedError> {
        let (_, replication_port) = self.derived_ports()?;
        let (bind, port) = (self.bind, self.broker_port);
        let (store, auth) = (quoted(store)?, quoted(auth)?);
        Ok(format!(
            r#"# Written at each start of the embedded broker; changes are lost.
[logging]
filter = "error"

[broker]
namesrvAddr = "{namesrv}"
brokerIp1 = "{bind}"
brokerIp2 = "{bind}"
listenPort = {port}
storePathRootDir = {store}
authConfigPath = {auth}

[broker.brokerServerConfig]
bindAddress = "{bind}"

[broker.brokerIdentity]
brokerName = "{BROKER_NAME}"
brokerClusterName = "DefaultCluster"
brokerId = 0

[store]
storeType = "LocalFile"
brokerRole = "ASYNC_MASTER"
storePathRootDir = {store}
haListenAddress = "{bind}"
haListenPort = {replication_port}
# A batch of appends is held back for a timer tick, 1 ms: without it single sends are 5 times as fast.
commitLogMicroBatchEnabled = false
enableCompaction = true
# Files are made at full size; the defaults take 1.5 GB for the first message.
mappedFileSizeCommitLog = 67108864
mappedFileSizeConsumeQueue = 600000
maxHashSlotNum = 50000
maxIndexNum = 200000
# The default of 32 messages a pull caps readers at a third of the speed.
maxTransferCountOnMessageInMemory = 1024
maxTransferBytesOnMessageInMemory = 4194304
maxTransferCountOnMessageInDisk = 1024
maxTransferBytesOnMessageInDisk = 4194304
# The default deletes messages when the disk, whatever is on it, is three quarters full; the broker
# wants this below its forced cleaning at 85.
diskMaxUsedSpaceRatio = 84
"#
        ))
    }
}

/// A path as a TOML string.
fn quoted(path: &Path) -> Result<String, EmbeddedError> {
    match path.to_str() {
        Some(text) => Ok(toml::Value::String(text.to_owned()).to_string()),
        None => Err(EmbeddedError::Directory {
            path: path.to_owned(),
            source: std::io::Error::other("its name is not UTF-8, which the broker needs"),
        }),
    }
}
