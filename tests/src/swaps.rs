//! Changes of plugins in number: under full load, to broken versions, and with kills of the worker
//! between them. What arrives is compared as ever; how long each task stood still and what the worker
//! holds is reported.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::editions::{self, Editions};
use crate::lines::Chance;
use crate::relay::{FIRST, Line, Relay, at_least_once, boundaries, exactly_once, lines};
use crate::rest::Rest;

const PATIENCE: Duration = Duration::from_secs(90);
/// Nobody watches the files, so that each change is the run's own; a batch is enough to be trusted.
const OURS: &str = "[reload]\nwatch = false\nconfirm-batches = 1\n";
/// How the two versions that take turns are called.
const TURNS: [&str; 2] = ["10.01.00", "10.02.00"];
/// A source that does not fill the disk in a long run in which its speed is of no interest.
const UNHURRIED: [(&str, &str); 1] = [("pause", "5")];
/// The part of a run without changes that a run with them has to reach.
pub const LEAST: f64 = 0.8;
/// How much more may be resident in the last tenth of the changes than in the second.
pub const GROWTH: f64 = 1.1;

/// How long tasks stood still, in milliseconds, sorted.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    /// From the last confirmation to the durable commit.
    committed: Vec<f64>,
    /// To the new version's being open.
    opened: Vec<f64>,
    /// To the first record of the new version.
    first_record: Vec<f64>,
    /// The same without the time in which there was no record to be had.
    at_work: Vec<f64>,
}

/// What was seen of many changes under load.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Changes that were made.
    pub swaps: u64,
    /// Records a second without and with them.
    pub rates: (f64, f64),
    /// Of the source's task and of the sink's.
    pub pauses: [Pauses; 2],
    /// Median resident bytes by tenth of the changes.
    pub resident: Vec<u64>,
    /// Open files after the first tenth and at the end.
    pub files: (usize, usize),
    /// Records in all, each once.
    pub records: u64,
}

impl Pauses {
    fn add(&mut self, record: &Value) {
        let of = |key: &str| record.pointer(&format!("/pauses/0/{key}"))?.as_f64();
        self.committed.extend(of("committedMs"));
        self.opened.extend(of("openedMs"));
        self.first_record.extend(of("firstRecordMs"));
        let at_work = of("firstRecordMs").zip(of("waitedMs"));
        self.at_work
            .extend(at_work.map(|(whole, waited)| whole - waited));
    }

    /// The percentile of the whole pause.
    pub fn percentile(&self, part: f64) -> f64 {
        percentile(&self.first_record, part)
    }

    /// The percentile without the time in which there was no record to be had.
    pub fn at_work(&self, part: f64) -> f64 {
        percentile(&self.at_work, part)
    }

    /// The percentile of the time until the last offsets were durable.
    pub fn commit(&self, part: f64) -> f64 {
        percentile(&self.committed, part)
    }

    fn sort(&mut self) {
        self.committed.sort_by(f64::total_cmp);
        self.opened.sort_by(f64::total_cmp);
        self.first_record.sort_by(f64::total_cmp);
        self.at_work.sort_by(f64::total_cmp);
    }
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, commit) = (&self.first_record, &self.committed);
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms of {} (without waits for a record p50 {:.2} ms, p99 {:.2} ms; commit alone p50 {:.2} ms, p99 {:.2} ms; until open p50 {:.2} ms, p99 {:.2} ms)",
            percentile(all, 0.5),
            percentile(all, 0.99),
            percentile(all, 1.0),
            all.len(),
            percentile(&self.at_work, 0.5),
            percentile(&self.at_work, 0.99),
            percentile(commit, 0.5),
            percentile(commit, 0.99),
            percentile(&self.opened, 0.5),
            percentile(&self.opened, 0.99),
        )
    }
}

impl Figures {
    /// Resident in the last tenth against the second.
    pub fn growth(&self) -> f64 {
        let of = |number: usize| self.resident.get(number).copied().unwrap_or_default();
        of(9) as f64 / of(1).max(1) as f64
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [source, sink] = &self.pauses;
        let mebi = |bytes: &u64| format!("{:.1}", *bytes as f64 / 1024.0 / 1024.0);
        let resident: Vec<String> = self.resident.iter().map(mebi).collect();
        writeln!(
            f,
            "{} changes, {} records, each once, in order, of one version; {:.0} records a second with them, {:.0} without ({:.2})",
            self.swaps,
            self.records,
            self.rates.1,
            self.rates.0,
            self.rates.1 / self.rates.0
        )?;
        writeln!(f, "source: {source}")?;
        writeln!(f, "sink: {sink}")?;
        write!(
            f,
            "resident by tenth {} MiB (last to second {:.3}); open files {} after a tenth, {} at the end",
            resident.join(" "),
            self.growth(),
            self.files.0,
            self.files.1
        )
    }
}

