//! What bad input over REST gets: an error that names the thing and the fix, and nothing changes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::lines::Chance;
use connect_tests::rest::Rest;
use connect_tests::wait;
use connect_tests::worker::Setup;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const SOURCE: &str = "org.apache.rocketmq.connect.file.FileSourceConnector";

/// A worker with one healthy connector, whose configuration must not change.
struct Bench {
    rest: Rest,
    before: Value,
}

impl Bench {
    fn new(rest: &Rest) -> Result<Self> {
        rest.create("healthy", &healthy())?;
        let before = rest.config("healthy")?;
        Ok(Self {
            rest: rest.clone(),
            before,
        })
    }

    /// The worker must refuse with all of `words`, and be as it was.
    fn refuses(
        &self,
        what: &str,
        answer: &connect_tests::rest::Answer,
        words: &[&str],
    ) -> Result<()> {
        let message = answer.refusal().with_context(|| what.to_owned())?;
        ensure!(answer.status < 500, "{what}: {} {message}", answer.status);
        for word in words {
            ensure!(
                message.contains(word),
                "{what}: `{word}` is not in: {message}"
            );
        }
        ensure!(
            self.rest.connectors()? == ["healthy"],
            "{what}: {:?}",
            self.rest.connectors()?
        );
        let now = self.rest.config("healthy")?;
        ensure!(
            now == self.before,
            "{what}: the healthy connector is now {now}"
        );
        Ok(())
    }
}

fn healthy() -> Value {
    json!({"connector.class": "file-source", "filename": "a.txt", "connect.topicname": "input"})
}

/// The healthy configuration with one key changed; null takes it away.
fn with(key: &str, value: Value) -> Value {
    let mut config = healthy();
    match config.as_object_mut() {
        Some(config) if value.is_null() => drop(config.remove(key)),
        Some(config) => drop(config.insert(key.to_owned(), value)),
        None => {}
    }
    config
}

fn in_a_worker(test: impl FnOnce(&Rest, &Setup) -> Result<()>) -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let worker = setup.start()?;
        test(worker.rest()?, &setup)
    })
}

#[test]
fn bodies_that_are_no_configuration() -> Result<()> {
    in_a_worker(|rest, _| {
        let bench = Bench::new(rest)?;
        for body in [
            "{\"connector.class\":",
            "hello",
            "[]",
            "null",
            "\"x\"",
            "[{\"a\":1}]",
            "17",
            "",
        ] {
            for name in ["new", "healthy"] {
                let answer = rest.post(&format!("/connectors/{name}"), body)?;
                ensure!(
                    answer.status == 400,
                    "`{body}`: {} {}",
                    answer.status,
                    answer.text
                );
                bench.refuses(&format!("the body `{body}`"), &answer, &["config"])?;
            }
        }
        for query in ["", "?config=", "?config=%20", "?config=%7B"] {
            let answer = rest.get(&format!("/connectors/new{query}"))?;
            bench.refuses(&format!("the query `{query}`"), &answer, &["config"])?;
        }
        Ok(())
    })
}

