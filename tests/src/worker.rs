//! A worker for a test: its working directory, its configuration, its process.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::locate;
use crate::process::{Process, Usage};
use crate::rest::Rest;
use crate::store::Durable;
use crate::wait;

/// The first worker with all test plugins has them to compile, with an unoptimised compiler.
const READY: Duration = Duration::from_secs(240);

/// The windows between two steps of a promise in which a worker can be told to die.
pub const FAIL_POINTS: [&str; 4] = [
    "send-confirm",
    "confirm-commit",
    "put-flush",
    "flush-offset",
];

/// What a worker is made of; outlives its processes.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The working directory: configuration, store, log and the files of the connectors.
    pub directory: PathBuf,
    /// Further lines of configuration, such as limits.
    pub extra: String,
    /// Further lines of its section `[worker]`.
    pub worker: String,
    namesrv: String,
    plugins: Vec<PathBuf>,
    code_cache: PathBuf,
}

/// Dies at the `pass`-th time it comes to `point`.
#[derive(Clone, Copy, Debug)]
pub struct FailPoint {
    /// One of [`FAIL_POINTS`].
    pub point: &'static str,
    /// Counted from 1.
    pub pass: u64,
}

impl Setup {
    /// A worker in `directory` with the shipped plugins.
    ///
    /// # Errors
    /// The plugins have not been built.
    pub fn new(directory: &Path, namesrv: &str) -> Result<Self> {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            directory: directory.to_owned(),
            extra: String::new(),
            worker: String::new(),
            namesrv: namesrv.to_owned(),
            plugins: vec![locate::plugins()?],
            code_cache: locate::code_cache(),
        })
    }

    /// Adds plugins that were made to misbehave: only these, since one of them takes seconds to
    /// say what it is.
    ///
    /// # Errors
    /// They have not been built.
    pub fn with_guests(mut self, names: &[&str]) -> Result<Self> {
        let folder = self.file("guests");
        std::fs::create_dir_all(&folder).context("cannot make the guests' folder")?;
        for name in names {
            let name = format!("{name}.wasm");
            std::fs::copy(locate::guests()?.join(&name), folder.join(&name))
                .with_context(|| format!("there is no {name}; run `cargo xtask guests`"))?;
        }
        self.plugins.push(folder);
        Ok(self)
    }

    /// With a code cache of its own, so that every plugin is compiled at the first start.
    #[must_use]
    pub fn with_cold_code(mut self) -> Self {
        self.code_cache = self.directory.join("code");
        self
    }

    /// What the worker has logged so far.
    pub fn log(&self) -> String {
        let text = std::fs::read(self.file("worker.log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Adds a directory of plugins.
    pub fn with_plugins(mut self, directory: &Path) -> Self {
        self.plugins.push(directory.to_owned());
        self
    }

    /// Adds a directory of plugins before all others: what is sent over REST goes there.
    pub fn with_first_plugins(mut self, directory: &Path) -> Self {
        self.plugins.insert(0, directory.to_owned());
        self
    }

    /// Its store's directory.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// What is durable while no worker runs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn durable(&self) -> Result<Durable> {
        Durable::read(&self.data())
    }

    /// A file in the working directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Adds to a file in the working directory, and makes it where there is none.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&self, name: &str, text: &str) -> Result<()> {
        let path = self.file(name);
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(file.write_all(text.as_bytes())?)
    }

    /// Starts a worker; it runs and REST answers when this returns.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self) -> Result<Worker> {
        self.start_with(None)
    }

    /// As [`Setup::start`], with a place to die.
    ///
    /// # Errors
    /// It does not start. Dying at the fail point before it was ready is no error.
    pub fn start_with(&self, fail: Option<FailPoint>) -> Result<Worker> {
        let mut process = self.spawn(fail)?;
        match process.line("ready", READY) {
            Ok(line) => {
                let address = line.split_whitespace().nth(2);
                let address = address.with_context(|| format!("no address in `{line}`"))?;
                Ok(Worker {
                    process,
                    rest: Some(Rest::new(address)),
                })
            }
            Err(_) if fail.is_some() && process.ended()?.is_some() => Ok(Worker {
                process,
                rest: None,
            }),
            Err(error) => Err(error),
        }
    }

    /// Starts the process without waiting for it: for tests of a start that fails.
    ///
    /// # Errors
    /// The system refuses.
    pub fn spawn(&self, fail: Option<FailPoint>) -> Result<Process> {
        let configuration = self.file("worker.toml");
        std::fs::write(&configuration, self.text()).context("cannot write the configuration")?;
        let mut command = Command::new(locate::binary()?);
        command
            .args(["standalone", "-c"])
            .arg(&configuration)
            .current_dir(&self.directory);
        command.env_remove("ROCKETMQ_CONNECT_FAILPOINT");
        if let Some(fail) = fail {
            command
                .env(
                    "ROCKETMQ_CONNECT_FAILPOINT",
                    format!("{}:{}", fail.point, fail.pass),
                )
                .env(
                    "ROCKETMQ_CONNECT_FAILPOINT_LOG",
                    self.file("failpoints.log"),
                );
        }
        Process::start("the worker", &mut command, &self.file("worker.log"))
    }

    /// How many times a worker in this directory has died at a fail point.
    ///
    /// # Errors
    /// The note cannot be read.
    pub fn deaths(&self) -> Result<usize> {
        let path = self.file("failpoints.log");
        if !path.exists() {
            return Ok(0);
        }
        let text = std::fs::read_to_string(path).context("cannot read the fail points' log")?;
        Ok(text.lines().count())
    }

    /// Its configuration, as it is written at each start.
    pub fn text(&self) -> String {
        let plugins: Vec<String> = self
            .plugins
            .iter()
            .map(|folder| quoted(&folder.to_string_lossy()))
            .collect();
        format!(
            "[worker]\ndirectory = \"data\"\ncode-cache = {}\nplugins = [{}]\n{}\n\
             [rest]\nlisten = \"127.0.0.1:0\"\n\n\
             [broker]\nnamesrv = {}\n\n\
             [[grant]]\nplugin = \"*\"\nread-directory = [\".\"]\nwrite-directory = [\".\"]\n\n{}",
            quoted(&self.code_cache.to_string_lossy()),
            plugins.join(", "),
            self.worker,
            quoted(&self.namesrv),
            self.extra,
        )
    }
}