/// Puts one of the two versions that take turns in its place, and waits until the connector runs it.
fn turn(relay: &Relay, rest: &Rest, connector: &str, number: u64) -> Result<Value> {
    let version = version(number);
    let before = Editions::of(rest, connector)?.history().last().cloned();
    let guest = format!("edition-{connector}");
    editions::install_as(&relay.plugins, &guest, &guest, version)?;
    rest.post("/v1/plugins/reload", "")?.body()?;
    let after = Editions::until(rest, connector, PATIENCE, |editions| {
        editions.version() == version
            && editions.change().is_empty()
            && editions.history().last() != before.as_ref()
    })?;
    let last = after.history().last().context("no history")?;
    ensure!(
        last.pointer("/outcome") == Some(&"swapped".into()),
        "{last}"
    );
    Ok(last.clone())
}

fn version(number: u64) -> &'static str {
    if number.is_multiple_of(2) {
        TURNS[0]
    } else {
        TURNS[1]
    }
}

/// Source and sink take turns.
fn connector(number: u64) -> &'static str {
    if number.is_multiple_of(2) {
        "source"
    } else {
        "sink"
    }
}

/// A relay whose plugins are files that are written over.
fn stage(folder: &Path, cluster: &Cluster, extra: &str) -> Result<Relay> {
    let relay = Relay::new(folder, cluster, extra)?;
    for guest in ["edition-source", "edition-sink"] {
        let first = relay.plugins.join(format!("{guest}-{FIRST}.wasm"));
        std::fs::rename(first, relay.plugins.join(format!("{guest}.wasm")))?;
    }
    Ok(relay)
}

/// Bytes of the sink's file; no line is long or short, so they stand for records.
fn written(relay: &Relay) -> u64 {
    std::fs::metadata(relay.out()).map_or(0, |file| file.len())
}

/// Makes `swaps` changes of the source's and the sink's plugin in turn while the source gives what it
/// can, or with a pause of `pause` milliseconds after each hundred records.
///
/// # Errors
/// A record is missing, comes twice or out of order, a version takes over without a clean boundary, or
/// a change is not made.
pub fn under_load(swaps: u64, pause: u64, folder: &Path) -> Result<Figures> {
    let cluster = Cluster::started(folder)?;
    let relay = stage(folder, &cluster, OURS)?;
    let mut worker = relay.setup.start()?;
    let rest = worker.rest()?.clone();
    relay.create_with(&rest, 1, &[("pause", &pause.to_string())])?;
    relay.moves(&mut worker, 5_000)?;
    // both versions are compiled before anything is measured
    for number in 0..4 {
        turn(&relay, &rest, connector(number), number / 2 + 1)?;
    }
    let without = rate(&relay, || {
        std::thread::park_timeout(Duration::from_secs(swaps.clamp(5, 20)));
        Ok(())
    })?;
    let (mut of_source, mut of_sink) = (Pauses::default(), Pauses::default());
    let (mut resident, mut files) = (Vec::new(), (0, 0));
    let with = rate(&relay, || {
        for number in 0..swaps {
            let record = turn(&relay, &rest, connector(number), number / 2 + 1)?;
            if number.is_multiple_of(2) {
                of_source.add(&record);
            } else {
                of_sink.add(&record);
            }
            worker.process().check()?;
            resident.push(worker.usage()?.resident);
            if number == swaps / 10 {
                files.0 = worker.process().open_files()?;
            }
        }
        files.1 = worker.process().open_files()?;
        Ok(())
    })?;
    let sent = relay.drain(&worker, 1)?;
    let lines = lines(&relay.out())?;
    exactly_once(&lines, &sent)?;
    // the first version, four turns of warming up, then the run's own
    let each = usize::try_from(swaps.div_ceil(2))? + 3;
    clean(&lines, |line| &line.source, each)?;
    clean(&lines, |line| &line.sink, usize::try_from(swaps / 2)? + 3)?;
    of_source.sort();
    of_sink.sort();
    Ok(Figures {
        swaps,
        rates: (without, with),
        pauses: [of_source, of_sink],
        resident: tenths(&resident),
        files,
        records: lines.len() as u64,
    })
}

/// Versions take turns, each boundary is one.
fn clean<'a>(
    lines: &'a [Line],
    version: impl Fn(&'a Line) -> &'a str,
    versions: usize,
) -> Result<()> {
    let seen = boundaries(lines, version).len();
    ensure!(
        seen <= versions,
        "{seen} versions took over where {versions} were installed"
    );
    // a version that had no record between two changes is not seen
    ensure!(
        seen * 2 >= versions,
        "only {seen} of {versions} versions wrote"
    );
    Ok(())
}

