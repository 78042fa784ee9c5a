//! SIGTERM: the worker is down soon, everything it took is through, and nothing comes twice.

use std::time::Duration;

use anyhow::{Context, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::faults::{DOWN_WITHIN, stops};
use connect_tests::folder::alone;
use connect_tests::scenario::{Scenario, Shape};
use connect_tests::worker::Setup;

#[test]
fn stops_in_the_middle_of_work_repeat_nothing() -> anyhow::Result<()> {
    alone(|folder| stops(Shape::ManyKey, 20_000, 4, folder).map(drop))
}

#[test]
fn stops_of_a_single_file_repeat_nothing() -> anyhow::Result<()> {
    alone(|folder| stops(Shape::One, 20_000, 4, folder).map(drop))
}

/// A sink that waits at the broker for more waits there for up to 15 s; stopping must not.
#[test]
fn long_polls_are_abandoned() -> anyhow::Result<()> {
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
fn a_worker_whose_broker_is_away_stops_as_soon() -> anyhow::Result<()> {
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
        connect_tests::wait::until_true("it waits to send", Duration::from_secs(30), || {
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
