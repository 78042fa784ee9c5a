//! REST as the Java project's users know it: their sample as it is written, with the configuration
//! that is shipped.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::process::Process;
use connect_tests::rest::Rest;
use connect_tests::{locate, ports, skip, wait};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// From the Java project's README, word for word.
const CREATE_SOURCE: &str = r#"curl -X POST -H "Content-Type: application/json" http://127.0.0.1:8082/connectors/fileSourceConnector -d '{"connector.class":"org.apache.rocketmq.connect.file.FileSourceConnector","filename":"test-source-file.txt","connect.topicname":"fileTopic"}'"#;
const CREATE_SINK: &str = r#"curl -X POST -H "Content-Type: application/json" http://127.0.0.1:8082/connectors/fileSinkConnector -d '{"connector.class":"org.apache.rocketmq.connect.file.FileSinkConnector","filename":"test-sink-file.txt","connect.topicnames":"fileTopic"}'"#;
const LIST: &str = "curl http://127.0.0.1:8082/connectors/list";
const STOP: &str = "curl http://127.0.0.1:8082/connectors/fileSourceConnector/stop";

/// The shipped ports where they are free, others where not.
struct Ports {
    rest: u16,
    namesrv: u16,
    broker: u16,
}

impl Ports {
    fn choose() -> Result<Self> {
        let shipped = Self {
            rest: 8082,
            namesrv: 9876,
            broker: 10911,
        };
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        // A broker takes the port two below its own as well.
        if [
            shipped.rest,
            shipped.namesrv,
            shipped.broker,
            shipped.broker - 2,
        ]
        .into_iter()
        .all(free)
        {
            return Ok(shipped);
        }
        let first = ports::free_block()?;
        Ok(Self {
            rest: first,
            namesrv: first + 1,
            broker: first + 8,
        })
    }

    fn apply(&self, text: &str) -> String {
        text.replace(":8082", &format!(":{}", self.rest))
            .replace(":9876", &format!(":{}", self.namesrv))
    }
}

/// Starts a worker with `conf/standalone.toml` in `folder` as someone who unpacked us there.
fn shipped_worker(folder: &Path, ports: &Ports) -> Result<Process> {
    let conf = locate::root().join("conf/standalone.toml");
    let text = std::fs::read_to_string(&conf).context("no conf/standalone.toml is shipped")?;
    std::fs::create_dir_all(folder.join("conf"))?;
    std::fs::write(folder.join("conf/standalone.toml"), ports.apply(&text))?;
    std::fs::create_dir_all(folder.join("plugins"))?;
    for plugin in ["file-source.wasm", "file-sink.wasm"] {
        std::fs::copy(
            locate::plugins()?.join(plugin),
            folder.join("plugins").join(plugin),
        )?;
    }
    let mut command = Command::new(locate::binary()?);
    command
        .args(["standalone", "-c", "conf/standalone.toml"])
        .current_dir(folder);
    let mut worker = Process::start("the worker", &mut command, &folder.join("worker.log"))?;
    worker.line("ready", PATIENCE)?;
    Ok(worker)
}

/// Runs a command line in a shell and gives what it printed.
fn shell(line: &str, folder: &Path) -> Result<Value> {
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "`{line}`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).with_context(|| format!("`{line}` printed {text}"))
}

#[test]
fn the_sample_of_the_java_project_works_as_written() -> Result<()> {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip::note(
            "the_sample_of_the_java_project_works_as_written",
            "needs curl",
        );
    }
    alone(|folder| {
        let ports = Ports::choose()?;
        let mut cluster = Cluster::at(folder, ports.namesrv, ports.broker);
        cluster.start()?;
        let mut worker = shipped_worker(folder, &ports)?;
        std::fs::write(folder.join("test-source-file.txt"), "hello\nrocketmq\n")?;

        let created = shell(&ports.apply(CREATE_SOURCE), folder)?;
        ensure!(created["status"] == 200, "{created}");
        ensure!(
            created["body"]["filename"] == "test-source-file.txt",
            "{created}"
        );
        let created = shell(&ports.apply(CREATE_SINK), folder)?;
        ensure!(created["status"] == 200, "{created}");

        let sink = folder.join("test-sink-file.txt");
        wait::until_true("the sample has arrived", PATIENCE, || {
            worker.check()?;
            Ok(std::fs::read(&sink).is_ok_and(|content| content == b"hello\nrocketmq\n"))
        })
        .with_context(|| worker.tail())?;

        let list = shell(&ports.apply(LIST), folder)?;
        for (name, kind) in [
            ("fileSourceConnector", "SOURCE"),
            ("fileSinkConnector", "SINK"),
        ] {
            let entry = &list["body"][name];
            ensure!(entry["status"]["connector"]["state"] == "RUNNING", "{list}");
            ensure!(entry["status"]["tasks"][0]["state"] == "RUNNING", "{list}");
            ensure!(
                entry["status"]["type"] == kind && entry["info"]["type"] == kind,
                "{list}"
            );
        }

        let stopped = shell(&ports.apply(STOP), folder)?;
        ensure!(
            stopped["body"] == "Connector [fileSourceConnector] deleted successfully",
            "{stopped}"
        );
        let list = shell(&ports.apply(LIST), folder)?;
        let names: Vec<&String> = list["body"]
            .as_object()
            .map(|list| list.keys().collect())
            .unwrap_or_default();
        ensure!(names == ["fileSinkConnector"], "{list}");
        Ok(())
    })
}

