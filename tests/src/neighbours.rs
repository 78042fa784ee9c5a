//! What neighbours of a hostile guest suffer: four pairs of connectors, driven at half of what they
//! can, alone and beside it in turns. The order within each pair of turns is swapped every time, and
//! pairs of two turns alone show what the machine does by itself.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::process::Process;
use crate::rest::Rest;
use crate::wait;
use crate::worker::{Setup, Worker};

mod figures;

pub use figures::{Change, Interval, Turn};

/// Pairs of connectors that behave well.
const PAIRS: usize = 4;
/// Least size of a value.
const BYTES: u64 = 256;
/// Between the start or end of a hostile guest and the turn that is measured.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Milliseconds between two polls of a neighbour's source: with one poll a millisecond half of the
/// records cost nearly all of the processors, and half a load is none.
const PACE: &str = "5";
const PATIENCE: Duration = Duration::from_secs(60);
/// Points that a median may be worse than what the machine does by itself.
pub const MARGIN: f64 = 2.0;
/// Hostile guests are started again at once, or most of the time none would be there; one that never
/// returns is not waited for, so that the turns alone are soon.
const RESTART: &str = "[delivery]\ndrain-ms = 1000\n[restart]\nfirst-ms = 20\nlongest-ms = 200\nattempts = 1000000000\n";

/// What a neighbour can be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// Computes without end.
    Spin,
    /// Takes memory until there is no more.
    Memory,
    /// Logs without end.
    Log,
    /// Traps in each first poll.
    Trap,
    /// Has nothing, and always at once.
    Empty,
    /// No guest, but a process beside the worker that computes while nobody else wants a core: what the
    /// machine does to the neighbours when its cores are not idle, and no guest that uses idle time
    /// can be without.
    Outside,
}

impl Hostile {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Spin,
        Self::Memory,
        Self::Log,
        Self::Trap,
        Self::Empty,
        Self::Outside,
    ];

    /// Its name: that of the plugin, or `outside`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Memory => "memory-bomb",
            Self::Log => "log-flood",
            Self::Trap => "trap-source",
            Self::Empty => "idle-source",
            Self::Outside => "outside",
        }
    }

    /// Its plugin, if it is a guest.
    fn plugin(self) -> Option<&'static str> {
        (self != Self::Outside).then(|| self.name())
    }

    fn config(self) -> Value {
        json!({"connector.class": self.name(), "connect.topicname": "hostile"})
    }
}

/// How long it is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which guests, one after the other.
    pub hostile: Vec<Hostile>,
    /// Pairs of turns with each, and of turns alone.
    pub pairs: usize,
    /// Length of a turn.
    pub turn: Duration,
    /// Records a second of all neighbours together; half of the measured maximum without it.
    pub rate: Option<u64>,
    /// Further configuration of the worker.
    pub extra: String,
}

/// What came out of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Records a second at which the neighbours were driven.
    pub rate: u64,
    /// What the machine does by itself.
    pub noise: Change,
    /// What each guest does.
    pub changes: Vec<(Hostile, Change)>,
}

impl Outcome {
    /// Whether nobody suffered more than the machine's own changes and the margin.
    pub fn holds(&self) -> bool {
        let guests = self.changes.iter();
        let mut guests = guests.filter(|(hostile, _)| hostile.plugin().is_some());
        guests.all(|(_, change)| change.within(&self.noise, MARGIN))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} records a second in all", self.rate)?;
        writeln!(f, "alone, alone: {}", self.noise)?;
        for (hostile, change) in &self.changes {
            let holds = change.within(&self.noise, MARGIN);
            let verdict = if holds { "holds" } else { "DOES NOT HOLD" };
            writeln!(f, "{}: {change}; {verdict}", hostile.name())?;
        }
        Ok(())
    }
}

/// Measures. What is found is in the outcome; the caller decides whether it is good enough.
///
/// # Errors
/// Something does not start, or a neighbour lost a record.
pub fn run(plan: &Plan, directory: &Path) -> Result<Outcome> {
    let rate = match plan.rate {
        Some(rate) => rate,
        None => built(plan, directory, |street| street.most(plan.turn))? / 2,
    };
    let compare = |hostile| {
        built(plan, directory, |street| {
            street.settle_in("n", rate / PAIRS as u64)?;
            street.compare(plan, hostile)
        })
    };
    let noise = compare(None)?;
    let mut changes = Vec::new();
    for hostile in &plan.hostile {
        changes.push((*hostile, compare(Some(*hostile))?));
    }
    Ok(Outcome {
        rate,
        noise,
        changes,
    })
}

