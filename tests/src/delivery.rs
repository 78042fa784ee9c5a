//! The promise of delivery, checked for a whole scenario: content, order, and repeats only from
//! behind what was durable.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::check::{self, Jump, Life};
use crate::lines::Feed;
use crate::outline;
use crate::scenario::{QUEUES, Scenario, Shape};
use crate::store::Durable;

/// What there was when a life of the worker began.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What its store held.
    pub durable: Durable,
    /// Whole lines in each file of the sinks.
    pub written: BTreeMap<PathBuf, usize>,
}

impl Snapshot {
    /// Taken while no worker runs.
    ///
    /// # Errors
    /// Store or files cannot be read.
    pub fn take(scenario: &Scenario) -> Result<Self> {
        Ok(Self {
            durable: scenario.setup.durable()?,
            written: scenario.written()?,
        })
    }

    fn life(&self, file: &Path, connector: &str, topic: &str, queue: i64) -> Life {
        Life {
            start: self.written.get(file).copied().unwrap_or(0),
            offset: self.durable.offset(connector, topic, queue),
        }
    }
}

/// The figures of a run that kept every promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines sent.
    pub lines: u64,
    /// Lines that a source sent again.
    pub sent_again: u64,
    /// Lines that the sink wrote again.
    pub written_again: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lines, none missing, all in order; repeats: {} sent again, {} written again",
            self.lines, self.sent_again, self.written_again
        )
    }
}

/// Checks everything that arrived. `lives` holds one snapshot for each life of the worker, taken
/// at its beginning; `last` is the store after the last one.
///
/// # Errors
/// A promise was broken; the text says which line of which file shows it.
pub fn verify(scenario: &Scenario, lives: &[Snapshot], last: &Durable) -> Result<Report> {
    let queues = queues(scenario, lives, last)?;
    let mut report = Report {
        lines: scenario.sent().0,
        ..Report::default()
    };
    for (feed, held) in scenario.feeds.iter().zip(&queues) {
        let lines: Vec<u64> = held.records.iter().map(|(_, line)| *line).collect();
        let jumps = check::walk(feed.hashes(), &lines)
            .with_context(|| format!("queue {} as to {}", held.queue, feed.name))?;
        report.sent_again += jumps
            .iter()
            .map(|jump| (jump.from - jump.to) as u64)
            .sum::<u64>();
        landings(feed, "source", &jumps, lives)?;

        let path = scenario.output(feed);
        let arrived = read(&path)?;
        let lives: Vec<Life> = lives
            .iter()
            .map(|life| life.life(&path, "sink", &scenario.topic, held.queue))
            .collect();
        report.written_again += check::lives(&arrived, &lives, &held.records)
            .with_context(|| path.display().to_string())?;
    }
    Ok(report)
}

/// Checks content and order alone, where no snapshot could tell what was durable: nothing missing,
/// every file a run through its source that only jumps back. Gives how many lines came again.
///
/// # Errors
/// As [`verify`].
pub fn verify_content(scenario: &Scenario) -> Result<u64> {
    let mut again = 0;
    for feed in &scenario.feeds {
        let path = scenario.output(feed);
        let jumps = check::walk(feed.hashes(), &read(&path)?)
            .with_context(|| path.display().to_string())?;
        again += jumps
            .iter()
            .map(|jump| (jump.from - jump.to) as u64)
            .sum::<u64>();
    }
    Ok(again)
}

/// The records of one feed as its queue holds them.
#[derive(Debug, Default)]
struct Held {
    queue: i64,
    /// Offset and line, in order.
    records: Vec<(u64, u64)>,
}

