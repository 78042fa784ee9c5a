//! RocketMQ Connect in Java with its sample file connectors, from a folder of its source: built, started
//! and stopped. Must give it what the worker gets: the same broker, topic and lines, and memory enough; and
//! no log line a record, which it writes as shipped.
//!
//! Its file source stops part-way through a large file that is there from the beginning and copies its
//! whole buffer for each line. So the file grows while it reads, a little ahead of it, which is the best
//! it can do. And what is last in the file stays in its buffer until more comes: short lines follow.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use connect_tests::process::{Process, Usage};
use connect_tests::rest::Rest;
use connect_tests::{ports, wait};
use serde_json::json;

use crate::stage::PATIENCE;

/// How far the file may be ahead of its reader.
const AHEAD: u64 = 128 * 1024;
/// Between two looks at where the reader is.
const LOOK: Duration = Duration::from_millis(1);
/// What follows the lines, so that the last of them are sent.
pub(crate) const NUDGE: &str = "~nudge";

/// A worker.
pub(crate) struct JavaConnect {
    folder: PathBuf,
    worker: Process,
    rest: Rest,
    /// From the start of the process to the first answer of its REST.
    pub(crate) ready: Duration,
    /// Before the first connector.
    pub(crate) idle: Usage,
}

impl JavaConnect {
    /// From the source in `source`, which is built where that was not done.
    pub(crate) fn start(source: &Path, folder: &Path, namesrv: &str) -> Result<Self> {
        let distribution = built(source)?;
        let home = folder.join("home");
        std::fs::create_dir_all(home.join("conf")).context("cannot make the folder of a worker")?;
        for entry in std::fs::read_dir(distribution.join("conf"))? {
            let path = entry?.path();
            let is_xml = path.extension().is_some_and(|it| it == "xml");
            if let Some(name) = path.file_name().filter(|_| is_xml) {
                let text = std::fs::read_to_string(&path)?;
                let quiet = text.replace("\"INFO\"", "\"WARN\"");
                std::fs::write(home.join("conf").join(name), quiet)?;
            }
        }
        let port = ports::free_block()?;
        let sample = "rocketmq-connect-sample";
        let plugin = source
            .join(sample)
            .join(format!("target/{sample}-0.0.1-SNAPSHOT.jar"));
        let conf = home.join("worker.conf");
        std::fs::write(
            &conf,
            format!(
                "workerId=bench\nstorePathRootDir={}\nhttpPort={port}\nnamesrvAddr={namesrv}\n\
                 aclEnable=false\naccessKey=rocketmq\nsecretKey=12345678\n\
                 autoCreateGroupEnable=false\nclusterName=\"DefaultCluster\"\npluginPaths={}\n",
                folder.join("store").display(),
                plugin.display()
            ),
        )?;
        let mut command = Command::new("java");
        command
            .args(["-server", "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-cp"])
            .arg(distribution.join("lib").join("*"))
            .arg("org.apache.rocketmq.connect.runtime.StandaloneConnectStartup")
            .arg("-c")
            .arg(&conf)
            .env("CONNECT_HOME", &home)
            // it keeps logs below the user's folder
            .env("_JAVA_OPTIONS", format!("-Duser.home={}", folder.display()))
            .current_dir(folder);
        let begun = Instant::now();
        let worker = Process::start("Java Connect", &mut command, &folder.join("worker.log"))?;
        let rest = Rest::new(&format!("127.0.0.1:{port}"));
        wait::until_true("Java Connect answers", PATIENCE, || {
            let listed = rest.get("/connectors/list");
            Ok(listed.is_ok_and(|answer| answer.status == 200))
        })?;
        let ready = begun.elapsed();
        let idle = worker.usage()?;
        Ok(Self {
            folder: folder.to_owned(),
            worker,
            rest,
            ready,
            idle,
        })
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        self.worker.usage()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Sends a file that is made now and that grows by the lines of `lines`.
    pub(crate) fn source(&self, name: &str, topic: &str, lines: &Path) -> Result<Feed> {
        let file = self.file(&format!("{name}.in"));
        File::create(&file).context("cannot make a file that grows")?;
        self.create(
            name,
            json!({"connector.class": "org.apache.rocketmq.connect.file.FileSourceConnector",
                   "filename": file.to_string_lossy(), "connect.topicname": topic}),
        )?;
        let descriptor = wait::until("Java Connect has opened the file", PATIENCE, || {
            self.worker.descriptor_of(&file)
        })?;
        Ok(Feed::begin(lines.to_owned(), file, descriptor))
    }

    /// Appends a topic to a file, which is named in the answer.
    pub(crate) fn sink(&self, name: &str, topic: &str) -> Result<PathBuf> {
        let file = self.file(&format!("{name}.out"));
        self.create(
            name,
            json!({"connector.class": "org.apache.rocketmq.connect.file.FileSinkConnector",
                   "filename": file.to_string_lossy(), "connect.topicnames": topic}),
        )?;
        Ok(file)
    }

    fn create(&self, name: &str, config: serde_json::Value) -> Result<()> {
        let answer = self.rest.ask_for(name, &config)?;
        ensure!(answer.status < 300, "Java Connect refuses: {answer:?}");
        Ok(())
    }

    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        let answer = self.rest.get(&format!("/connectors/{name}/stop"))?;
        ensure!(answer.status < 300, "Java Connect refuses: {answer:?}");
        Ok(())
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.worker.kill()?;
        std::fs::remove_dir_all(&self.folder).context("cannot remove Java Connect's folder")
    }
}

