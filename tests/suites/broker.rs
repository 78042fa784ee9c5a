//! The broker goes away and comes back: nothing is lost, running tasks go on at once, and waiting
//! costs next to nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::faults::{BACK_WITHIN, IDLE_SHARE, broker_losses, comes_back, share_of_a_core};
use connect_tests::folder::alone;
use connect_tests::scenario::{Scenario, Shape};
use connect_tests::worker::Setup;
use connect_tests::{delivery, kills, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// Away for longer than a client's patience: five failed connects block it for 30 s by itself.
#[test]
fn a_killed_broker_is_waited_for() -> Result<()> {
    alone(|folder| {
        broker_losses(Shape::ManyKey, 20_000, 2, Duration::from_secs(12), folder).map(drop)
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
            share <= IDLE_SHARE,
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
