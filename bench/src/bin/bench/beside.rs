//! Somebody else's worker beside ours: the same case in turn, a round at a time, and from nothing to the
//! first answer. Must not know who the other one is.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use connect_bench::{Goal, Series};
use connect_tests::process::Usage;
use connect_tests::wait;
use connect_tests::worker::Setup;

use crate::case::{Flow, Run, Subject};
use crate::room::Room;
use crate::stage::{Broker, Kind, PATIENCE};
use crate::turns;

const WORKER: &str = "worker";
pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// Somebody else's worker, ready to do one case as often as it is asked.
pub(crate) trait Peer {
    fn name(&self) -> &'static str;
    fn run(&mut self) -> Result<Run>;
    fn stop(self: Box<Self>) -> Result<()>;
}

/// What our worker is to be beside the other, per mille of its figures.
pub(crate) struct Goals {
    pub(crate) rate: u32,
    pub(crate) cpu: u32,
    pub(crate) memory: u32,
}

/// Rounds of one case. Without the other one, our worker's figures alone.
pub(crate) fn rounds(
    mut room: Room,
    name: &str,
    mut peer: Option<Box<dyn Peer>>,
    goals: &Goals,
    rounds: usize,
) -> Result<Vec<Series>> {
    let (mut ours, mut theirs, mut bare) = (Samples::default(), Samples::default(), Vec::new());
    let has_bare = room.flow() != Flow::Relay;
    for round in 0..rounds {
        for at in turns::order(3, round) {
            match at {
                0 => ours.add(&room.run(Subject::Worker)?),
                1 => {
                    if let Some(peer) = &mut peer {
                        turns::quiet()?;
                        theirs.add(&peer.run().with_context(|| peer.name())?);
                    }
                }
                _ if has_bare => bare.push(room.run(Subject::Bare)?.rate),
                _ => {}
            }
        }
    }
    let other = peer.as_ref().map(|peer| peer.name());
    if let Some(peer) = peer {
        peer.stop()?;
    }
    room.worker.terminate(PATIENCE)?;
    let series =
        |subject: &str, unit: &str, samples: &[f64], baseline: Option<(&str, Goal)>| Series {
            case: name.to_owned(),
            subject: subject.to_owned(),
            unit: unit.to_owned(),
            samples: samples.to_owned(),
            baseline: baseline.map(|(name, _)| name.to_owned()),
            goal: baseline.map(|(_, goal)| goal),
        };
    let mut all = Vec::new();
    for (unit, ours, theirs, goal) in [
        (
            "records/s",
            &ours.rates,
            &theirs.rates,
            Goal::AtLeast(goals.rate),
        ),
        (
            "CPU s per million",
            &ours.cpu,
            &theirs.cpu,
            Goal::AtMost(goals.cpu),
        ),
        (
            "MiB resident, loaded",
            &ours.memory,
            &theirs.memory,
            Goal::AtMost(goals.memory),
        ),
    ] {
        let rate = unit == "records/s";
        all.push(series(WORKER, unit, ours, other.map(|other| (other, goal))));
        if let Some(other) = other {
            all.push(series(other, unit, theirs, None));
        }
        if rate && has_bare {
            // where the other one is slower than that allows, this is the goal
            let least = Some(("bare client", Goal::AtLeast(900)));
            all.push(series(WORKER, unit, ours, least));
            all.push(series("bare client", unit, &bare, None));
        }
    }
    Ok(all)
}

/// One subject's figures, a round each.
#[derive(Default)]
struct Samples {
    rates: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

impl Samples {
    fn add(&mut self, run: &Run) {
        self.rates.push(run.rate);
        self.cpu.push(run.cpu);
        self.memory.push(run.resident as f64 / MIB);
    }
}

/// Another worker's start: how long until it answered, and what it held then.
pub(crate) struct Started {
    pub(crate) ready: Duration,
    pub(crate) idle: Usage,
}

/// From nothing to the first answer over REST, and memory before the first connector. `most` is what our
/// worker's time may be, per mille of the other's; `memory` what it may hold, in thousandths of a MiB.
pub(crate) fn starts(
    folder: &Path,
    rounds: usize,
    (other, most, memory): (&str, u32, Option<u32>),
    mut start: impl FnMut(&Path, &str) -> Result<Started>,
) -> Result<Vec<Series>> {
    let mut samples: [Vec<f64>; 4] = Default::default();
    let broker = Broker::start(Kind::Java, &folder.join("broker"))?;
    let setup = Setup::new(&folder.join("start"), &broker.namesrv())?;
    // the code cache is filled
    setup.start()?.terminate(PATIENCE)?;
    for _ in 0..rounds {
        let begun = Instant::now();
        let worker = setup.start()?;
        let ready = begun.elapsed();
        let resident = worker.usage()?.resident;
        worker.terminate(PATIENCE)?;
        let theirs = start(&folder.join("other"), &broker.namesrv())?;
        let [times, their_times, sizes, their_sizes] = &mut samples;
        times.push(ready.as_secs_f64());
        sizes.push(resident as f64 / MIB);
        their_times.push(theirs.ready.as_secs_f64());
        their_sizes.push(theirs.idle.resident as f64 / MIB);
    }
    let series = |subject: &str, unit: &str, samples: Vec<f64>, goal| Series {
        case: "start".to_owned(),
        subject: subject.to_owned(),
        unit: unit.to_owned(),
        samples,
        baseline: (subject == WORKER).then(|| other.to_owned()),
        goal,
    };
    let [times, their_times, sizes, their_sizes] = samples;
    let (time, size) = ("s", "MiB resident, idle");
    Ok(vec![
        series(WORKER, time, times, Some(Goal::AtMost(most))),
        series(other, time, their_times, None),
        series(WORKER, size, sizes, memory.map(Goal::Below)),
        series(other, size, their_sizes, None),
    ])
}

/// Bytes and seconds at the first bytes that were seen and when nine tenths were there: the last records
/// of all wait for a flush by time, whoever writes them. Waits for `whole` bytes, and refuses more.
pub(crate) fn arrives(
    what: &str,
    whole: u64,
    mut size: impl FnMut() -> Result<u64>,
) -> Result<((f64, f64), (f64, f64))> {
    let begun = Instant::now();
    let (mut first, mut most) = (None, None);
    wait::until_true(what, PATIENCE * 5, || {
        let size = size()?;
        let seen = (size as f64, begun.elapsed().as_secs_f64());
        if size > 0 {
            first.get_or_insert(seen);
        }
        if size >= whole / 10 * 9 {
            most.get_or_insert(seen);
        }
        ensure!(size <= whole, "{size} bytes where {whole} are right");
        Ok(size == whole)
    })?;
    first.zip(most).context("nothing was there before the end")
}