/// A file that grows ahead of its reader until it is ended.
pub(crate) struct Feed {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Feed {
    fn begin(lines: PathBuf, file: PathBuf, descriptor: PathBuf) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || grow(&lines, &file, &descriptor, &ended));
        Self {
            end,
            thread: Some(thread),
        }
    }

    /// Ends it; whether all went well.
    pub(crate) fn end(mut self) -> Result<()> {
        self.end.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has ended before")?;
        thread
            .join()
            .map_err(|_| anyhow!("what feeds Java Connect panicked"))?
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process can only be looked at, now and then"
)]
fn grow(lines: &Path, file: &Path, descriptor: &Path, end: &AtomicBool) -> Result<()> {
    let mut lines = File::open(lines).context("cannot read the lines")?;
    let mut file = File::options()
        .append(true)
        .open(file)
        .context("cannot write what Java Connect reads")?;
    let mut size = 0;
    let mut more = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let text = std::fs::read_to_string(descriptor).context("Java Connect left its file")?;
        let position = text.lines().find_map(|line| line.strip_prefix("pos:"));
        let position: u64 = position.context("no position")?.trim().parse()?;
        let room = (position + AHEAD).saturating_sub(size);
        if room == 0 {
            std::thread::sleep(LOOK);
            continue;
        }
        more.clear();
        let read = (&mut lines).take(room).read_to_end(&mut more)?;
        if read == 0 {
            break;
        }
        file.write_all(&more)?;
        size += read as u64;
    }
    while !end.load(Ordering::Relaxed) {
        file.write_all(format!("{NUDGE}\n").as_bytes())?;
        std::thread::sleep(20 * LOOK);
    }
    Ok(())
}

/// The folder of the distribution, built where it is not there.
fn built(source: &Path) -> Result<PathBuf> {
    let name = "rocketmq-connect-0.0.1-SNAPSHOT";
    let folder = source.join("distribution/target").join(name).join(name);
    if folder.join("lib").is_dir() {
        return Ok(folder);
    }
    let status = Command::new("mvn")
        .args(["-B", "-q", "-Prelease-connect", "-DskipTests"])
        .args(["-Dmaven.test.skip=true", "-Dmaven.javadoc.skip=true"])
        .args(["-pl", "distribution", "-am", "package"])
        .current_dir(source)
        .status()
        .context("cannot run mvn, which builds Java Connect")?;
    ensure!(status.success(), "mvn could not build Java Connect");
    ensure!(
        folder.join("lib").is_dir(),
        "there is no {} after the build",
        folder.display()
    );
    Ok(folder)
}