/// Records a second while `work` goes on.
fn rate(relay: &Relay, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    const RECORD: f64 = 30.0;
    let (begun, before) = (Instant::now(), written(relay));
    work()?;
    let bytes = written(relay) - before;
    Ok(bytes as f64 / RECORD / begun.elapsed().as_secs_f64())
}

fn tenths(samples: &[u64]) -> Vec<u64> {
    let part = samples.len().div_ceil(10).max(1);
    samples
        .chunks(part)
        .map(|samples| {
            let mut samples = samples.to_vec();
            samples.sort_unstable();
            samples.get(samples.len() / 2).copied().unwrap_or_default()
        })
        .collect()
}

/// Ways of failing that leave the positions readable for the version before.
const FAULTS: [(&str, &str); 12] = [
    ("source", "10"),
    ("sink", "10"),
    ("source", "11"),
    ("sink", "11"),
    ("source", "13"),
    ("sink", "13"),
    ("source", "14"),
    ("sink", "14"),
    ("sink", "15"),
    ("sink", "16"),
    ("source", "12"),
    ("sink", "12"),
];
/// One that writes positions of another format before it fails.
const POSITIONS: [(&str, &str); 1] = [("source", "22")];

/// Offers `count` broken versions in turn; the connectors go back from each. Gives how many records
/// came again after those that write other positions, which are one in thirteen.
///
/// # Errors
/// A record is missing or out of order, one came again after a version that writes the same positions,
/// none after the others, or a connector does not go back.
pub fn broken(count: u64, folder: &Path) -> Result<u64> {
    let others = count.div_ceil(13);
    let again = offer(count - others, &FAULTS, &folder.join("same"))?;
    ensure!(
        again == 0,
        "{again} records came again although every version reads the others' positions"
    );
    let again = offer(others, &POSITIONS, &folder.join("other"))?;
    ensure!(
        again > 0,
        "no record came again: no version got as far as to write other positions"
    );
    Ok(again)
}

/// Offers `count` versions with these faults in turn. Gives how many records came again.
fn offer(count: u64, faults: &[(&str, &str)], folder: &Path) -> Result<u64> {
    let cluster = Cluster::started(folder)?;
    let extra = "[reload]\nwatch = false\nconfirm-batches = 30\n";
    let relay = Relay::new(folder, &cluster, extra)?;
    let mut worker = relay.setup.start()?;
    let rest = worker.rest()?.clone();
    relay.create_with(&rest, 1, &UNHURRIED)?;
    relay.moves(&mut worker, 500)?;
    for (number, (connector, fault)) in (0..count).zip(faults.iter().cycle()) {
        // a version of its own each time: one that failed is not tried again
        let version = format!("{}.{:02}.{fault}", 20 + number / 100, number % 100);
        let guest = format!("edition-{connector}");
        editions::install(&relay.plugins, &guest, &version)?;
        rest.post("/v1/plugins/reload", "")?.body()?;
        let back = Editions::until(&rest, connector, PATIENCE, |editions| {
            editions.change() == "quarantined"
                && editions.0.pointer("/change/plugins/0/version") == Some(&version.as_str().into())
        })
        .with_context(|| format!("{connector} {version}"))?;
        ensure!(back.version() == FIRST, "{connector} {fault}: {}", back.0);
        let reason = back.0.pointer("/change/reason").and_then(Value::as_str);
        ensure!(
            reason.is_some_and(|reason| !reason.is_empty()),
            "{}",
            back.0
        );
        relay.moves(&mut worker, 100)?;
        std::fs::remove_file(relay.plugins.join(format!("{guest}-{version}.wasm")))?;
    }
    let sent = relay.drain(&worker, 1)?;
    at_least_once(&lines(&relay.out())?, &sent)
}

/// Kills the worker `count` times while its plugins change. Gives how many records came again.
///
/// # Errors
/// A record is missing or out of order.
pub fn killed(count: u64, seed: u64, folder: &Path) -> Result<u64> {
    let cluster = Cluster::started(folder)?;
    let relay = stage(folder, &cluster, OURS)?;
    let mut chance = Chance::new(seed);
    let mut worker = relay.setup.start()?;
    relay.create_with(worker.rest()?, 1, &UNHURRIED)?;
    relay.moves(&mut worker, 500)?;
    for number in 0..count {
        let rest = worker.rest()?.clone();
        for connector in ["source", "sink"] {
            let guest = format!("edition-{connector}");
            editions::install_as(&relay.plugins, &guest, &guest, version(number + 1))?;
        }
        // the answer comes while the tasks go over, so the kill is in the middle of it
        rest.post("/v1/plugins/reload", "")?.body()?;
        std::thread::park_timeout(Duration::from_micros(chance.below(40_000)));
        worker.kill()?;
        worker = relay.setup.start()?;
        relay.moves(&mut worker, 100)?;
    }
    let sent = relay.drain(&worker, 1)?;
    at_least_once(&lines(&relay.out())?, &sent)
}