/// What the queues hold, told from the files that have one for each queue.
fn queues(scenario: &Scenario, lives: &[Snapshot], last: &Durable) -> Result<Vec<Held>> {
    let of_queue = |connector: &str, queue: i64, path: &Path| -> Result<Vec<u64>> {
        let lives: Vec<Life> = lives
            .iter()
            .map(|life| life.life(path, connector, &scenario.topic, queue))
            .collect();
        let (lines, _) =
            check::stream(&read(path)?, &lives).with_context(|| path.display().to_string())?;
        Ok(lines)
    };
    if scenario.shape == Shape::One {
        let feed = scenario.feeds.first().context("no file")?;
        let mut used = (0..QUEUES).filter(|queue| last.offset("sink", &scenario.topic, *queue) > 0);
        let queue = used.next().context("no queue was ever committed")?;
        ensure!(
            used.next().is_none(),
            "one file went to several queues: its order is lost"
        );
        let lines = of_queue("sink", queue, &scenario.output(feed))?;
        return Ok(vec![Held {
            queue,
            records: (0..).zip(lines).collect(),
        }]);
    }

    let mut owners: HashMap<u64, usize> = HashMap::new();
    for (number, feed) in scenario.feeds.iter().enumerate() {
        owners.extend(feed.hashes().iter().map(|hash| (*hash, number)));
    }
    // Only the first file has empty lines.
    owners.insert(outline::empty(), 0);
    let mut held: Vec<Option<Held>> = scenario.feeds.iter().map(|_| None).collect();
    for queue in 0..QUEUES {
        let path = scenario.audit(queue);
        for (offset, line) in (0..).zip(of_queue("audit", queue, &path)?) {
            let Some(owner) = owners.get(&line) else {
                bail!("{}: line {} was never sent", path.display(), offset + 1);
            };
            let slot = held.get_mut(*owner).context("an owner that is no file")?;
            let slot = slot.get_or_insert_with(|| Held {
                queue,
                records: Vec::new(),
            });
            ensure!(
                slot.queue == queue,
                "file {owner} went to queues {} and {queue}: its order is lost",
                slot.queue
            );
            slot.records.push((offset, line));
        }
    }
    held.into_iter()
        .zip(&scenario.feeds)
        .map(|(held, feed)| held.with_context(|| format!("nothing of {} arrived", feed.name)))
        .collect()
}

/// Each jump back of the source `connector` must land where its durable position was at one of the
/// kills. A kill makes at most one jump, so the n-th jump is due to the n-th kill or a later one.
///
/// # Errors
/// It landed elsewhere: durable lines were sent again.
pub fn landings(feed: &Feed, connector: &str, jumps: &[Jump], lives: &[Snapshot]) -> Result<()> {
    let partition = format!("in/{}", feed.name);
    let mut resumed = Vec::new();
    for life in lives.iter().skip(1) {
        let line = match life.durable.position(connector, &partition) {
            None => 0,
            Some(position) => {
                let offset = byte_offset(position)?;
                feed.line_at(offset).with_context(|| {
                    format!("{partition}: position {offset} is not at the start of a line")
                })?
            }
        };
        resumed.push(line);
    }
    let empty = outline::empty();
    let mut candidates = resumed.iter();
    for jump in jumps {
        // A jump that begins with empty lines can be seen only from the first other one on.
        let landed = |line: usize| {
            line <= jump.to
                && feed
                    .hashes()
                    .get(line..jump.to)
                    .is_some_and(|skipped| skipped.iter().all(|hash| *hash == empty))
        };
        ensure!(
            candidates.any(|line| landed(*line)),
            "{partition}: sent again from line {}, which was no durable position (those were lines \
             {resumed:?})",
            jump.to + 1
        );
    }
    Ok(())
}

/// The byte offset in a position of the file source: `offset=4711 head=…`.
fn byte_offset(position: &str) -> Result<u64> {
    let offset = position
        .split_whitespace()
        .find_map(|word| word.strip_prefix("offset="));
    let offset = offset.with_context(|| format!("no offset in the position `{position}`"))?;
    offset
        .parse()
        .with_context(|| format!("`{position}` is no position of a file"))
}

fn read(path: &Path) -> Result<Vec<u64>> {
    let outline = outline::read(path)?;
    ensure!(!outline.torn, "{} ends within a line", path.display());
    Ok(outline.lines)
}
