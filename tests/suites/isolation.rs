//! What plugins may use and have used: seen in a connector's status and in `/metrics`, and the name of
//! the limit with every breach.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::metrics::Metrics;
use connect_tests::rest::Rest;
use connect_tests::wait;
use connect_tests::worker::{Setup, Worker};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Tries often, so that tests need not wait.
const RESTART: &str = "[restart]\nfirst-ms = 200\nlongest-ms = 1000\nattempts = 1000\n";

/// A worker with these guests and this configuration beside the usual.
fn with_worker(
    guests: &[&str],
    extra: &str,
    test: impl FnOnce(&Setup, &mut Worker, &Rest) -> Result<()>,
) -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let mut setup =
            Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_guests(guests)?;
        setup.extra = format!("{RESTART}{extra}");
        let mut worker = setup.start()?;
        let rest = worker.rest()?.clone();
        test(&setup, &mut worker, &rest)?;
        worker.process().check()
    })
}

/// Task 0 of a connector as its status has it.
fn task(rest: &Rest, connector: &str) -> Result<Value> {
    let status = rest
        .get(&format!("/connectors/{connector}/status"))?
        .body()?;
    let task = status.pointer("/tasks/0").cloned();
    task.with_context(|| format!("no task: {status}"))
}

/// Waits until task 0 has failed with a reason that holds `words`.
fn fails_with(rest: &Rest, connector: &str, words: &str) -> Result<()> {
    let mut last = Value::Null;
    let failed = wait::until_true(&format!("{connector} has failed"), PATIENCE, || {
        last = task(rest, connector)?;
        let text = |key: &str| last.get(key).and_then(Value::as_str).unwrap_or_default();
        Ok(text("state") == "FAILED" && text("trace").contains(words))
    });
    failed.with_context(|| format!("not with `{words}`: {last}"))
}

/// Waits until a figure has at least this value.
fn reaches(rest: &Rest, name: &str, labels: &[(&str, &str)], least: u64) -> Result<()> {
    wait::until_true(&format!("{name} {labels:?}"), PATIENCE, || {
        let now = Metrics::of(rest)?.sum(name, labels);
        Ok(now.is_some_and(|now| now as u64 >= least))
    })
}

#[test]
fn breaches_show_in_status_and_metrics_and_name_their_limit() -> Result<()> {
    let limits = "[limits]\nmemory-bytes = 67108864\nhandles = 500\n\
                  [limits.plugin.\"log-flood\"]\nlog-lines-per-second = 10\n\
                  [limits.plugin.\"memory-bomb\"]\nmemory-bytes = 50331648\n\
                  [limits.connector.\"bomb\"]\nmemory-bytes = 33554432\n";
    let guests = ["memory-bomb", "log-flood", "greedy-source"];
    with_worker(&guests, limits, |setup, _, rest| {
        let source = |class: &str| json!({"connector.class": class, "connect.topicname": "away"});
        let mut bomb = source("memory-bomb");
        bomb["step"] = json!("4194304");
        rest.create("bomb", &bomb)?;
        rest.create("other-bomb", &bomb)?;
        let mut flood = source("log-flood");
        flood["lines"] = json!("100");
        rest.create("flood", &flood)?;
        let mut greedy = source("greedy-source");
        greedy["step"] = json!("100");
        rest.create("greedy", &greedy)?;

        let words = "the limit `memory-bytes` is 33554432 (32 MiB), ";
        fails_with(rest, "bomb", words)?;
        let place = "[limits], [limits.plugin.\"memory-bomb\"] or [limits.connector.\"bomb\"]";
        fails_with(rest, "bomb", place)?;
        fails_with(rest, "other-bomb", "the limit `memory-bytes` is 50331648")?;
        fails_with(rest, "greedy", "the limit `handles` is 500")?;
        let of = |connector, limit| [("connector", connector), ("limit", limit)];
        let breaches = "connect_plugin_breaches_total";
        reaches(rest, breaches, &of("bomb", "memory-bytes"), 2)?;
        reaches(rest, breaches, &of("greedy", "handles"), 2)?;
        reaches(rest, breaches, &of("flood", "log-lines-per-second"), 1)?;
        let flooded = [("connector", "flood")];
        reaches(
            rest,
            "connect_plugin_log_lines_dropped_total",
            &flooded,
            200,
        )?;
        reaches(
            rest,
            "connect_task_restarts_total",
            &[("connector", "bomb")],
            1,
        )?;

        let now = Metrics::of(rest)?;
        for (connector, limit, value) in [
            ("bomb", "memory-bytes", 33_554_432),
            ("other-bomb", "memory-bytes", 50_331_648),
            ("flood", "memory-bytes", 67_108_864),
            ("flood", "log-lines-per-second", 10),
            ("bomb", "log-lines-per-second", 1_000),
        ] {
            let found = now.count("connect_plugin_limit", &of(connector, limit))?;
            ensure!(found == value, "{connector}: {limit} is {found}");
        }
        let bombed = [
            ("connector", "bomb"),
            ("plugin", "memory-bomb"),
            ("role", "source"),
        ];
        let peak = now.count("connect_plugin_memory_peak_bytes", &bombed)?;
        ensure!(peak > 16 << 20 && peak <= 32 << 20, "it had {peak} bytes");
        ensure!(
            now.count(
                "connect_plugin_breaches_total",
                &of("flood", "memory-bytes")
            )? == 0
        );
        ensure!(now.sum("connect_plugin_cpu_seconds_total", &bombed) > Some(0.0));
        ensure!(now.count("connect_plugin_instances_total", &bombed)? >= 2);

        let usage = task(rest, "bomb")?["usage"].clone();
        let plugin = &usage["plugins"][0];
        ensure!(usage["failures"].as_u64() >= Some(1), "{usage}");
        ensure!(plugin["limits"]["memory-bytes"] == 33_554_432, "{usage}");
        ensure!(
            plugin["breaches"]["memory-bytes"].as_u64() >= Some(2),
            "{usage}"
        );
        let told =
            " lines were dropped: the limit `log-lines-per-second` is 10; it is set in [limits]";
        wait::until_true("the log tells of dropped lines", PATIENCE, || {
            Ok(setup.log().contains(told))
        })
    })
}

