//! SIGTERM: the worker is down soon, everything it took is through, and nothing comes twice.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::faults::{DOWN_WITHIN, stops};
use connect_tests::folder::alone;
use connect_tests::process::{Process, parent_of_running, processor_time};
use connect_tests::scenario::{Scenario, Shape};
use connect_tests::worker::Setup;
use connect_tests::{files, locate, wait};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn stops_in_the_middle_of_work_repeat_nothing() -> Result<()> {
    alone(|folder| stops(Shape::ManyKey, 20_000, 4, folder).map(drop))
}

#[test]
fn stops_of_a_single_file_repeat_nothing() -> Result<()> {
    alone(|folder| stops(Shape::One, 20_000, 4, folder).map(drop))
}

/// A sink that waits at the broker for more waits there for up to 15 s; stopping must not.
#[test]
fn long_polls_are_abandoned() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let mut scenario = Scenario::new(setup, Shape::ManyKey, 3)?;
        let mut worker = scenario.setup.start()?;
        scenario.create_connectors(worker.rest()?)?;
        scenario.feed(500)?;
        scenario.finish()?;
        scenario
            .watch()
            .wait(Duration::from_secs(60), || worker.process().check())?;
        let (took, status) = worker.terminate(Duration::from_secs(40))?;
        ensure!(status.success(), "ended with {status}");
        ensure!(
            took <= DOWN_WITHIN,
            "an idle worker took {} ms",
            took.as_millis()
        );
        Ok(())
    })
}

#[test]
fn a_worker_whose_broker_is_away_stops_as_soon() -> Result<()> {
    alone(|folder| {
        let mut cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let mut scenario = Scenario::new(setup, Shape::One, 4)?;
        let mut worker = scenario.setup.start()?;
        scenario.create_connectors(worker.rest()?)?;
        scenario.feed(500)?;
        scenario.finish()?;
        scenario
            .watch()
            .wait(Duration::from_secs(60), || worker.process().check())?;
        cluster.kill()?;
        scenario.feed(500)?;
        // Until the worker has noticed, it is an ordinary stop.
        let rest = worker.rest()?.clone();
        wait::until_true("it waits to send", Duration::from_secs(30), || {
            let tasks = rest.tasks("source")?;
            Ok(tasks
                .iter()
                .any(|task| task.reason.contains("waiting to send")))
        })?;
        let (took, _) = worker
            .terminate(Duration::from_secs(60))
            .context("broker away")?;
        ensure!(
            took <= DOWN_WITHIN,
            "without its broker it took {} ms",
            took.as_millis()
        );
        Ok(())
    })
}

/// Waits until the worker has logged `text`.
fn logged(setup: &Setup, text: &str) -> Result<()> {
    wait::until_true(
        &format!("the log says {text:?}"),
        Duration::from_secs(30),
        || Ok(setup.log().contains(text)),
    )
}

/// An operator who does not want to wait for a stuck plugin asks twice.
#[test]
fn a_second_signal_ends_the_worker_at_once() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup =
            Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_guests(&["stuck-sink"])?;
        std::fs::write(setup.file("in.txt"), "one\n")?;
        let mut worker = setup.start()?;
        let rest = worker.rest()?;
        rest.create(
            "source",
            &json!({"connector.class": "file-source", "filename": "in.txt",
                    "connect.topicname": "stuck"}),
        )?;
        rest.create(
            "sink",
            &json!({"connector.class": "stuck-sink", "how": "wait", "ms": "600000",
                    "connect.topicnames": "stuck"}),
        )?;
        // Not merely sent: a sink that has nothing yet stops at once.
        logged(&setup, "waits inside put")?;
        worker.process().signal(Signal::TERM)?;
        logged(&setup, "stopping")?;
        ensure!(
            worker.process().ended()?.is_none(),
            "it did not wait for the sink"
        );
        worker.process().signal(Signal::TERM)?;
        let status = worker.process().wait(DOWN_WITHIN)?;
        ensure!(status.code() == Some(1), "it ended with {status}");
        logged(&setup, "a second signal")
    })
}

/// A worker that compiles for longer than any of these tests waits.
fn compiling(folder: &Path) -> Result<(Setup, Process, u32)> {
    let long = folder.join("long");
    std::fs::create_dir_all(&long)?;
    let plugin = std::fs::read(locate::plugins()?.join("file-source.wasm"))?;
    let many = files::with_functions(&plugin, 200_000);
    std::fs::write(long.join("long.wasm"), many)?;
    let setup = Setup::new(&folder.join("worker"), "127.0.0.1:1")?.with_plugins(&long);
    let process = setup.spawn(None)?;
    // Those of the shipped plugins, where they are not compiled yet, end soon.
    let child = wait::until("it compiles", Duration::from_secs(120), || {
        let child = process.children()?.first().copied();
        let long = |child: &u32| processor_time(*child) > Duration::from_secs(3);
        Ok(child.filter(long))
    })?;
    Ok((setup, process, child))
}

fn gone(child: u32) -> Result<()> {
    wait::until_true("its child is gone", Duration::from_secs(20), || {
        Ok(parent_of_running(child).is_none())
    })
}

/// A worker that is killed cannot look after its children.
#[test]
fn a_worker_that_is_killed_while_it_compiles_leaves_nothing_behind() -> Result<()> {
    alone(|folder| {
        let (_, mut process, child) = compiling(folder)?;
        process.kill()?;
        gone(child)
    })
}

/// Compiling a large plugin takes long; a worker that is told to stop meanwhile does not finish it.
#[test]
fn a_stop_while_plugins_are_compiled() -> Result<()> {
    alone(|folder| {
        let (setup, mut process, child) = compiling(folder)?;
        let (_, status) = process.terminate(DOWN_WITHIN)?;
        gone(child)?;
        ensure!(status.success(), "it ended with {status}");
        let log = setup.log();
        ensure!(log.contains("stopped while starting"), "{log}");
        // What was begun is no harm to the next start.
        std::fs::remove_file(folder.join("long/long.wasm"))?;
        let worker = setup.start();
        worker.map(drop)
    })
}
