//! What the quickstart can be told, and the folder and ports that it may use.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::cargo::Folders;

const MARK: &str = ".made-by-quickstart";
/// What is kept from one quickstart to the next: compiled plugins.
const KEPT: &str = "code";

pub(crate) struct Options {
    pub(crate) once: bool,
    /// A broker that is already there.
    pub(crate) namesrv: Option<String>,
    pub(crate) lines: u64,
    pub(crate) rest_port: u16,
    pub(crate) namesrv_port: u16,
    pub(crate) broker_port: u16,
    pub(crate) jobs: Option<u32>,
    directory: Option<PathBuf>,
}

impl Options {
    pub(crate) fn read(arguments: &[String]) -> Result<Self> {
        let mut arguments = Arguments::new(arguments);
        let options = Self {
            once: arguments.switch("--once"),
            namesrv: arguments.value("--namesrv")?,
            lines: arguments.value("--lines")?.unwrap_or(100_000),
            rest_port: arguments.value("--rest-port")?.unwrap_or(8082),
            namesrv_port: arguments.value("--namesrv-port")?.unwrap_or(9876),
            broker_port: arguments.value("--broker-port")?.unwrap_or(10911),
            jobs: arguments.value("--jobs")?,
            directory: arguments.value("--directory")?,
        };
        arguments.end()?;
        if !(3..u16::MAX).contains(&options.broker_port) {
            bail!("--broker-port must leave room for the port two below and the one above");
        }
        if options.lines == 0 {
            bail!("--lines 0 would show nothing");
        }
        Ok(options)
    }

    /// The folder of this run as an absolute path.
    pub(crate) fn directory(&self, folders: &Folders) -> PathBuf {
        match &self.directory {
            Some(directory) => std::path::absolute(directory).unwrap_or_else(|_| directory.clone()),
            None => folders.root.join("quickstart"),
        }
    }

    /// Refuses ports that someone else has, before minutes are spent on a build.
    pub(crate) fn check_ports(&self) -> Result<()> {
        free(self.rest_port, "the REST interface", "--rest-port")?;
        match &self.namesrv {
            Some(address) => reachable(address),
            None => {
                free(self.namesrv_port, "the name server", "--namesrv-port")?;
                // The broker takes the one two below and the one above as well.
                [self.broker_port, self.broker_port - 2, self.broker_port + 1]
                    .into_iter()
                    .try_for_each(|port| free(port, "the broker", "--broker-port"))
            }
        }
    }
}

fn free(port: u16, whose: &str, flag: &str) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "port {port} of {whose} cannot be used ({error}); is another quickstart running? \
             Otherwise choose another port with {flag}"
        ),
    }
}

fn reachable(address: &str) -> Result<()> {
    use std::net::ToSocketAddrs;
    let addresses: Vec<SocketAddr> = address
        .to_socket_addrs()
        .with_context(|| format!("--namesrv must be HOST:PORT, not `{address}`"))?
        .collect();
    let there = addresses
        .iter()
        .any(|address| TcpStream::connect_timeout(address, Duration::from_secs(3)).is_ok());
    if !there {
        bail!("no name server answers at {address}; start it, or leave --namesrv out");
    }
    Ok(())
}

/// Empties the folder of an earlier quickstart, or makes a new one. A folder that holds something
/// else is refused. Compiled plugins are kept: they cost a second, and are keyed by their content.
pub(crate) fn prepare(directory: &Path) -> Result<PathBuf> {
    let mark = directory.join(MARK);
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let empty = fs::read_dir(directory)?.next().is_none();
    if !empty && !mark.exists() {
        bail!(
            "{} holds something that the quickstart did not make; choose another --directory",
            directory.display()
        );
    }
    fs::write(
        &mark,
        "everything here is made anew by each `cargo xtask quickstart`\n",
    )?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path == mark {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "data") {
            clear(&path, Some(KEPT))?;
        } else {
            remove(&path)?;
        }
    }
    directory
        .canonicalize()
        .with_context(|| format!("cannot find {}", directory.display()))
}

fn clear(directory: &Path, kept: Option<&str>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if kept.is_none_or(|kept| path.file_name().is_none_or(|name| name != kept)) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}