#[test]
fn configurations_that_cannot_work() -> Result<()> {
    in_a_worker(|rest, _| {
        let bench = Bench::new(rest)?;
        let cases: [(&str, Value, &[&str]); 12] = [
            (
                "no class",
                with("connector.class", Value::Null),
                &["connector.class"],
            ),
            (
                "an unknown class",
                with("connector.class", json!("no.such.Connector")),
                &["no.such.Connector"],
            ),
            (
                "a class with a slip",
                with("connector.class", json!("file-suorce")),
                &["file-suorce", "file-source"],
            ),
            ("no file", with("filename", Value::Null), &["filename"]),
            (
                "a count that is none",
                with("max.tasks", json!("abc")),
                &["max.tasks", "abc"],
            ),
            (
                "no tasks at all",
                with("max.tasks", json!("0")),
                &["max.tasks"],
            ),
            (
                "a word that is not allowed",
                with("line.end", json!("crlf")),
                &["line.end", "crlf", "lf"],
            ),
            (
                "an unknown key",
                with("filenmae", json!("x")),
                &["filenmae", "filename"],
            ),
            (
                "an unknown converter",
                with("value.converter", json!("no.such.Converter")),
                &["value.converter", "no.such.Converter"],
            ),
            (
                "transforms",
                with("transforms", json!("a")),
                &["transforms"],
            ),
            (
                "a size out of range",
                with("batch.records", json!("0")),
                &["batch.records"],
            ),
            (
                "no topic",
                with("connect.topicname", Value::Null),
                &["connect.topicname"],
            ),
        ];
        for (what, config, words) in cases {
            for name in ["new", "healthy"] {
                bench.refuses(what, &rest.ask_for(name, &config)?, words)?;
            }
        }
        let sink = json!({"connector.class": "file-sink", "filename": "out.txt"});
        bench.refuses(
            "a sink without topics",
            &rest.ask_for("new", &sink)?,
            &["connect.topicnames"],
        )?;
        let sink = |key: &str, value: &str| {
            let mut config = json!({"connector.class": "file-sink", "filename": "out.txt",
                                    "connect.topicnames": "input"});
            config[key] = json!(value);
            config
        };
        let direct = |key: &str| {
            let mut config = json!({"connector.class": "file-source", "filename": "in.txt",
                                    "connector.direct.enable": "true",
                                    "sink.task.class": "file-sink"});
            config[key] = json!("x");
            config
        };
        for (what, config, words) in [
            (
                "a source's key in a sink",
                sink("queue.by", "key"),
                ["queue.by", "only in a source"],
            ),
            (
                "a sink's key in a source",
                with("connect.topicnames", json!("input")),
                ["connect.topicnames", "only in a sink"],
            ),
            (
                "a direct connector's key in a sink",
                sink("sink.filename", "x"),
                ["sink.filename", "connector.direct.enable"],
            ),
            (
                "a group that RocketMQ refuses",
                sink("task.group.id", "my.group"),
                ["task.group.id", "'.'"],
            ),
            (
                "a misspelt key of a direct connector's source",
                direct("source.filenmae"),
                ["source.filenmae", "source.filename"],
            ),
            (
                "a converter of a direct connector",
                direct("value.converter"),
                ["value.converter", "without connector.direct.enable"],
            ),
            (
                "a misspelt key of a direct connector's sink",
                direct("sink.filenmae"),
                ["sink.filenmae", "sink.filename"],
            ),
        ] {
            bench.refuses(what, &rest.ask_for("new", &config)?, &words)?;
        }
        bench.refuses(
            "the same again",
            &rest.ask_for("healthy", &healthy())?,
            &["healthy", "same config"],
        )
    })
}

/// Everything that is wrong is said at once.
/// Keys of the worker and of the file connectors, with prefixes of both sides of a direct connector.
const KEYS: [&str; 32] = [
    "connector.direct.enable",
    "sink.task.class",
    "connect.topicname",
    "connect.topicnames",
    "consume.from.where",
    "consume.from.timestamp",
    "offset.lost",
    "queue.by",
    "max.tasks",
    "task.group.id",
    "batch.records",
    "batch.bytes",
    "flush.records",
    "flush.interval.ms",
    "errors.tolerance",
    "key.converter",
    "value.converter",
    "value.converter.schemas.enable",
    "value.converter.",
    "transforms",
    "filename",
    "source.filename",
    "sink.filename",
    "source.",
    "sink.",
    "topic",
    "from.beginning",
    "batch.lines",
    "",
    "*",
    "\u{1}",
    "ключ",
];
const TEXTS: [&str; 26] = [
    "",
    " ",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "1000",
    "4294967296",
    "99999999999999999999999999",
    "1e400",
    "1KiB",
    "5m",
    "a.txt",
    "../../etc/passwd",
    "file-sink",
    "json",
    "org.apache.rocketmq.connect.file.FileSinkTask",
    "org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter",
    "earliest",
    "timestamp",
    "one;two,,three",
    "%RETRY%x",
    "\u{0}\u{1}\u{2}",
    "ключ",
    "[[[[{\"a\":",
];

fn one<'a>(chance: &mut Chance, of: &[&'a str]) -> &'a str {
    let at = chance.below(of.len() as u64);
    of.get(at as usize).copied().unwrap_or_default()
}

/// Some known class, and keys and values without sense.
fn random(chance: &mut Chance) -> Value {
    let classes = [
        "file-source",
        "file-sink",
        SOURCE,
        "org.apache.rocketmq.connect.file.FileSinkConnector",
        "file-source@0",
        "@",
    ];
    let mut config = with("connector.class", one(chance, &classes).into());
    for _ in 0..chance.below(6) {
        let (key, value) = (
            one(chance, &KEYS),
            one(chance, &TEXTS).repeat(match chance.below(20) {
                0 => 5_000,
                _ => 1,
            }),
        );
        if let Some(config) = config.as_object_mut() {
            config.insert(key.to_owned(), value.into());
        }
    }
    config
}

