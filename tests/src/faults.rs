//! Faults that are not kills of the worker: it is asked to stop, or its broker goes away.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::delivery::{self, Report, Snapshot};
use crate::kills;
use crate::lines::Chance;
use crate::scenario::{Scenario, Shape};
use crate::wait;
use crate::worker::{Setup, Worker};

const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a worker is down after SIGTERM, beyond the plugins' own flush.
pub const DOWN_WITHIN: Duration = Duration::from_secs(2);
/// How soon running tasks go on once a broker is back.
pub const BACK_WITHIN: Duration = Duration::from_secs(3);
/// Share of one core that a worker may use while its broker is away, as `torture` holds it to.
pub const IDLE_SHARE: f64 = 0.02;
/// What shows a worker that does not wait but asks without end. The suites look for no more: on a slow
/// machine a build without optimisations is not far from the target.
pub const BUSY_SHARE: f64 = 0.1;

/// How stops in good order went.
#[derive(Clone, Debug)]
pub struct Stops {
    /// What was lost, repeated, reordered: nothing.
    pub report: Report,
    /// The longest time from SIGTERM to the end of the process.
    pub longest: Duration,
}

/// Stops the worker `stops` times in the middle of its work and starts it again.
///
/// # Errors
/// It took too long, something was lost or came twice.
pub fn stops(shape: Shape, lines: u64, stops: u64, directory: &Path) -> Result<Stops> {
    let mut cluster = Cluster::started(directory)?;
    let setup = Setup::new(&directory.join("worker"), &cluster.namesrv())?;
    let mut scenario = Scenario::new(setup, shape, 11)?;
    let mut chance = Chance::new(11);
    let mut lives = vec![Snapshot::default()];
    let mut longest = Duration::ZERO;
    let portion = lines / (stops + 1);
    for stop in 0..stops {
        scenario.feed(portion)?;
        let mut worker = scenario.setup.start()?;
        if stop == 0 {
            scenario.create_connectors(worker.rest()?)?;
        }
        some_arrives(&mut worker, &scenario, &mut chance)?;
        let tail = format!("stop {stop}");
        let (took, status) = worker.terminate(Duration::from_secs(40)).context(tail)?;
        ensure!(
            status.success(),
            "stop {stop}: the worker ended with {status}"
        );
        ensure!(
            took <= DOWN_WITHIN,
            "stop {stop}: the worker took {} ms",
            took.as_millis()
        );
        longest = longest.max(took);
        lives.push(Snapshot::take(&scenario)?);
    }
    scenario.feed(lines - portion * stops)?;
    scenario.finish()?;
    let mut worker = scenario.setup.start()?;
    scenario
        .watch()
        .wait(PATIENCE, || worker.process().check())
        .with_context(|| kills::states(&worker))?;
    worker.terminate(Duration::from_secs(40))?;
    cluster.stop()?;

    let report = delivery::verify(&scenario, &lives, &scenario.setup.durable()?)?;
    let again = report.sent_again + report.written_again;
    ensure!(
        again == 0,
        "{again} lines came twice although every stop was in good order"
    );
    Ok(Stops { report, longest })
}

/// How losses of the broker went.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// Lines that came twice: sends whose answer was lost.
    pub again: u64,
    /// The longest time from the broker's being ready to the next line's arrival.
    pub longest: Duration,
    /// The largest share of a core that the worker used while the broker was away.
    pub share: f64,
}

/// Kills the broker `losses` times under a running worker, each time for `away`.
///
/// # Errors
/// Something was lost, tasks went on too late, or waiting cost more than `most` of a core.
pub fn broker_losses(
    shape: Shape,
    lines: u64,
    losses: u64,
    away: Duration,
    most: f64,
    directory: &Path,
) -> Result<Losses> {
    let mut cluster = Cluster::started(directory)?;
    let setup = Setup::new(&directory.join("worker"), &cluster.namesrv())?;
    let mut scenario = Scenario::new(setup, shape, 12)?;
    let mut chance = Chance::new(12);
    let mut worker = scenario.setup.start()?;
    scenario.create_connectors(worker.rest()?)?;
    let mut seen = Losses {
        again: 0,
        longest: Duration::ZERO,
        share: 0.0,
    };
    let portion = lines / (2 * losses + 1);
    for loss in 0..losses {
        scenario.feed(portion)?;
        some_arrives(&mut worker, &scenario, &mut chance)
            .with_context(|| format!("loss {loss}"))?;
        cluster.kill()?;
        scenario.feed(portion)?;
        let share = share_of_a_core(&worker, away)?;
        ensure!(
            share <= most,
            "loss {loss}: waiting cost {:.1} % of a core",
            share * 100.0
        );
        let took = comes_back(&mut cluster, &mut worker, &scenario)?;
        ensure!(
            took <= BACK_WITHIN,
            "loss {loss}: went on after {} ms",
            took.as_millis()
        );
        seen.longest = seen.longest.max(took);
        seen.share = seen.share.max(share);
    }
    scenario.feed(lines - 2 * losses * portion)?;
    scenario.finish()?;
    scenario
        .watch()
        .wait(PATIENCE, || worker.process().check())
        .with_context(|| kills::states(&worker))?;
    worker.terminate(Duration::from_secs(40))?;
    cluster.stop()?;
    seen.again = delivery::verify_content(&scenario)?;
    Ok(seen)
}

/// Starts the broker and gives the time from its being ready to the next line that arrives.
///
/// # Errors
/// Nothing arrives.
pub fn comes_back(
    cluster: &mut Cluster,
    worker: &mut Worker,
    scenario: &Scenario,
) -> Result<Duration> {
    let before = scenario.arrived_bytes();
    cluster.start()?;
    let arrived = wait::until("a line arrives again", PATIENCE, || {
        worker.process().check()?;
        Ok((scenario.arrived_bytes() != before).then(Instant::now))
    });
    let arrived = arrived.with_context(|| kills::states(worker))?;
    Ok(arrived.saturating_duration_since(cluster.ready_at()))
}

/// What share of one core the worker uses over `length`.
///
/// # Errors
/// The worker ends.
pub fn share_of_a_core(worker: &Worker, length: Duration) -> Result<f64> {
    // What was under way when the broker went is not yet waiting.
    wait::throughout(Duration::from_secs(1), || Ok(()))?;
    let before = worker.usage()?.cpu;
    let begun = Instant::now();
    wait::throughout(length, || Ok(()))?;
    let used = worker.usage()?.cpu.saturating_sub(before);
    Ok(used.as_secs_f64() / begun.elapsed().as_secs_f64())
}

/// Waits until a random part of what has been fed has arrived, so that the rest is under way.
fn some_arrives(worker: &mut Worker, scenario: &Scenario, chance: &mut Chance) -> Result<()> {
    let (_, bytes) = scenario.sent();
    let before = scenario.arrived_bytes();
    let goal = before + 1 + chance.below((bytes.saturating_sub(before) / 2).max(1));
    wait::until_true("some of it has arrived", PATIENCE, || {
        worker.process().check()?;
        Ok(scenario.arrived_bytes() >= goal)
    })
    .with_context(|| kills::states(worker))
}
