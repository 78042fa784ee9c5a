//! Records that tell which versions they passed through: `edition-source` to a topic to `edition-sink`,
//! and the file that the latter writes, read back and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::cluster::Cluster;
use crate::editions::{self, Editions};
use crate::rest::Rest;
use crate::wait;
use crate::worker::{Setup, Worker};

/// The version that everything begins with.
pub const FIRST: &str = "10.00.00";
const PATIENCE: Duration = Duration::from_secs(90);
/// For all that an endless source has sent beyond what the sink has written; while it grows smaller.
const BACKLOG: Duration = Duration::from_secs(600);

/// Between two polls of the endless source: always busy, and never all that the machine has, or compiling
/// the next version takes longer than anything that is tried out here.
const PAUSE_MS: &str = "10";

/// A worker with a plugin directory of its own, and the two connectors in it.
#[derive(Debug)]
pub struct Relay {
    /// The worker.
    pub setup: Setup,
    /// The directory whose files are changed.
    pub plugins: PathBuf,
}

/// A line of the sink's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The version that wrote it.
    pub sink: String,
    /// The version that emitted it.
    pub source: String,
    /// Its partition.
    pub partition: String,
    /// Its number within the partition.
    pub number: u64,
}

impl Relay {
    /// Both plugins in their first version.
    ///
    /// # Errors
    /// The guests have not been built.
    pub fn new(folder: &Path, cluster: &Cluster, extra: &str) -> Result<Self> {
        let plugins = folder.join("plugins");
        std::fs::create_dir_all(&plugins)?;
        for guest in ["edition-source", "edition-sink"] {
            editions::install(&plugins, guest, FIRST)?;
        }
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let mut setup = setup.with_plugins(&plugins);
        setup.extra = format!("[delivery]\ntopic-queues = 4\ndrain-ms = 5000\n{extra}");
        Ok(Self { setup, plugins })
    }

    /// Creates the connectors: an endless source of `partitions`, a sink of `tasks`.
    ///
    /// # Errors
    /// They are refused.
    pub fn create(&self, rest: &Rest, partitions: usize) -> Result<()> {
        self.create_with(rest, partitions, &[])
    }

    /// As [`Self::create`], with further keys of the source.
    ///
    /// # Errors
    /// As for [`Self::create`].
    pub fn create_with(&self, rest: &Rest, partitions: usize, more: &[(&str, &str)]) -> Result<()> {
        let mut source = json!({"connector.class": "edition-source", "connect.topicname": "relay",
                                "partitions": partitions.to_string(), "pause": PAUSE_MS});
        if let Some(source) = source.as_object_mut() {
            let more = more.iter();
            source.extend(more.map(|(key, value)| ((*key).to_owned(), (*value).into())));
        }
        rest.create("source", &source)?;
        rest.create(
            "sink",
            &json!({"connector.class": "edition-sink", "out": "out.txt",
                    "flush.interval.ms": "100", "connect.topicnames": "relay"}),
        )
    }

    /// The sink's file.
    pub fn out(&self) -> PathBuf {
        self.setup.file("out.txt")
    }

    /// A cluster, a relay and a worker with both connectors, as soon as `records` have passed.
    ///
    /// # Errors
    /// Something does not start.
    pub fn at_work(
        folder: &Path,
        extra: &str,
        partitions: usize,
        more: &[(&str, &str)],
        records: u64,
    ) -> Result<(Cluster, Self, Worker, Rest)> {
        let cluster = Cluster::started(folder)?;
        let relay = Self::new(folder, &cluster, extra)?;
        let mut worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        relay.create_with(&rest, partitions, more)?;
        relay.moves(&mut worker, records)?;
        Ok((cluster, relay, worker, rest))
    }

    /// Waits until the sink has written `more` records beyond those that are there.
    ///
    /// # Errors
    /// It does not.
    pub fn moves(&self, worker: &mut Worker, more: u64) -> Result<()> {
        let size = || std::fs::metadata(self.out()).map_or(0, |file| file.len());
        // no record is shorter than this, and the first of them is the longest that is needed
        let goal = size() + more * "10.00.00\tp0-0 10.00.00\n".len() as u64;
        wait::until_true("records arrive", PATIENCE, || {
            worker.process().check()?;
            Ok(size() >= goal)
        })
    }

