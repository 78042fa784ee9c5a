//! Changing plugins while records flow: every record passes exactly one version, none is lost and
//! none repeated; what is broken is left again; and what an operator does to files and by REST.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::editions::{self, Editions, text};
use connect_tests::folder::alone;
use connect_tests::metrics::Metrics;
use connect_tests::relay::{FIRST, Line, Relay, at_least_once, boundaries, exactly_once, lines};
use connect_tests::{swaps, wait};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(90);
/// A trial long enough for a version that fails after 1 000 records of 100 a batch.
const TRIAL: &str = "[reload]\nconfirm-batches = 30\n";

#[test]
fn each_record_passes_one_version_of_source_and_sink() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) = Relay::at_work(folder, TRIAL, 2, &[], 500)?;
        let versions: Vec<String> = (1..=5).map(|step| format!("10.0{step}.00")).collect();
        for version in &versions {
            for connector in ["source", "sink"] {
                let after = relay.swap(&rest, connector, version)?;
                let last = after.history().last().context("no history")?;
                ensure!(text(last, "/outcome") == "swapped", "{last}");
                ensure!(text(last, "/to/0/version") == version, "{last}");
                let pause = last
                    .pointer("/pauses/0/firstRecordMs")
                    .and_then(Value::as_f64);
                ensure!(pause.is_some(), "no pause in {last}");
                relay.moves(&mut worker, 200)?;
            }
        }
        let sent = relay.drain(&worker, 2)?;
        let lines = lines(&relay.out())?;
        exactly_once(&lines, &sent)?;
        let mut all = vec![FIRST.to_owned()];
        all.extend(versions);
        let sources: Vec<Line> = lines
            .iter()
            .filter(|line| line.partition == "p0")
            .cloned()
            .collect();
        ensure!(boundaries(&sources, |line| &line.source) == all, "sources");
        ensure!(boundaries(&lines, |line| &line.sink) == all, "sinks");
        Ok(())
    })
}

#[test]
fn a_broken_version_is_left_again_and_nothing_is_lost_or_repeated() -> Result<()> {
    alone(|folder| {
        // so fast that the version that fails after 1 000 records has not flushed them
        let full = [("pause", "0")];
        let (_cluster, relay, mut worker, rest) = Relay::at_work(folder, TRIAL, 1, &full, 500)?;
        let broken = [
            ("source", ["10", "11", "12", "13", "14"].as_slice()),
            (
                "sink",
                ["10", "11", "12", "13", "14", "15", "16"].as_slice(),
            ),
        ];
        for (connector, faults) in broken {
            let guest = format!("edition-{connector}");
            for fault in faults {
                let version = format!("10.50.{fault}");
                editions::install(&relay.plugins, &guest, &version)?;
                let back = Editions::until(&rest, connector, PATIENCE, |editions| {
                    editions.change() == "quarantined"
                        && text(&editions.0, "/change/plugins/0/version") == version
                })?;
                ensure!(back.version() == FIRST, "{connector} {fault}: {}", back.0);
                let last = back.history().last().context("no history")?;
                ensure!(text(last, "/outcome") == "rolled-back", "{last}");
                let reason = match *fault {
                    "12" => "did not open within",
                    _ => "this version",
                };
                ensure!(text(last, "/reason").contains(reason), "{last}");
                relay.moves(&mut worker, 200)?;
                // it is there still, and is not tried again
                rest.get("/plugin/reload")?.body()?;
                let still = Editions::of(&rest, connector)?;
                ensure!(still.version() == FIRST, "{}", still.0);
                ensure!(still.change() == "quarantined", "{}", still.0);
                std::fs::remove_file(relay.plugins.join(format!("{guest}-{version}.wasm")))?;
            }
        }
        // the next one that works is taken up all the same
        relay.swap(&rest, "source", "10.60.00")?;
        relay.swap(&rest, "sink", "10.60.00")?;
        relay.moves(&mut worker, 200)?;
        let sent = relay.drain(&worker, 1)?;
        let lines = lines(&relay.out())?;
        exactly_once(&lines, &sent)?;
        for line in &lines {
            ensure!(!line.sink.starts_with("10.50.1"), "{line:?}");
        }
        Ok(())
    })
}

