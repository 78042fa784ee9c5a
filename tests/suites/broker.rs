//! The broker goes away and comes back: nothing is lost, running tasks go on at once, and waiting
//! costs next to nothing.

#[path = "../../xtask/src/java_broker.rs"]
#[allow(
    dead_code,
    clippy::print_stdout,
    reason = "written for the command line; only its services are used here"
)]
mod java_broker;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::faults::{BACK_WITHIN, BUSY_SHARE, broker_losses, comes_back, share_of_a_core};
use connect_tests::folder::alone;
use connect_tests::scenario::{Scenario, Shape};
use connect_tests::worker::Setup;
use connect_tests::{delivery, kills, ports, skip, wait, wire};
use java_broker::{JavaBroker, Service};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// Away for longer than a client's patience: five failed connects block it for 30 s by itself.
#[test]
fn a_killed_broker_is_waited_for() -> Result<()> {
    alone(|folder| {
        let away = Duration::from_secs(12);
        broker_losses(Shape::ManyKey, 20_000, 2, away, BUSY_SHARE, folder).map(drop)
    })
}

#[test]
fn a_broker_that_is_absent_at_start_is_waited_for() -> Result<()> {
    alone(|folder| {
        let mut cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let mut scenario = Scenario::new(setup, Shape::ManyPartition, 5)?;
        let worker = scenario.setup.start()?;
        scenario.create_connectors(worker.rest()?)?;
        scenario.feed(1_000)?;
        let arrived = || Ok(scenario.arrived_bytes() > 0);
        wait::until_true("lines arrive", PATIENCE, arrived)
            .with_context(|| kills::states(&worker))?;
        worker.terminate(PATIENCE)?;
        cluster.stop()?;

        scenario.feed(1_000)?;
        scenario.finish()?;
        let mut worker = scenario.setup.start().context("a start without broker")?;
        let rest = worker.rest()?.clone();
        wait::until_true("readiness names the broker", PATIENCE, || {
            Ok(rest
                .readiness()?
                .is_err_and(|why| why.contains(&cluster.namesrv())))
        })?;
        let share = share_of_a_core(&worker, Duration::from_secs(10))?;
        ensure!(
            share <= BUSY_SHARE,
            "waiting cost {:.1} % of a core",
            share * 100.0
        );

        let took = comes_back(&mut cluster, &mut worker, &scenario)?;
        ensure!(took <= BACK_WITHIN, "went on after {} ms", took.as_millis());
        scenario
            .watch()
            .wait(PATIENCE, || worker.process().check())?;
        wait::until_true("the worker is ready again", PATIENCE, || {
            Ok(rest.readiness()?.is_ok())
        })?;
        worker.terminate(PATIENCE)?;
        let again = delivery::verify_content(&scenario)?;
        ensure!(
            again == 0,
            "{again} lines came twice although nothing was killed"
        );
        Ok(())
    })
}

/// A Java RocketMQ that is ended with the test, however that ends.
struct Java(JavaBroker);

impl Drop for Java {
    fn drop(&mut self) {
        for service in [Service::Broker, Service::NameServer] {
            // The test has told what was wrong already.
            drop(self.0.kill(service));
        }
    }
}