fn quoted(text: &str) -> String {
    // JSON strings are TOML strings.
    Value::from(text).to_string()
}

/// A running worker. Dropping it kills it.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    rest: Option<Rest>,
}

impl Worker {
    /// Its REST interface.
    ///
    /// # Errors
    /// It died before it had one.
    pub fn rest(&self) -> Result<&Rest> {
        self.rest
            .as_ref()
            .context("the worker died before its REST interface was up")
    }

    /// Kills it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks it to stop and gives how long that took.
    ///
    /// # Errors
    /// It has not stopped within `within`.
    pub fn terminate(mut self, within: Duration) -> Result<(Duration, ExitStatus)> {
        self.process.terminate(within)
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Processor time of its threads whose names begin with `name`.
    ///
    /// # Errors
    /// It is gone.
    pub fn thread_cpu(&self, name: &str) -> Result<Duration> {
        self.process.thread_cpu(name)
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Waits until a connector and all its tasks are in `state`.
    ///
    /// # Errors
    /// They are not within `within`; the text says what they are instead.
    pub fn reaches(&self, connector: &str, state: &str, within: Duration) -> Result<()> {
        let rest = self.rest()?;
        let mut last = String::new();
        let reached = wait::until_true(&format!("{connector} is {state}"), within, || {
            let own = rest.connector(connector)?;
            let tasks = rest.tasks(connector)?;
            last = format!("{own:?}, tasks {tasks:?}");
            let there = own.state == state || state == "FAILED";
            Ok(there && !tasks.is_empty() && tasks.iter().all(|task| task.state == state))
        });
        reached.with_context(|| format!("it is {last}"))
    }

    /// Waits until task 0 of a connector is FAILED and gives the reason.
    ///
    /// # Errors
    /// It is not within `within`.
    pub fn failure(&self, connector: &str, within: Duration) -> Result<String> {
        let rest = self.rest()?;
        let mut last = None;
        let reason = wait::until(&format!("{connector} has failed"), within, || {
            let task = rest.tasks(connector)?.into_iter().next();
            last.clone_from(&task);
            Ok(task
                .filter(|task| task.state == "FAILED")
                .map(|task| task.reason))
        });
        reason.with_context(|| format!("its task is {last:?}\n{}", self.process.tail()))
    }
}
