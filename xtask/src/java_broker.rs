//! `cargo xtask java-broker`: a real Java RocketMQ, name server and broker, from Maven Central, for
//! tests on 127.0.0.1.
//!
//! Also part of the broker tests, which start and kill the two services one by one; so it depends
//! on nothing else in this crate. Ends processes only by the ids it wrote down itself, and only
//! while they are still what it started.

// Named by path, since the broker tests read this file from another place.
#[path = "java_broker/jars.rs"]
mod jars;

pub(crate) use jars::missing;

use jars::{jars, java, modules};

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HELP: &str = "\
cargo xtask java-broker start DIR [NAMESRV_PORT] [BROKER_PORT]   default ports 9876 and 10911
cargo xtask java-broker stop DIR
cargo xtask java-broker lib

start and stop a Java RocketMQ 5.3.3 (name server and broker) on 127.0.0.1 that keeps everything in
DIR; lib only fetches its jars. Needs java (17 or newer, or 8) and, the first time, mvn.
The broker also uses BROKER_PORT - 2 and BROKER_PORT + 1; the latter listens on every address, since
RocketMQ has no option for it.
  JAVA_HOME     the JDK to use instead of the java on the PATH
  RMQ_LIB       a folder for the jars instead of target/java-broker
  JAVA_BROKER_PULL   messages that one pull may bring, instead of 32
";

const HOST: &str = "127.0.0.1";
/// How long a JVM may take until it serves, on a machine that is busy with other builds.
const UP_WITHIN: Duration = Duration::from_secs(90);
const DOWN_WITHIN: Duration = Duration::from_secs(30);
/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    NameServer,
    Broker,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::NameServer => "namesrv",
            Self::Broker => "broker",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::NameServer => "org.apache.rocketmq.namesrv.NamesrvStartup",
            Self::Broker => "org.apache.rocketmq.broker.BrokerStartup",
        }
    }

    /// Small heaps: two cores and several builds share the machine.
    fn memory(self) -> &'static [&'static str] {
        match self {
            Self::NameServer => &["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC"],
            Self::Broker => &["-Xms256m", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"],
        }
    }
}

/// Where a Java RocketMQ lives and on which ports.
#[derive(Clone, Debug)]
pub(crate) struct JavaBroker {
    directory: PathBuf,
    namesrv_port: u16,
    broker_port: u16,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let port = |text: &str| {
        text.parse::<u16>()
            .with_context(|| format!("{text:?} is not a port"))
    };
    match words.as_slice() {
        ["start", directory, rest @ ..] if rest.len() <= 2 => {
            let namesrv_port = rest.first().map_or(Ok(9876), |text| port(text))?;
            let broker_port = rest.get(1).map_or(Ok(10911), |text| port(text))?;
            let java = JavaBroker::new(Path::new(directory), namesrv_port, broker_port)?;
            java.start(Service::NameServer)?;
            java.start(Service::Broker)?;
            println!("ready namesrv {HOST}:{namesrv_port} broker {HOST}:{broker_port}");
            Ok(())
        }
        ["stop", directory] => {
            let java = JavaBroker::new(Path::new(directory), 0, 0)?;
            java.stop(Service::Broker)?;
            java.stop(Service::NameServer)
        }
        ["lib"] => {
            println!("{}", jars()?.display());
            Ok(())
        }
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("cannot read these arguments\n\n{HELP}"),
    }
}

impl JavaBroker {
    /// Nothing is started or written yet, but the directory is made.
    pub(crate) fn new(directory: &Path, namesrv_port: u16, broker_port: u16) -> Result<Self> {
        let cannot = || format!("cannot use the directory {}", directory.display());
        fs::create_dir_all(directory).with_context(cannot)?;
        let directory = directory.canonicalize().with_context(cannot)?;
        Ok(Self {
            directory,
            namesrv_port,
            broker_port,
        })
    }