/// A Java producer's topic may keep what came in one send as one entry. A sink takes it apart, also where
/// its offset is in the middle of one. Only the Java RocketMQ has such topics.
#[test]
fn entries_of_several_messages_are_taken_apart() -> Result<()> {
    const TEST: &str = "entries_of_several_messages_are_taken_apart";
    const ENTRIES: usize = 200;
    const ENTRY: usize = 101;
    const MORE: usize = 600;
    // each flush is of so few that the sink is stopped on its way, and in the middle of an entry
    const FEW: &str = "[limits.connector.\"sink\"]\nin-flight-records = 7\n";
    if let Some(reason) = java_broker::missing() {
        return skip::note(TEST, &reason);
    }
    alone(|folder| {
        let first = ports::free_block()?;
        let java = Java(JavaBroker::new(&folder.join("java"), first, first + 8)?);
        java.0.start(Service::NameServer)?;
        java.0.start(Service::Broker)?;
        let broker = format!("127.0.0.1:{}", first + 8);
        wire::create_batched_topic(&broker, "batched")?;
        let lines = |entry: usize| (0..ENTRY).map(move |line| format!("{entry} {line}"));
        for entry in 0..ENTRIES {
            let bodies: Vec<String> = lines(entry).collect();
            wire::send_batch(&broker, "batched", &format!("by-hand-{entry}"), &bodies)?;
        }
        let sent: String = (0..ENTRIES)
            .flat_map(lines)
            .map(|line| line + "\n")
            .collect();

        let mut setup = Setup::new(&folder.join("worker"), &format!("127.0.0.1:{first}"))?;
        setup.extra = FEW.to_owned();
        let worker = setup.start()?;
        worker.rest()?.create(
            "sink",
            &json!({"connector.class": "file-sink", "filename": "out.txt",
                    "flush.interval.ms": "1", "connect.topicnames": "batched"}),
        )?;
        let done =
            |setup: &Setup| -> Result<u64> { Ok(setup.durable()?.offset("sink", "batched", 0)) };
        wait::until_true("the sink is on its way", PATIENCE, || Ok(done(&setup)? > 0))
            .with_context(|| kills::states(&worker))?;
        worker.terminate(PATIENCE)?;
        let there = done(&setup)?;
        let all = (ENTRIES * ENTRY + MORE) as u64;
        ensure!(there < all, "it was done before it was stopped");

        setup.extra.clear();
        let worker = setup.start()?;
        let out = || std::fs::read_to_string(setup.file("out.txt"));
        wait::until_true("all lines arrive", PATIENCE, || {
            Ok(out()?.len() >= sent.len())
        })
        .with_context(|| kills::states(&worker))?;
        // what the worker itself sends there is not kept as entries, and comes too
        let more: String = (0..MORE).map(|line| format!("more {line}\n")).collect();
        setup.append("feed.txt", &more)?;
        worker.rest()?.create(
            "feed",
            &json!({"connector.class": "file-source", "filename": "feed.txt",
                    "connect.topicname": "batched"}),
        )?;
        let sent = sent + &more;
        wait::until_true("more arrives", PATIENCE, || Ok(out()?.len() >= sent.len()))
            .with_context(|| kills::states(&worker))?;
        worker.terminate(PATIENCE)?;
        ensure!(
            out()? == sent,
            "from offset {there} on it is not what was sent"
        );
        ensure!(done(&setup)? == all, "offset {}", done(&setup)?);
        Ok(())
    })
}

/// Only the Java RocketMQ has its name server in a process of its own.
#[test]
fn a_name_server_that_restarts_is_not_missed() -> Result<()> {
    if let Some(reason) = java_broker::missing() {
        return skip::note("a_name_server_that_restarts_is_not_missed", &reason);
    }
    alone(|folder| {
        let first = ports::free_block()?;
        let java = Java(JavaBroker::new(&folder.join("java"), first, first + 8)?);
        java.0.start(Service::NameServer)?;
        java.0.start(Service::Broker)?;
        over_a_restart(folder, &format!("127.0.0.1:{first}"), &java.0)
    })
}

fn over_a_restart(folder: &Path, namesrv: &str, java: &JavaBroker) -> Result<()> {
    let setup = Setup::new(&folder.join("worker"), namesrv)?;
    let mut scenario = Scenario::new(setup, Shape::ManyKey, 6)?;
    let mut worker = scenario.setup.start()?;
    let rest = worker.rest()?.clone();
    scenario.create_connectors(&rest)?;
    scenario.feed(5_000)?;
    let mut before = 0;
    wait::until_true("lines arrive", PATIENCE, || {
        before = scenario.arrived_bytes();
        Ok(before > 0)
    })
    .with_context(|| kills::states(&worker))?;

    java.kill(Service::NameServer)?;
    wait::until_true("readiness names the name server", PATIENCE, || {
        Ok(rest.readiness()?.is_err_and(|why| why.contains(namesrv)))
    })?;
    // Running tasks go on over the routes they know …
    scenario.feed(5_000)?;
    let (_, sent) = scenario.sent();
    wait::until_true("lines arrive without name server", PATIENCE, || {
        // … all but the halves of lines that are kept back.
        Ok(scenario.arrived_bytes() * 10 > sent * 9)
    })
    .with_context(|| kills::states(&worker))?;
    // … and only new topics have to wait.
    let config = json!({"connector.class": "file-source", "filename": "in/f00.txt",
                        "connect.topicname": "a-new-one"});
    let refused = rest.ask_for("new", &config)?.refusal()?;
    ensure!(
        refused.contains(namesrv),
        "the name server is not in: {refused}"
    );

    java.start(Service::NameServer)?;
    wait::until_true("a new topic can be made again", PATIENCE, || {
        Ok(rest.ask_for("new", &config)?.status == 200)
    })?;
    scenario.finish()?;
    scenario
        .watch()
        .wait(PATIENCE, || worker.process().check())?;
    worker.terminate(PATIENCE)?;
    let again = delivery::verify_content(&scenario)?;
    ensure!(
        again == 0,
        "{again} lines came twice although nothing was killed"
    );
    Ok(())
}