/// Its positions are of another format, which the old version does not read.
#[test]
fn positions_of_another_format_are_taken_back() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) = Relay::at_work(folder, TRIAL, 1, &[], 500)?;
        editions::install(&relay.plugins, "edition-source", "10.50.22")?;
        let back = Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "quarantined"
        })?;
        ensure!(back.version() == FIRST, "{}", back.0);
        relay.moves(&mut worker, 3_000)?;
        let sent = relay.drain(&worker, 1)?;
        let again = at_least_once(&lines(&relay.out())?, &sent)?;
        ensure!(again > 0, "the records of the failed version come again");
        Ok(())
    })
}

/// The way back to the old positions is still there after the worker was killed in the trial.
#[test]
fn a_kill_in_the_trial_of_another_format_does_not_lose_the_way_back() -> Result<()> {
    alone(|folder| {
        // the trial ends after eleven polls
        let (_cluster, relay, mut worker, _) =
            Relay::at_work(folder, TRIAL, 1, &[("pause", "300")], 200)?;
        editions::install(&relay.plugins, "edition-source", "10.50.22")?;
        wait::until_true("positions of the new format are stored", PATIENCE, || {
            worker.process().check()?;
            let durable = relay.setup.durable()?;
            let position = durable.position("source", "p0");
            Ok(position.is_some_and(|position| position.parse::<u64>().is_err()))
        })?;
        worker.kill()?;

        let mut worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        let back = Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "quarantined"
        })?;
        ensure!(back.version() == FIRST, "{}", back.0);
        relay.moves(&mut worker, 200)?;
        let sent = relay.drain(&worker, 1)?;
        let again = at_least_once(&lines(&relay.out())?, &sent)?;
        ensure!(again > 0, "the records of the failed version come again");
        let log = relay.setup.log();
        ensure!(
            log.matches("positions from before the change are in force again")
                .count()
                == 2,
            "after the kill, and after the failure: {log}"
        );
        Ok(())
    })
}

/// A stop in good order repeats nothing, in such a trial either.
#[test]
fn a_stop_in_the_trial_of_another_format_repeats_nothing() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) =
            Relay::at_work(folder, TRIAL, 1, &[("pause", "300")], 200)?;
        editions::install(&relay.plugins, "edition-source", "10.50.22")?;
        Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "on-trial"
        })?;
        relay.moves(&mut worker, 200)?;
        worker.terminate(PATIENCE)?;

        let mut worker = relay.setup.start()?;
        Editions::until(worker.rest()?, "source", PATIENCE, |editions| {
            editions.version() == "10.50.22"
        })?;
        relay.moves(&mut worker, 200)?;
        worker.terminate(PATIENCE)?;
        let lines = lines(&relay.out())?;
        for (number, line) in (0..).zip(&lines) {
            ensure!(line.number == number, "{line:?} instead of number {number}");
        }
        Ok(())
    })
}

/// A plugin that keeps more and more is given a new instance before it runs into its limit.
#[test]
fn an_instance_that_grows_is_made_again_and_nothing_comes_twice() -> Result<()> {
    const GROWING: &str =
        "[limits.plugin.\"edition-source\"]\nmemory-bytes = 25165824\nmemory-high-water = 50\n";
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let relay = Relay::new(folder, &cluster, GROWING)?;
        let mut worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        // above its mark after six seconds, at its limit after twelve
        relay.create_with(&rest, 1, &[("leak", "2097152")])?;
        let source = [("connector", "source")];
        wait::until_true("instances are made again", PATIENCE, || {
            worker.process().check()?;
            let made = Metrics::of(&rest)?.sum("connect_plugin_instances_total", &source);
            Ok(made.is_some_and(|made| made >= 3.0))
        })?;
        relay.moves(&mut worker, 200)?;
        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)?;
        ensure!(
            !relay.setup.log().contains("ran out of memory"),
            "it met its limit"
        );
        Ok(())
    })
}

/// A tenth of `cargo xtask torture swaps`: what must hold, and nothing that is timed.
#[test]
fn many_changes_under_load() -> Result<()> {
    alone(|folder| {
        let figures = swaps::under_load(50, 0, folder)?;
        println!("{figures}");
        Ok(())
    })
}

/// A tenth of `cargo xtask torture swap-kills`.
#[test]
fn kills_during_changes() -> Result<()> {
    alone(|folder| {
        let again = swaps::killed(10, 1, folder)?;
        println!("{again} records came again");
        Ok(())
    })
}