    /// Starts a service; returns when the name server listens or the broker is registered.
    pub(crate) fn start(&self, service: Service) -> Result<()> {
        if let Some(reason) = missing() {
            bail!("a Java RocketMQ cannot run here: {reason}");
        }
        let name = service.name();
        if let Some(pid) = self.running(service)? {
            bail!(
                "the Java {name} of {} runs already, as process {pid}",
                self.directory.display()
            );
        }
        let jars = jars()?;
        let home = self.folder("home")?;
        let run = self.folder("run")?;
        let configuration = self.configure(service)?;
        let output = run.join(format!("{name}.out"));
        let log =
            File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let child = Command::new(java())
            .args(service.memory())
            .args(modules())
            .arg(format!("-Duser.home={}", self.directory.display()))
            .arg(format!("-Drocketmq.home.dir={}", home.display()))
            .arg("-Dio.netty.tryReflectionSetAccessible=true")
            .arg("-cp")
            .arg(jars.join("*"))
            .arg(service.class())
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // It outlives the command that starts it, also when Ctrl-C ends that.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start java for the {name}"))?;
        let pid_file = self.pid_file(service);
        fs::write(&pid_file, child.id().to_string())
            .with_context(|| format!("cannot write {}", pid_file.display()))?;
        let up = wait(UP_WITHIN, || {
            ensure!(self.running(service)?.is_some(), "it ended");
            Ok(match service {
                Service::NameServer => TcpStream::connect((HOST, self.namesrv_port)).is_ok(),
                Service::Broker => self.registered(),
            })
        });
        match up {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.kill(service)?;
                bail!(
                    "the Java {name} is not up after {} s:\n{}",
                    UP_WITHIN.as_secs(),
                    tail(&output)
                )
            }
            Err(error) => {
                Err(error.context(format!("the Java {name} did not start:\n{}", tail(&output))))
            }
        }
    }

    /// Stops a service in order; nothing happens when it does not run.
    pub(crate) fn stop(&self, service: Service) -> Result<()> {
        self.end(service, "-TERM")?;
        self.end(service, "-KILL")
    }

    /// Ends a service as a crash would.
    pub(crate) fn kill(&self, service: Service) -> Result<()> {
        self.end(service, "-KILL")
    }

    fn end(&self, service: Service, signal: &str) -> Result<()> {
        let pid_file = self.pid_file(service);
        if let Some(pid) = self.running(service)? {
            let status = Command::new("kill")
                .args([signal, &pid.to_string()])
                .status()?;
            ensure!(
                status.success(),
                "cannot stop the Java {}, process {pid}",
                service.name()
            );
            if !wait(DOWN_WITHIN, || Ok(self.running(service)?.is_none()))? && signal == "-KILL" {
                bail!("the Java {}, process {pid}, does not end", service.name());
            }
        }
        if self.running(service)?.is_none() && pid_file.exists() {
            fs::remove_file(&pid_file)?;
        }
        Ok(())
    }

    /// The process of a service, if it runs. A number that belongs to another program by now is
    /// not it.
    fn running(&self, service: Service) -> Result<Option<u32>> {
        let Ok(text) = fs::read_to_string(self.pid_file(service)) else {
            return Ok(None);
        };
        let pid: u32 = text
            .trim()
            .parse()
            .context("the file with the process id is damaged")?;
        let shown = Command::new("ps")
            .args(["-o", "stat=,args=", "-p", &pid.to_string()])
            .output();
        let shown = shown.context("cannot run ps")?;
        let shown = String::from_utf8_lossy(&shown.stdout);
        let dead = shown.trim_start().starts_with('Z');
        let ours =
            shown.contains(service.class()) && shown.contains(&*self.directory.to_string_lossy());
        Ok((ours && !dead).then_some(pid))
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.directory.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    fn pid_file(&self, service: Service) -> PathBuf {
        self.directory
            .join("run")
            .join(format!("{}.pid", service.name()))
    }

    fn configure(&self, service: Service) -> Result<PathBuf> {
        let store = self.folder("store")?;
        let store = store.display();
        let (namesrv_port, port) = (self.namesrv_port, self.broker_port);
        let text = match service {
            Service::NameServer => format!(
                "listenPort={namesrv_port}\nbindAddress={HOST}\n\
                 kvConfigPath={store}/kvConfig.json\nconfigStorePath={store}/namesrv.properties\n"
            ),
            // RocketMQ's defaults, but for ports, folders, and files that are small.
            Service::Broker => format!(
                "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\n\
                 brokerRole=ASYNC_MASTER\nflushDiskType=ASYNC_FLUSH\n\
                 namesrvAddr={HOST}:{namesrv_port}\nbindAddress={HOST}\n\
                 brokerIP1={HOST}\nbrokerIP2={HOST}\nlistenPort={port}\nhaListenPort={}\n\
                 storePathRootDir={store}\nstorePathCommitLog={store}/commitlog\n\
                 mappedFileSizeCommitLog=134217728\nmappedFileSizeConsumeQueue=600000\n\
                 maxIndexNum=500000\nmaxHashSlotNum=100000\n\
                 compactionMappedFileSize=16777216\ncompactionCqMappedFileSize=1048576\n\
                 timerWheelEnable=false\ndiskMaxUsedSpaceRatio=95\n{}",
                u32::from(port) + 1,
                raised()
            ),
        };
        let path = self
            .folder("home")?
            .join(format!("{}.conf", service.name()));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Whether the name server lists the broker, by one request of RocketMQ's own protocol.
    fn registered(&self) -> bool {
        let asked = ask_cluster((HOST, self.namesrv_port));
        asked.is_ok_and(|answer| answer.contains(&format!("{HOST}:{}", self.broker_port)))
    }
}

/// More messages and bytes in one pull than as shipped (32 of 256 KiB, 8 from disk), where asked for.
fn raised() -> String {
    let Ok(messages) = std::env::var("JAVA_BROKER_PULL") else {
        return String::new();
    };
    let mut text = String::new();
    for place in ["Memory", "Disk"] {
        text.push_str(&format!(
            "maxTransferCountOnMessageIn{place}={messages}\n\
             maxTransferBytesOnMessageIn{place}=4194304\n"
        ));
    }
    text
}

/// Asks a name server for its brokers (request 106) and returns the answer's frame as text.
fn ask_cluster(address: (&str, u16)) -> Result<String> {
    let header = r#"{"code":106,"flag":0,"language":"OTHER","opaque":1,"serializeTypeCurrentRPC":"JSON","version":0}"#;
    let header_length = u32::try_from(header.len())?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(&(header_length + 4).to_be_bytes())?;
    stream.write_all(&header_length.to_be_bytes())?;
    stream.write_all(header.as_bytes())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = Vec::new();
    stream
        .take(u64::from(u32::from_be_bytes(length)))
        .read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Asks again and again until the condition holds; false when it does not in time.
fn wait(within: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        if holds()? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "another process can only be asked, with a deadline"
        )]
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The end of a service's output, which says why it did not start.
fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(20))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