/// Every route of this version, its success and its envelope.
#[test]
fn every_route_answers_in_javas_form() -> Result<()> {
    alone(|folder| {
        let ports = Ports::choose()?;
        let mut cluster = Cluster::at(folder, ports.namesrv, ports.broker);
        cluster.start()?;
        let _worker = shipped_worker(folder, &ports)?;
        std::fs::write(folder.join("in.txt"), "hello\n")?;
        let rest = Rest::new(&format!("127.0.0.1:{}", ports.rest));

        ensure!(rest.get("/getClusterInfo")?.body()? == serde_json::json!(["standalone-worker"]));
        ensure!(rest.get("/connectors/list")?.body()? == serde_json::json!({}));
        ensure!(rest.get("/health/live")?.status == 200);
        wait::until_true("the worker is ready", PATIENCE, || {
            Ok(rest.readiness()?.is_ok())
        })?;
        let plugins = rest.get("/plugin/list")?.body()?;
        for (class, kind) in [
            (
                "org.apache.rocketmq.connect.file.FileSourceConnector",
                "SOURCE",
            ),
            ("org.apache.rocketmq.connect.file.FileSinkConnector", "SINK"),
        ] {
            let known = plugins.as_array().is_some_and(|plugins| {
                plugins
                    .iter()
                    .any(|plugin| plugin["className"] == class && plugin["type"] == kind)
            });
            ensure!(known, "{class} is not among {plugins}");
        }

        let config = r#"{"connector.class":"org.apache.rocketmq.connect.file.FileSourceConnector","filename":"in.txt","connect.topicname":"routes"}"#;
        let encoded: String = config.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let created = rest
            .get(&format!("/connectors/byget?config={encoded}"))?
            .body()?;
        let given: Value = serde_json::from_str(config)?;
        ensure!(created == given, "{created}");
        let info = rest.get("/connectors/byget/config")?.body()?;
        ensure!(
            info["name"] == "byget" && info["config"] == given && info["type"] == "SOURCE",
            "{info}"
        );

        let task = wait::until("the task runs", PATIENCE, || {
            let answer = rest.get("/connectors/byget/tasks/0/status")?;
            let running = answer.status == 200 && answer.json()?["body"]["state"] == "RUNNING";
            Ok(if running { Some(answer.body()?) } else { None })
        })?;
        ensure!(
            task["id"] == 0 && task["workerId"] == "standalone-worker",
            "{task}"
        );
        let tasks = rest.get("/connectors/byget/tasks")?.body()?;
        ensure!(
            tasks[0]["id"] == serde_json::json!({"connector": "byget", "task": 0}),
            "{tasks}"
        );
        ensure!(tasks[0]["config"]["filename"] == "in.txt", "{tasks}");

        for (path, text) in [
            (
                "/connectors/byget/pause",
                "Connector [byget] paused successfully",
            ),
            (
                "/connectors/byget/resume",
                "Connector [byget] resumed successfully",
            ),
            ("/connectors/stop/all", "[byget] connectors are deleted"),
            (
                "/connectors/stop/all",
                "No connector needs to be deleted, please add connector first",
            ),
        ] {
            let said = rest.get(path)?.body()?;
            ensure!(said == text, "{path} answered {said}");
        }
        for path in [
            "/connectors/byget/config",
            "/connectors/byget/status",
            "/no/such/route",
        ] {
            let answer = rest.get(path)?;
            if answer.status != 404 {
                bail!("{path} answered {}: {}", answer.status, answer.text);
            }
        }
        Ok(())
    })
}