#[test]
fn configurations_without_sense_get_a_sensible_answer() -> Result<()> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut chance = Chance::new(seed);
    in_a_worker(|rest, _| {
        let bench = Bench::new(rest)?;
        let (mut taken, mut refused) = (0, 0);
        for number in 0..400 {
            let config = random(&mut chance);
            let what = format!("seed {seed}, number {number}: {config}");
            let answer = rest.post("/connectors/random", &config.to_string())?;
            if answer.status < 300 {
                taken += 1;
                rest.delete("random").context(what)?;
            } else {
                refused += 1;
                bench.refuses(&what, &answer, &[])?;
            }
        }
        ensure!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
        Ok(())
    })
}

#[test]
fn several_problems_are_told_together() -> Result<()> {
    in_a_worker(|rest, _| {
        let bench = Bench::new(rest)?;
        let config = json!({"connector.class": "file-source", "connect.topicname": "input",
                            "max.tasks": "many", "queue.by": "colour"});
        let answer = rest.ask_for("new", &config)?;
        bench.refuses(
            "three problems",
            &answer,
            &["filename", "max.tasks", "queue.by"],
        )
    })
}

#[test]
fn names_that_cannot_be_used() -> Result<()> {
    in_a_worker(|rest, _| {
        let bench = Bench::new(rest)?;
        let long = "x".repeat(300);
        for name in [
            "list", "..%2Fup", "a%20b", "a%2Fb", ".hidden", "%C3%A9", "a%00b", &long,
        ] {
            let answer = rest.ask_for(name, &healthy())?;
            ensure!(
                answer.status < 500 && answer.status >= 400,
                "{name}: {}",
                answer.text
            );
            bench.refuses(name, &answer, &[])?;
        }
        Ok(())
    })
}

/// Configurations from the Java project carry keys that we do not know.
#[test]
fn unknown_keys_under_a_java_class_are_warnings() -> Result<()> {
    in_a_worker(|rest, _| {
        let mut config = with("connector.class", json!(SOURCE));
        config["filenmae"] = json!("x");
        let answer = rest.ask_for("java", &config)?;
        answer.body()?;
        let said = |text: &str| text.contains("filenmae") && text.contains("filename");
        let warnings = answer.json()?["warnings"].to_string();
        ensure!(
            said(&warnings),
            "the answer has no warning: {}",
            answer.text
        );
        let status = rest.get("/connectors/java/status")?.body()?;
        ensure!(
            said(&status["warnings"].to_string()),
            "the status has no warning: {status}"
        );
        Ok(())
    })
}

#[test]
fn directories_that_are_not_granted() -> Result<()> {
    in_a_worker(|rest, setup| {
        let bench = Bench::new(rest)?;
        std::os::unix::fs::symlink("/etc", setup.file("sideways"))?;
        for path in ["/etc/passwd", "../outside.txt", "sideways/passwd"] {
            let answer = rest.ask_for("new", &with("filename", json!(path)))?;
            let words = ["file-source", "read-directory", "[[grant]]"];
            bench.refuses(&format!("reading {path}"), &answer, &words)?;
        }
        let sink = json!({"connector.class": "file-sink", "filename": "/etc/motd",
                          "connect.topicnames": "input"});
        let words = ["file-sink", "write-directory", "[[grant]]"];
        bench.refuses("writing /etc/motd", &rest.ask_for("new", &sink)?, &words)
    })
}

#[test]
fn what_is_not_there() -> Result<()> {
    in_a_worker(|rest, _| {
        let bench = Bench::new(rest)?;
        for path in ["config", "status", "tasks/0/status", "pause", "resume"] {
            let answer = rest.get(&format!("/connectors/nobody/{path}"))?;
            bench.refuses(path, &answer, &["nobody"])?;
            ensure!(answer.status == 404, "{path}: {}", answer.status);
        }
        for path in [
            "/connectors/healthy/tasks/7/status",
            "/connectors/healthy/tasks/x/status",
        ] {
            bench.refuses(path, &rest.get(path)?, &[])?;
        }
        Ok(())
    })
}

#[test]
fn a_broker_that_is_not_there() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::new(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let worker = setup.start()?;
        let rest = worker.rest()?;
        wait::until_true("readiness names the broker", PATIENCE, || {
            Ok(rest
                .readiness()?
                .is_err_and(|why| why.contains(&cluster.namesrv())))
        })?;
        let answer = rest.ask_for("new", &healthy())?;
        let message = answer.refusal()?;
        ensure!(
            message.contains(&cluster.namesrv()),
            "the address is not in: {message}"
        );
        ensure!(
            rest.connectors()?.is_empty(),
            "{:?} are there",
            rest.connectors()?
        );
        Ok(())
    })
}