/// Lets something happen in a street that is built for it, with a broker whose disk is empty: one that
/// has been at work for minutes has the machine's memory full of what it wrote, and is slower.
fn built<T>(
    plan: &Plan,
    directory: &Path,
    happens: impl FnOnce(&Street<'_>) -> Result<T>,
) -> Result<T> {
    let directory = directory.join("street");
    std::fs::create_dir_all(&directory).context("cannot make the street's folder")?;
    let mut cluster = Cluster::started(&directory)?;
    let guests = plan.hostile.iter().filter_map(|hostile| hostile.plugin());
    let guests: Vec<&str> = guests.chain(["seq-source", "latency-sink"]).collect();
    let mut setup = Setup::new(&directory.join("worker"), &cluster.namesrv())?;
    setup = setup.with_guests(&guests)?;
    setup.extra = format!("{RESTART}{}", plan.extra);
    let worker = setup.start()?;
    let street = Street {
        setup: &setup,
        worker: &worker,
    };
    let seen = happens(&street)?;
    worker.terminate(PATIENCE)?;
    cluster.stop()?;
    std::fs::remove_dir_all(&directory).context("cannot remove the street's folder")?;
    Ok(seen)
}

/// The neighbours and where they live.
struct Street<'a> {
    setup: &'a Setup,
    worker: &'a Worker,
}

impl Street<'_> {
    fn rest(&self) -> Result<&Rest> {
        self.worker.rest()
    }

    /// Starts the neighbours at `rate` records a second each, 0 for as many as they can, and waits
    /// until all of them have something to show.
    fn settle_in(&self, name: &str, rate: u64) -> Result<()> {
        for number in 0..PAIRS {
            let topic = format!("{name}-{number}");
            let source = json!({"connector.class": "seq-source", "bytes": BYTES.to_string(),
                                "rate": rate.to_string(), "pace": PACE, "stamp": "true",
                                "key": "partition",
                                "connect.topicname": topic});
            self.rest()?.create(&format!("{topic}-source"), &source)?;
            let sink = json!({"connector.class": "latency-sink", "out": format!("{topic}.bin"),
                              "flush.interval.ms": "100", "connect.topicnames": topic});
            self.rest()?.create(&format!("{topic}-sink"), &sink)?;
        }
        wait::until_true("the neighbours are at work", PATIENCE, || {
            Ok(self.lengths(name).iter().all(|length| *length > 0))
        })
    }

    fn file(&self, name: &str, number: usize) -> std::path::PathBuf {
        self.setup.file(&format!("{name}-{number}.bin"))
    }

    fn lengths(&self, name: &str) -> Vec<u64> {
        let length =
            |number| std::fs::metadata(self.file(name, number)).map_or(0, |file| file.len());
        (0..PAIRS).map(length).collect()
    }

    /// The most records a second that arrive at all neighbours together.
    fn most(&self, turn: Duration) -> Result<u64> {
        self.settle_in("most", 0)?;
        self.pass(SETTLE)?;
        let measured = self.turn("most", turn)?;
        Ok(measured.records_a_second() as u64)
    }

    /// Lets time pass in which the worker must not die.
    fn pass(&self, time: Duration) -> Result<()> {
        wait::throughout(time, || self.worker.usage().map(drop))
    }

    /// What arrives from now on for as long as a turn is.
    fn turn(&self, name: &str, length: Duration) -> Result<Turn> {
        let (before, begun) = (self.lengths(name), Instant::now());
        self.pass(length)?;
        let (after, took) = (self.lengths(name), begun.elapsed());
        let mut ages = Vec::new();
        for (number, (before, after)) in before.into_iter().zip(after).enumerate() {
            let path = self.file(name, number);
            let read = figures::read(&path, before, after);
            ages.extend(read.with_context(|| format!("cannot read {}", path.display()))?);
        }
        ensure!(
            !ages.contains(&figures::MISSING),
            "a neighbour lost records, which no guest may bring about"
        );
        ensure!(
            !ages.is_empty(),
            "nothing arrived for {} ms",
            took.as_millis()
        );
        Ok(Turn::new(ages, took))
    }

    fn beside(&self, hostile: Hostile, length: Duration) -> Result<Turn> {
        if hostile == Hostile::Outside {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
            let log = self.setup.file("outside.log");
            let _process = Process::start("chrt of util-linux", &mut command, &log)?;
            self.pass(SETTLE)?;
            return self.turn("n", length);
        }
        self.rest()?.create("hostile", &hostile.config())?;
        self.pass(SETTLE)?;
        let turn = self.turn("n", length);
        self.rest()?.delete("hostile")?;
        self.pass(SETTLE)?;
        turn
    }

    fn alone(&self, length: Duration) -> Result<Turn> {
        self.pass(SETTLE)?;
        self.turn("n", length)
    }

    fn other(&self, plan: &Plan, hostile: Option<Hostile>) -> Result<Turn> {
        match hostile {
            Some(hostile) => self.beside(hostile, plan.turn),
            None => self.alone(plan.turn),
        }
    }

    fn compare(&self, plan: &Plan, hostile: Option<Hostile>) -> Result<Change> {
        let mut pairs = Vec::new();
        for number in 0..plan.pairs {
            pairs.push(if number % 2 == 0 {
                let alone = self.alone(plan.turn)?;
                (alone, self.other(plan, hostile)?)
            } else {
                let other = self.other(plan, hostile)?;
                (self.alone(plan.turn)?, other)
            });
        }
        Ok(Change::of(&pairs))
    }
}
