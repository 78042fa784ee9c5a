//! The broker and the worker of a quickstart, and what is asked of the worker over REST.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cargo::Folders;
use crate::process::{Interrupt, Service};

use super::options::Options;
use super::sample::Sample;

const READY: Duration = Duration::from_secs(60);

pub(crate) struct Services {
    worker: Service,
    /// None where a broker was already there.
    broker: Option<Service>,
    namesrv: String,
    rest: String,
    topic: String,
    configuration: PathBuf,
}

impl Services {
    /// Starts the broker, if one is needed, and the worker; returns when both answer.
    pub(crate) fn start(
        folders: &Folders,
        directory: &Path,
        options: &Options,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let program = folders.binary("rocketmq-connect");
        let (mut broker, namesrv, topic) = match &options.namesrv {
            // A topic that nobody has written to: what is in it afterwards is ours.
            Some(namesrv) => (None, namesrv.clone(), format!("fileTopic-{}", seconds())),
            None => (
                Some(start_broker(&program, directory, options)?),
                format!("127.0.0.1:{}", options.namesrv_port),
                "fileTopic".to_owned(),
            ),
        };

        let configuration = directory.join("standalone.toml");
        let text = configuration_text(&folders.root.join("plugins"), options.rest_port, &namesrv);
        fs::write(&configuration, text)
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        let mut command = Command::new(&program);
        command
            .args(["standalone", "-c"])
            .arg(&configuration)
            .current_dir(directory);
        let mut worker = Service::start("worker", &mut command, &directory.join("worker.log"))?;
        // Beside each other: the worker loads its plugins while the broker comes up.
        if let Some(broker) = &mut broker {
            println!("Starting the broker and the worker");
            broker.ready(READY, interrupt)?;
        } else {
            println!("Starting the worker");
        }
        worker.ready(READY, interrupt)?;
        note_processes(directory, &worker, broker.as_ref())?;
        let rest = format!("http://127.0.0.1:{}", options.rest_port);
        Ok(Self {
            worker,
            broker,
            namesrv,
            rest,
            topic,
            configuration,
        })
    }

    /// Creates the file source and the file sink as the Java project's sample does.
    pub(crate) fn create_connectors(&self, sample: &Sample) -> Result<()> {
        let name = |path: &Path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        self.create(
            "fileSourceConnector",
            &json!({
                "connector.class": "org.apache.rocketmq.connect.file.FileSourceConnector",
                "filename": name(&sample.source),
                "connect.topicname": self.topic,
            }),
        )?;
        self.create(
            "fileSinkConnector",
            &json!({
                "connector.class": "org.apache.rocketmq.connect.file.FileSinkConnector",
                "filename": name(&sample.sink),
                "connect.topicnames": self.topic,
            }),
        )
    }

    fn create(&self, name: &str, configuration: &Value) -> Result<()> {
        let url = format!("{}/connectors/{name}", self.rest);
        println!("POST {url}\n     {configuration}");
        let response = agent()
            .post(&url)
            .send_json(configuration)
            .with_context(|| format!("cannot ask {url}"))?;
        let status = response.status();
        let answer = response.into_body().read_to_string()?;
        if !status.is_success() {
            bail!("{url} answered {status}: {answer}");
        }
        Ok(())
    }

    /// An error when one of the processes has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.worker.check()?;
        self.broker.as_mut().map_or(Ok(()), Service::check)
    }

    /// What both connectors say of themselves, to go with an error.
    pub(crate) fn statuses(&self) -> String {
        let mut text = String::new();
        for name in ["fileSourceConnector", "fileSinkConnector"] {
            let url = format!("{}/connectors/{name}/status", self.rest);
            let answer = agent()
                .get(&url)
                .call()
                .and_then(|response| response.into_body().read_to_string())
                .unwrap_or_else(|error| error.to_string());
            text.push_str(&format!("{name}: {answer}\n"));
        }
        text + &self.worker.tail()
    }

    /// Stops the worker, which may still have something to write, then the broker.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.worker.stop(Duration::from_secs(40))?.is_none() {
            println!(
                "The worker did not stop when asked and was killed\n{}",
                self.worker.tail()
            );
        }
        if let Some(broker) = &mut self.broker {
            broker.stop(Duration::from_secs(20))?;
        }
        Ok(())
    }

    pub(crate) fn rest(&self) -> &str {
        &self.rest
    }

    pub(crate) fn namesrv(&self) -> &str {
        &self.namesrv
    }

    pub(crate) fn configuration(&self) -> &Path {
        &self.configuration
    }

    pub(crate) fn worker_log(&self) -> &Path {
        self.worker.log()
    }

    pub(crate) fn broker_log(&self) -> Option<&Path> {
        self.broker.as_ref().map(Service::log)
    }
}

fn start_broker(program: &Path, directory: &Path, options: &Options) -> Result<Service> {
    let mut command = Command::new(program);
    command
        .args(["broker", "--directory", "broker", "--namesrv-port"])
        .arg(options.namesrv_port.to_string())
        .arg("--broker-port")
        .arg(options.broker_port.to_string())
        .current_dir(directory);
    Service::start("broker", &mut command, &directory.join("broker.log"))
}

/// The worker's configuration; paths are relative to its working directory, the quickstart's own.
fn configuration_text(plugins: &Path, rest_port: u16, namesrv: &str) -> String {
    let plugins = Value::from(plugins.to_string_lossy());
    format!(
        "# Made by `cargo xtask quickstart`; conf/standalone.toml explains every key.\n\
         [worker]\n\
         directory = \"data\"\n\
         plugins = [{plugins}]\n\n\
         [rest]\n\
         listen = \"127.0.0.1:{rest_port}\"\n\n\
         [broker]\n\
         namesrv = {}\n\n\
         [[grant]]\n\
         plugin = \"file-source\"\n\
         read-directory = [\".\"]\n\n\
         [[grant]]\n\
         plugin = \"file-sink\"\n\
         write-directory = [\".\"]\n",
        Value::from(namesrv),
    )
}

/// Leaves the process ids in a file: should this command be killed, they are what it left running.
fn note_processes(directory: &Path, worker: &Service, broker: Option<&Service>) -> Result<()> {
    let mut text = format!("worker {}\n", worker.id());
    if let Some(broker) = broker {
        text.push_str(&format!("broker {}\n", broker.id()));
    }
    fs::write(directory.join("processes.txt"), text).context("cannot note the process ids")
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into()
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map(|since| since.as_secs())
        .unwrap_or_default()
}
