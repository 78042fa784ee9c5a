//! Kills of the worker while records flow: at fail points that lie between two steps of a promise,
//! and at moments that chance chooses.

mod outcome;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, json};

use crate::cluster::Cluster;
use crate::delivery::{self, Snapshot};
use crate::lines::Chance;
use crate::scenario::{Scenario, Shape};
use crate::wait;
use crate::worker::{FAIL_POINTS, FailPoint, Setup, Worker};

pub use outcome::Outcome;

/// Nothing moving for this long means that nothing will.
const PATIENCE: Duration = Duration::from_secs(60);
/// A worker that has not written for this long has caught up.
const QUIET: Duration = Duration::from_secs(3);
/// A store that has not changed for this long waits for the broker.
const AT_REST: Duration = Duration::from_millis(500);

/// A run to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How the lines travel.
    pub shape: Shape,
    /// Lines in all.
    pub lines: u64,
    /// How many times the worker is killed.
    pub kills: u64,
    /// Same seed, same lines and same moments.
    pub seed: u64,
    /// Whether the binary has fail points (builds with debug assertions do).
    pub fail_points: bool,
}

/// Runs a plan to its end in `directory` and checks everything that arrived.
///
/// # Errors
/// A promise was broken, the run tested nothing, or something could not be started.
pub fn run(plan: &Plan, directory: &Path) -> Result<Outcome> {
    let mut cluster = Cluster::started(directory)?;
    let setup = Setup::new(&directory.join("worker"), &cluster.namesrv())?;
    let mut scenario = Scenario::new(setup, plan.shape, plan.seed)?;
    if plan.kills > 0 {
        often(&mut scenario);
    }
    let mut chance = Chance::new(plan.seed);
    let mut lives = Vec::new();
    let mut outcome = Outcome::default();
    let portion = plan.lines / (plan.kills + 1);

    for kill in 0..plan.kills {
        lives.push(snapshot(&scenario, kill)?);
        scenario.feed(portion)?;
        let death = Death::of(kill, plan, &mut chance);
        let worker = scenario.setup.start_with(death.fail_point())?;
        if kill == 0 {
            scenario.create_connectors(worker.rest()?)?;
        }
        let died = match death {
            Death::AtPoint(point) => at_point(worker, point, &mut outcome),
            Death::AtRandom => {
                outcome.at_random += 1;
                at_random(worker, &scenario, &mut chance)
            }
            Death::WithBroker => {
                outcome.with_broker += 1;
                with_broker(worker, &scenario, &mut cluster, &mut chance)
            }
        };
        died.with_context(|| format!("kill {kill}, {death:?}"))?;
    }

    lives.push(snapshot(&scenario, plan.kills)?);
    scenario.feed(plan.lines - portion * plan.kills)?;
    scenario.finish()?;
    let mut worker = scenario.setup.start()?;
    if plan.kills == 0 {
        scenario.create_connectors(worker.rest()?)?;
    }
    scenario
        .watch()
        .wait(PATIENCE, || worker.process().check())
        .with_context(|| states(&worker))?;
    worker.terminate(Duration::from_secs(30))?;
    cluster.stop()?;

    outcome.report = delivery::verify(&scenario, &lives, &scenario.setup.durable()?)?;
    outcome.judge(plan)?;
    Ok(outcome)
}

/// How one life of the worker ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    AtPoint(FailPoint),
    AtRandom,
    WithBroker,
}

impl Death {
    /// Every second one at a fail point. The first life creates the connectors, which a fail point
    /// would hit half-way, so it ends at random.
    fn of(kill: u64, plan: &Plan, chance: &mut Chance) -> Self {
        let turn = usize::try_from(kill / 2).unwrap_or_default();
        match FAIL_POINTS.get(turn % FAIL_POINTS.len()) {
            Some(point) if kill % 2 == 1 && plan.fail_points => Self::AtPoint(FailPoint {
                point,
                pass: 1 + chance.below(3),
            }),
            _ if kill % 4 == 2 => Self::WithBroker,
            _ => Self::AtRandom,
        }
    }