/// Where the first version never opens, there is nothing to drain: the next one is begun with.
#[test]
fn a_version_that_puts_its_opening_off_gives_way() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let relay = Relay::new(folder, &cluster, "[reload]\nconfirm-batches = 3\n")?;
        for guest in ["edition-source", "edition-sink"] {
            std::fs::remove_file(relay.plugins.join(format!("{guest}-{FIRST}.wasm")))?;
            editions::install(&relay.plugins, guest, "10.01.12")?;
        }
        let mut worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        relay.create(&rest, 1)?;
        for connector in ["source", "sink"] {
            wait::until_true("it waits to open", PATIENCE, || {
                let status = rest.get(&format!("/connectors/{connector}/status"))?;
                Ok(status.text.contains("this version never opens"))
            })?;
            relay.swap(&rest, connector, "10.02.00")?;
        }
        relay.moves(&mut worker, 200)?;
        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)
    })
}

/// The offsets of its last flush may still be on their way when it puts the next one off; whoever comes
/// after it has to know them, or writes what they cover once more.
#[test]
fn a_version_that_puts_its_flush_off_gives_way() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) =
            Relay::at_work(folder, "[reload]\nconfirm-batches = 3\n", 1, &[], 200)?;
        let mut config = rest.config("sink")?;
        config["flush.interval.ms"] = "1".into();
        rest.create("sink", &config)?;
        relay.moves(&mut worker, 200)?;
        for step in 1..=4 {
            relay.swap(&rest, "sink", &format!("10.{step}0.17"))?;
            wait::until_true("it puts its flush off", PATIENCE, || {
                let status = rest.get("/connectors/sink/status")?;
                Ok(status.text.contains("this version puts its flush off"))
            })?;
            relay.swap(&rest, "sink", &format!("10.{step}1.00"))?;
            relay.moves(&mut worker, 200)?;
        }
        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)
    })
}

/// A tenth of `cargo xtask torture broken`.
#[test]
fn many_broken_versions() -> Result<()> {
    alone(|folder| {
        let again = swaps::broken(20, folder)?;
        println!("{again} records came again");
        Ok(())
    })
}

/// Straight from plugin to plugin, without a topic: both ends change in one task.
#[test]
fn direct_connectors_change_both_their_plugins() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let relay = Relay::new(folder, &cluster, "[reload]\nconfirm-batches = 3\n")?;
        let mut worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        rest.create(
            "source",
            &json!({"connector.class": "edition-source", "connector.direct.enable": "true",
                    "sink.task.class": "edition-sink", "out": "out.txt"}),
        )?;
        relay.moves(&mut worker, 500)?;
        for guest in ["edition-source", "edition-sink"] {
            editions::install(&relay.plugins, guest, "10.01.00")?;
            let after = Editions::until(&rest, "source", PATIENCE, |editions| {
                let runs = editions.0.to_string();
                runs.contains(&format!("\"name\":\"{guest}\",\"version\":\"10.01.00\""))
                    && editions.change().is_empty()
            })?;
            ensure!(!after.history().is_empty(), "{}", after.0);
            relay.moves(&mut worker, 500)?;
        }
        editions::install(&relay.plugins, "edition-sink", "10.50.13")?;
        Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "quarantined"
        })?;
        relay.moves(&mut worker, 500)?;
        let sent = relay.drain(&worker, 1)?;
        let lines = lines(&relay.out())?;
        exactly_once(&lines, &sent)?;
        ensure!(
            boundaries(&lines, |line| &line.source) == [FIRST, "10.01.00"],
            "sources"
        );
        ensure!(
            boundaries(&lines, |line| &line.sink) == [FIRST, "10.01.00"],
            "sinks"
        );
        Ok(())
    })
}

/// A stop in the middle of it is a stop in good order, and the next worker ends what was begun.
#[test]
fn a_stop_while_plugins_change() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let relay = Relay::new(folder, &cluster, "[reload]\nconfirm-batches = 3\n")?;
        let mut worker = relay.setup.start()?;
        relay.create(worker.rest()?, 1)?;
        for version in ["10.01.00", "10.02.00", "10.03.00"] {
            relay.moves(&mut worker, 200)?;
            for guest in ["edition-source", "edition-sink"] {
                editions::install(&relay.plugins, guest, version)?;
            }
            worker.rest()?.get("/plugin/reload")?.body()?;
            let (_, status) = worker.terminate(PATIENCE)?;
            ensure!(status.success(), "it ended with {status}");
            worker = relay.setup.start()?;
            for connector in ["source", "sink"] {
                Editions::settled(worker.rest()?, connector, version, PATIENCE)?;
            }
        }
        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)
    })
}