#[test]
fn what_went_through_is_counted_on_both_ends() -> Result<()> {
    let limits = "[limits.plugin.\"file-sink\"]\nopen-files = 16\n";
    with_worker(&[], limits, |setup, worker, rest| {
        let lines: String = (0..1_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        std::fs::write(setup.file("in.txt"), &lines)?;
        rest.create(
            "feed",
            &json!({"connector.class": "file-source", "filename": "in.txt",
                    "connect.topicname": "lines"}),
        )?;
        rest.create(
            "drain",
            &json!({"connector.class": "file-sink", "filename": "out.txt",
                    "connect.topicnames": "lines"}),
        )?;
        rest.create(
            "direct",
            &json!({"connector.class": "file-source", "connector.direct.enable": "true",
                    "sink.task.class": "file-sink", "source.filename": "in.txt",
                    "sink.filename": "direct.txt"}),
        )?;
        for connector in ["feed", "drain", "direct"] {
            let labels = [("connector", connector), ("task", "0")];
            for name in [
                "connect_task_records_in_total",
                "connect_task_records_out_total",
            ] {
                reaches(rest, name, &labels, 1_000)?;
            }
            wait::until_true("nothing is in flight", PATIENCE, || {
                let now = Metrics::of(rest)?;
                Ok(now.sum("connect_task_in_flight_records", &labels) == Some(0.0))
            })?;
            let now = Metrics::of(rest)?;
            for name in [
                "connect_task_records_in_total",
                "connect_task_records_out_total",
            ] {
                let count = now.count(name, &labels)?;
                ensure!(count == 1_000, "{connector}: {name} is {count}");
            }
            for name in [
                "connect_task_bytes_in_total",
                "connect_task_bytes_out_total",
            ] {
                let bytes = now.count(name, &labels)?;
                ensure!(
                    bytes >= lines.len() as u64 - 1_000,
                    "{connector}: {name} is {bytes}"
                );
            }
            ensure!(now.count("connect_task_batches_total", &labels)? >= 1);
        }
        let now = Metrics::of(rest)?;
        for (role, files) in [("source", 256), ("sink", 16)] {
            let labels = [
                ("connector", "direct"),
                ("role", role),
                ("limit", "open-files"),
            ];
            let found = now.count("connect_plugin_limit", &labels)?;
            ensure!(found == files, "{role}: {found}");
        }
        ensure!(now.count("connect_connectors", &[("state", "RUNNING")])? == 3);
        ensure!(now.count("connect_plugins", &[("role", "sink")])? >= 1);

        // Only its own time is new after a restart of the worker.
        worker.process().terminate(PATIENCE)?;
        *worker = setup.start()?;
        let rest = worker.rest()?;
        reaches(
            rest,
            "connect_plugin_calls_total",
            &[("connector", "feed")],
            2,
        )?;
        let now = Metrics::of(rest)?;
        let again = now.count("connect_task_records_in_total", &[("connector", "feed")])?;
        ensure!(again == 0, "{again} records came again");
        Ok(())
    })
}

/// `flush-sink` makes one record durable with each flush, so most of what it was given is in flight.
#[test]
fn a_sink_with_too_much_in_flight_gets_no_more_until_it_has_less() -> Result<()> {
    let limits = "[limits.connector.\"slow\"]\nin-flight-records = 4\n";
    with_worker(&["flush-sink"], limits, |setup, _, rest| {
        let lines: String = (0..20).map(|number| format!("line {number}\n")).collect();
        std::fs::write(setup.file("in.txt"), &lines)?;
        rest.create(
            "feed",
            &json!({"connector.class": "file-source", "filename": "in.txt",
                    "connect.topicname": "slowly", "queue.by": "partition"}),
        )?;
        rest.create(
            "slow",
            &json!({"connector.class": "flush-sink", "out": "out.txt", "most": "1",
                    "connect.topicnames": "slowly"}),
        )?;
        let labels = [("connector", "slow")];
        let mut most = 0;
        wait::until_true("all of them are durable", PATIENCE, || {
            let now = Metrics::of(rest)?;
            let open = now
                .sum("connect_task_in_flight_records", &labels)
                .unwrap_or(0.0);
            most = most.max(open as u64);
            Ok(now.sum("connect_task_records_out_total", &labels) == Some(20.0))
        })?;
        ensure!(most < 8, "{most} records were in flight");
        let limited = [("connector", "slow"), ("limit", "in-flight-records")];
        reaches(rest, "connect_plugin_breaches_total", &limited, 1)?;
        // A line is `queue offset value`.
        let out = std::fs::read_to_string(setup.file("out.txt"))?;
        let values = out
            .lines()
            .map(|line| line.splitn(3, ' ').nth(2).unwrap_or_default());
        ensure!(values.eq(lines.lines()), "{out}");
        Ok(())
    })
}
