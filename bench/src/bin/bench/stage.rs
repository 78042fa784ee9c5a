//! What stands around a measurement: a broker of either kind with an empty disk, the native program,
//! files of lines. Must give every subject the same.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::process::Process;
use connect_tests::{locate, ports};

/// How long a tool may take to be there or to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Which RocketMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one in Rust.
    Embedded,
    /// The one in Java, with pulls raised to 1024 messages.
    Java,
    /// The one in Java as it is shipped: 32 messages a pull.
    Shipped,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "Rust broker",
            Self::Java => "Java broker",
            Self::Shipped => "Java broker as shipped",
        }
    }
}

/// A broker for one case; its data goes with it.
pub(crate) enum Broker {
    Embedded(Cluster, PathBuf),
    Java { directory: PathBuf, port: u16 },
}

impl Broker {
    pub(crate) fn start(kind: Kind, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).context("cannot make the broker's folder")?;
        match kind {
            Kind::Embedded => Ok(Self::Embedded(Cluster::started(folder)?, folder.to_owned())),
            Kind::Java | Kind::Shipped => {
                let port = ports::free_block()?;
                let mut command = Command::new(locate::xtask()?);
                command.args(["java-broker", "start"]).arg(folder);
                command.args([port.to_string(), (port + 4).to_string()]);
                if kind == Kind::Java {
                    command.env("JAVA_BROKER_PULL", "1024");
                }
                let output = command.output().context("cannot start the Java broker")?;
                ensure!(
                    output.status.success(),
                    "the Java broker: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                Ok(Self::Java {
                    directory: folder.to_owned(),
                    port,
                })
            }
        }
    }

    pub(crate) fn namesrv(&self) -> String {
        match self {
            Self::Embedded(cluster, _) => cluster.namesrv(),
            Self::Java { port, .. } => format!("127.0.0.1:{port}"),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let folder = match self {
            Self::Embedded(cluster, folder) => {
                if let Err(error) = cluster.stop() {
                    eprintln!("the broker did not stop: {error:#}");
                }
                folder.clone()
            }
            Self::Java { directory, .. } => {
                let stopped = locate::xtask().map(|xtask| {
                    let mut command = Command::new(xtask);
                    command.args(["java-broker", "stop"]).arg(&*directory);
                    command.status()
                });
                if !matches!(stopped, Ok(Ok(status)) if status.success()) {
                    eprintln!("the Java broker did not stop");
                }
                directory.clone()
            }
        };
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            eprintln!("cannot remove {}: {error}", folder.display());
        }
    }
}

/// The native program at work on a topic.
pub(crate) struct Native<'a> {
    pub(crate) namesrv: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) queues: u32,
    pub(crate) log: &'a Path,
}

impl Native<'_> {
    /// Starts it; it has its queues when this returns.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Process> {
        let program = std::env::var_os("BENCH_NATIVE")
            .context("BENCH_NATIVE does not name the native program: run `cargo xtask bench`")?;
        let mut command = Command::new(program);
        command.args(["--namesrv", self.namesrv, "--topic", self.topic]);
        command.args(["--queues", &self.queues.to_string()]);
        command.args(arguments);
        let what = format!("bench-native {}", arguments.first().unwrap_or(&""));
        let mut process = Process::start(&what, &mut command, self.log)?;
        process.line("ready", PATIENCE)?;
        Ok(process)
    }

    /// Starts it and waits for the line that begins with `answer`.
    pub(crate) fn ask(&self, arguments: &[&str], answer: &str) -> Result<String> {
        self.start(arguments)?.line(answer, PATIENCE * 5)
    }
}

/// Lines of `bytes` each in `count` files, `records` in all.
pub(crate) fn lines(
    folder: &Path,
    count: usize,
    records: u64,
    bytes: usize,
) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).context("cannot make the folder of lines")?;
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut paths = Vec::new();
    for number in 0..count {
        let path = folder.join(format!("lines-{number:02}.txt"));
        let file = File::create(&path).context("cannot write lines")?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let mut line = vec![b'x'; bytes];
        for record in 0..records / count as u64 {
            let head = format!("{number:02}-{record:010}-");
            line.clear();
            line.extend_from_slice(head.as_bytes());
            while line.len() < bytes {
                // xorshift: content that does not shrink when it is compressed
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                line.extend_from_slice(format!("{state:016x}").as_bytes());
            }
            line.truncate(bytes);
            file.write_all(&line)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
        paths.push(path);
    }
    Ok(paths)
}
