//! A RocketMQ for a test: the embedded one, as a process of its own, so that it can be killed apart
//! from the worker.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::process::{Process, Usage};
use crate::{locate, ports};

const READY: Duration = Duration::from_secs(60);

/// A broker with its name server. Its ports and its data outlive its processes.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    namesrv_port: u16,
    broker_port: u16,
    process: Option<Process>,
    ready_at: Instant,
}

impl Cluster {
    /// A cluster whose data is in `directory`; nothing runs yet.
    ///
    /// # Errors
    /// There are no free ports.
    pub fn new(directory: &Path) -> Result<Self> {
        let first = ports::free_block()?;
        Ok(Self::at(directory, first, first + 8))
    }

    /// A cluster on ports that were chosen elsewhere.
    pub fn at(directory: &Path, namesrv_port: u16, broker_port: u16) -> Self {
        Self {
            directory: directory.join("broker"),
            namesrv_port,
            broker_port,
            process: None,
            ready_at: Instant::now(),
        }
    }

    /// A cluster that is already up.
    ///
    /// # Errors
    /// It does not start.
    pub fn started(directory: &Path) -> Result<Self> {
        let mut cluster = Self::new(directory)?;
        cluster.start()?;
        Ok(cluster)
    }

    /// Starts the processes and waits until they answer.
    ///
    /// # Errors
    /// They do not within a minute.
    pub fn start(&mut self) -> Result<()> {
        std::fs::create_dir_all(&self.directory).context("cannot make the broker's folder")?;
        let mut command = Command::new(locate::binary()?);
        command
            .arg("broker")
            .arg("--directory")
            .arg(&self.directory)
            .args(["--namesrv-port", &self.namesrv_port.to_string()])
            .args(["--broker-port", &self.broker_port.to_string()]);
        let log = self.directory.with_extension("log");
        let mut process = Process::start("the broker", &mut command, &log)?;
        process.line("ready", READY)?;
        self.ready_at = Instant::now();
        self.process = Some(process);
        Ok(())
    }

    /// Kills it as a power cut would, but for the page cache.
    ///
    /// # Errors
    /// It was not running.
    pub fn kill(&mut self) -> Result<()> {
        self.process
            .take()
            .context("the broker is not running")?
            .kill()
    }

    /// Keeps it from doing anything, its connections open: whoever waits for an answer waits on.
    /// Only [`Cluster::kill`] makes sense afterwards.
    ///
    /// # Errors
    /// It is not running.
    pub fn freeze(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("the broker is not running")?;
        process.signal(Signal::STOP)
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// It was not running, or does not stop.
    pub fn stop(&mut self) -> Result<(Duration, ExitStatus)> {
        let mut process = self.process.take().context("the broker is not running")?;
        process.terminate(Duration::from_secs(30))
    }

    /// The address that a worker is told.
    pub fn namesrv(&self) -> String {
        format!("127.0.0.1:{}", self.namesrv_port)
    }

    /// The address of the broker itself, for who asks it without its clients.
    pub fn broker(&self) -> String {
        format!("127.0.0.1:{}", self.broker_port)
    }

    /// When it last said that it was ready.
    pub fn ready_at(&self) -> Instant {
        self.ready_at
    }

    /// What its process has used so far.
    ///
    /// # Errors
    /// It is not running.
    pub fn usage(&self) -> Result<Usage> {
        self.process
            .as_ref()
            .context("the broker is not running")?
            .usage()
    }
}