    fn fail_point(self) -> Option<FailPoint> {
        match self {
            Self::AtPoint(point) => Some(point),
            Self::AtRandom | Self::WithBroker => None,
        }
    }
}

/// Small batches and frequent commits: more steps to die between.
fn often(scenario: &mut Scenario) {
    scenario.source = Map::from_iter([("batch.records".to_owned(), json!("50"))]);
    scenario.sink = Map::from_iter([
        ("batch.records".to_owned(), json!("50")),
        ("flush.records".to_owned(), json!("200")),
        ("flush.interval.ms".to_owned(), json!("50")),
        // The page cache outlives the process; the disk would only slow the steps down.
        ("fsync".to_owned(), json!("never")),
    ]);
}

/// The first life begins with nothing.
fn snapshot(scenario: &Scenario, life: u64) -> Result<Snapshot> {
    if life == 0 {
        Ok(Snapshot::default())
    } else {
        Snapshot::take(scenario)
    }
}

/// Waits for the worker to die at its fail point; one that never comes there is killed.
fn at_point(mut worker: Worker, fail: FailPoint, outcome: &mut Outcome) -> Result<()> {
    match worker.process().wait(Duration::from_secs(20)) {
        Ok(status) => {
            use std::os::unix::process::ExitStatusExt;
            ensure!(
                status.signal() == Some(9),
                "the worker ended by itself ({status})\n{}",
                worker.process().tail()
            );
            *outcome.at_points.entry(fail.point).or_default() += 1;
        }
        Err(_) => {
            worker.kill()?;
            outcome.at_random += 1;
        }
    }
    Ok(())
}

/// Kills the worker once some of what it has to do has arrived, or nothing more does.
fn at_random(mut worker: Worker, scenario: &Scenario, chance: &mut Chance) -> Result<()> {
    some_arrives(&mut worker, scenario, chance)?;
    worker.kill()
}

/// Freezes the broker in the middle of the work, lets the worker store whatever it thinks it may,
/// then kills both: what was sent and never confirmed is gone for good, so no stored position may
/// stand behind it.
fn with_broker(
    mut worker: Worker,
    scenario: &Scenario,
    cluster: &mut Cluster,
    chance: &mut Chance,
) -> Result<()> {
    some_arrives(&mut worker, scenario, chance)?;
    cluster.freeze()?;
    let mut last = (scenario.setup.durable()?, Instant::now());
    wait::until_true("the store is at rest", PATIENCE, || {
        worker.process().check()?;
        let durable = scenario.setup.durable()?;
        if durable != last.0 {
            last = (durable, Instant::now());
        }
        Ok(last.1.elapsed() > AT_REST)
    })?;
    worker.kill()?;
    cluster.kill()?;
    cluster.start()
}

fn some_arrives(worker: &mut Worker, scenario: &Scenario, chance: &mut Chance) -> Result<()> {
    let (_, bytes) = scenario.sent();
    let before = scenario.arrived_bytes();
    let goal = before + chance.below(bytes.saturating_sub(before).max(1));
    let mut last = (before, Instant::now());
    wait::until_true("some of it has arrived", PATIENCE, || {
        worker.process().check()?;
        let arrived = scenario.arrived_bytes();
        if arrived != last.0 {
            last = (arrived, Instant::now());
        }
        // Lines that came twice, or are not whole yet, may put the goal out of reach.
        Ok(arrived >= goal || last.1.elapsed() > QUIET)
    })
}

/// What the connectors say of themselves, to go with an error.
pub fn states(worker: &Worker) -> String {
    let Ok(rest) = worker.rest() else {
        return "the worker has no REST interface".to_owned();
    };
    let mut text = String::new();
    for name in ["source", "sink", "audit"] {
        if let Ok(tasks) = rest.tasks(name) {
            text.push_str(&format!("{name}: {tasks:?}\n"));
        }
    }
    text
}
