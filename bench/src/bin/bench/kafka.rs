//! Kafka and Kafka Connect with its file connectors, from Maven Central: started, used and stopped as
//! its own documentation has it, one broker, one standalone worker, string converters. Must give them
//! what the worker gets: the same files, one partition for one queue, and memory enough.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use connect_tests::process::{Process, Usage};
use connect_tests::rest::Rest;
use connect_tests::{locate, ports, wait};
use serde_json::json;

use crate::beside;
use crate::case::Run;
use crate::stage::PATIENCE;

/// The newest whose connectors and broker are all in Maven Central.
const VERSION: &str = "4.1.1";
/// Without a byte more for so long, a source has sent everything.
const QUIET: Duration = Duration::from_millis(500);

/// A broker and a worker.
pub(crate) struct Kafka {
    folder: PathBuf,
    worker: Process,
    broker: Process,
    rest: Rest,
    runs: usize,
    /// From the start of the process to the first answer of its REST.
    pub(crate) ready: Duration,
    /// Before the first connector.
    pub(crate) idle: Usage,
}

impl Kafka {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let jars = jars()?;
        std::fs::create_dir_all(folder.join("plugins")).context("cannot make Kafka's folder")?;
        let connectors = format!("connect-file-{VERSION}.jar");
        std::fs::copy(
            jars.join(&connectors),
            folder.join("plugins").join(&connectors),
        )?;
        let port = ports::free_block()?;
        let server = server(folder, port);
        let properties = folder.join("server.properties");
        std::fs::write(&properties, server)?;
        let classes = jars.join("*");
        let java = |arguments: &[&str]| {
            let mut command = Command::new("java");
            command.args(["-Xms256m", "-Xmx1g", "-cp"]).arg(&classes);
            command.args(arguments);
            command
        };
        let path = properties.to_string_lossy().into_owned();
        let format = ["kafka.tools.StorageTool", "format", "--standalone", "-t"];
        let mut command = java(&format);
        command.args(["MkU3OEVBNTcwNTJENDM2Qg", "-c", &path]);
        let output = command.output().context("cannot start java")?;
        ensure!(
            output.status.success(),
            "Kafka's storage: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut command = java(&["kafka.Kafka", &path]);
        let broker = Process::start("Kafka", &mut command, &folder.join("kafka.log"))?;
        wait::until_true("Kafka listens", PATIENCE, || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        let rest = format!("127.0.0.1:{}", port + 4);
        let properties = folder.join("worker.properties");
        std::fs::write(&properties, worker(folder, port, &rest))?;
        let path = properties.to_string_lossy().into_owned();
        let mut command = java(&["org.apache.kafka.connect.cli.ConnectStandalone", &path]);
        let begun = Instant::now();
        let worker = Process::start("Kafka Connect", &mut command, &folder.join("worker.log"))?;
        let rest = Rest::new(&rest);
        wait::until_true("Kafka Connect answers", PATIENCE, || {
            Ok(rest
                .get("/connectors")
                .is_ok_and(|answer| answer.status == 200))
        })?;
        let ready = begun.elapsed();
        let idle = worker.usage()?;
        Ok(Self {
            folder: folder.to_owned(),
            worker,
            broker,
            rest,
            runs: 0,
            ready,
            idle,
        })
    }

    /// Sends a file of `records` lines to a topic of its own, which is named in the answer.
    pub(crate) fn source(&mut self, file: &Path, records: u64) -> Result<(Run, String)> {
        self.runs += 1;
        let topic = format!("topic-{}", self.runs);
        let payload = std::fs::metadata(file)?.len() - records;
        let before = self.worker.usage()?.cpu;
        let begun = Instant::now();
        self.create(
            &topic,
            json!({"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
                   "file": file.to_string_lossy(), "topic": topic, "tasks.max": "1"}),
        )?;
        let log = self.folder.join("logs").join(format!("{topic}-0"));
        let stored = || -> u64 {
            let entries = std::fs::read_dir(&log).into_iter().flatten().flatten();
            let logs =
                entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "log"));
            logs.filter_map(|entry| entry.metadata().ok())
                .map(|file| file.len())
                .sum()
        };
        let (mut first, mut last) = (None, (0, begun));
        wait::until_true("everything is in Kafka's topic", PATIENCE * 5, || {
            let (size, now) = (stored(), Instant::now());
            if size > 0 {
                first.get_or_insert((size, now));
            }
            if size != last.0 {
                last = (size, now);
            }
            Ok(size >= payload && now.duration_since(last.1) > QUIET)
        })?;
        let usage = self.worker.usage()?;
        self.delete(&topic)?;
        let first = first.context("nothing was stored")?;
        // the log's bytes stand for records: they are of one size
        let record = last.0 as f64 / records as f64;
        let at = |(size, when): (u64, Instant)| {
            let since = when.duration_since(begun).as_secs_f64();
            (size as f64 / record, since)
        };
        let cpu = usage.cpu.saturating_sub(before);
        let run = Run::of(records, at(first), at(last), cpu, usage.resident);
        Ok((run, topic))
    }

    /// Writes a topic of `records` to a file, which is to be as `like`.
    pub(crate) fn sink(&mut self, topic: &str, like: &Path, records: u64) -> Result<Run> {
        self.runs += 1;
        let name = format!("sink-{}", self.runs);
        let out = self.folder.join(&name);
        let whole = std::fs::metadata(like)?.len();
        let before = self.worker.usage()?.cpu;
        self.create(
            &name,
            json!({"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector",
                   "file": out.to_string_lossy(), "topics": topic, "tasks.max": "1"}),
        )?;
        let size = || Ok(std::fs::metadata(&out).map_or(0, |file| file.len()));
        let (first, most) = beside::arrives("everything is in Kafka's file", whole, size)?;
        let usage = self.worker.usage()?;
        self.delete(&name)?;
        ensure!(
            std::fs::read(&out)? == std::fs::read(like)?,
            "what Kafka Connect wrote differs"
        );
        std::fs::remove_file(&out)?;
        let record = whole as f64 / records as f64;
        let at = |(size, since): (f64, f64)| (size / record, since);
        let cpu = usage.cpu.saturating_sub(before);
        Ok(Run::of(records, at(first), at(most), cpu, usage.resident))
    }

    fn create(&self, name: &str, config: serde_json::Value) -> Result<()> {
        let body = json!({"name": name, "config": config});
        let answer = self.rest.post("/connectors", &body.to_string())?;
        ensure!(answer.status < 300, "Kafka Connect refuses: {answer:?}");
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<()> {
        let answer = self.rest.delete_at(&format!("/connectors/{name}"))?;
        ensure!(answer.status < 300, "Kafka Connect refuses: {answer:?}");
        Ok(())
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.worker.terminate(PATIENCE)?;
        self.broker.terminate(PATIENCE)?;
        std::fs::remove_dir_all(&self.folder).context("cannot remove Kafka's folder")
    }
}