    /// Pauses the source and waits until everything it has sent is in the file; gives how many
    /// records of each partition that is.
    ///
    /// # Errors
    /// Something of it does not arrive.
    pub fn drain(&self, worker: &Worker, partitions: usize) -> Result<BTreeMap<String, u64>> {
        worker.rest()?.pause("source")?;
        worker.reaches("source", "PAUSED", PATIENCE)?;
        let durable = self.setup.durable()?;
        let mut sent = BTreeMap::new();
        for partition in 0..partitions {
            let partition = format!("p{partition}");
            let position = durable.position("source", &partition);
            let position = position.with_context(|| format!("no position of {partition}"))?;
            sent.insert(partition, position.parse()?);
        }
        // The file is long after a long run, and the sink may be far behind an endless source: the
        // file is read once nothing comes any more, and the wait ends only when it stays at that.
        let size = || std::fs::metadata(self.out()).map_or(0, |file| file.len());
        let (mut last, mut since, mut looked) = (size(), Instant::now(), Instant::now());
        wait::until_true("all that was sent is written", BACKLOG, || {
            if size() != last {
                (last, since, looked) = (size(), Instant::now(), Instant::now());
            }
            ensure!(
                since.elapsed() < PATIENCE,
                "nothing came for {PATIENCE:?} although something is missing"
            );
            if looked.elapsed() < Duration::from_millis(300) {
                return Ok(false);
            }
            looked = Instant::now();
            let mut seen: BTreeMap<String, u64> = BTreeMap::new();
            for line in lines(&self.out())? {
                let next = seen.entry(line.partition).or_default();
                *next = (*next).max(line.number + 1);
            }
            // a source that went back to earlier positions may not have caught up with itself yet
            let arrived =
                |(partition, count)| seen.get(partition).is_some_and(|seen| seen >= count);
            Ok(sent.iter().all(arrived))
        })?;
        Ok(sent)
    }

    /// Installs a version of a guest and waits until its connector has gone over to it for good.
    ///
    /// # Errors
    /// It does not.
    pub fn swap(&self, rest: &Rest, connector: &str, version: &str) -> Result<Editions> {
        editions::install(&self.plugins, &format!("edition-{connector}"), version)?;
        rest.get("/plugin/reload")?.body()?;
        Editions::settled(rest, connector, version, PATIENCE)
    }
}

/// The lines of the sink's file; the last one may be half written.
///
/// # Errors
/// A line that no version writes.
pub fn lines(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(line).collect()
}

fn line(text: &str) -> Result<Line> {
    let parts = || {
        let (sink, value) = text.split_once('\t')?;
        let (place, source) = value.split_once(' ')?;
        let (partition, number) = place.split_once('-')?;
        Some(Line {
            sink: sink.to_owned(),
            source: source.to_owned(),
            partition: partition.to_owned(),
            number: number.parse().ok()?,
        })
    };
    parts().with_context(|| format!("the line `{text}`"))
}

/// Every record of every partition exactly once and in order.
///
/// # Errors
/// The first record that is missing, twice or out of order.
pub fn exactly_once(lines: &[Line], sent: &BTreeMap<String, u64>) -> Result<()> {
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        let expected = next.entry(&line.partition).or_default();
        ensure!(
            line.number == *expected,
            "line {index}: {line:?} where {expected} was to come"
        );
        *expected += 1;
    }
    for (partition, count) in sent {
        let seen = next.get(partition.as_str()).copied().unwrap_or(0);
        ensure!(seen == *count, "{partition}: {seen} of {count} records");
    }
    Ok(())
}

/// Every record of every partition at least once; gives how many came again.
///
/// # Errors
/// The first record that is missing, or that comes for the first time after a later one.
pub fn at_least_once(lines: &[Line], sent: &BTreeMap<String, u64>) -> Result<u64> {
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    let mut again = 0;
    for (index, line) in lines.iter().enumerate() {
        let expected = next.entry(&line.partition).or_default();
        ensure!(
            line.number <= *expected,
            "line {index}: {line:?} where {expected} was to come"
        );
        if line.number < *expected {
            again += 1;
        } else {
            *expected += 1;
        }
    }
    for (partition, count) in sent {
        let seen = next.get(partition.as_str()).copied().unwrap_or(0);
        // more, where the source went back and was stopped before it had caught up with itself
        ensure!(seen >= *count, "{partition}: {seen} of {count} records");
    }
    Ok(again)
}

/// The versions in the order in which they took over: with a clean boundary each is there once.
pub fn boundaries<'a>(lines: &'a [Line], version: impl Fn(&'a Line) -> &'a str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = Vec::new();
    for line in lines {
        let version = version(line);
        if versions.last() != Some(&version) {
            versions.push(version);
        }
    }
    versions
}