fn server(folder: &Path, port: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\ncontroller.listener.names=CONTROLLER\n\
         log.dirs={}\nnum.partitions=1\noffsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n",
        folder.join("logs").display(),
        controller = port + 1,
    )
}

fn worker(folder: &Path, port: u16, rest: &str) -> String {
    format!(
        "bootstrap.servers=127.0.0.1:{port}\n\
         key.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.storage.StringConverter\n\
         offset.storage.file.filename={}\nlisteners=http://{rest}\nplugin.path={}\n",
        folder.join("offsets").display(),
        folder.join("plugins").display(),
    )
}

/// The folder with the jars, fetched when they are not there.
fn jars() -> Result<PathBuf> {
    let folder = locate::root().join("target/kafka").join(VERSION);
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).context("cannot make the folder of Kafka's jars")?;
    let artifacts = [
        "kafka_2.13",
        "connect-runtime",
        "connect-json",
        "connect-file",
    ];
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    };
    let mut dependencies: String = artifacts
        .iter()
        .map(|artifact| dependency("org.apache.kafka", artifact, VERSION))
        .collect();
    dependencies.push_str(&dependency("org.slf4j", "slf4j-nop", "1.7.36"));
    let pom = folder.join("pom.xml");
    std::fs::write(
        &pom,
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
             <groupId>bench</groupId><artifactId>kafka</artifactId><version>1</version>\
             <packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
        ),
    )?;
    let status = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .status()
        .context("cannot run mvn, which fetches Kafka")?;
    ensure!(status.success(), "mvn could not fetch Kafka {VERSION}");
    std::fs::write(complete, "")?;
    Ok(folder)
}
