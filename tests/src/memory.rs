//! Memory over a long run: what a worker holds must not grow with what has passed through it.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::cluster::Cluster;
use crate::kills;
use crate::worker::Setup;

/// Nothing arriving for this long means that nothing will.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much more than in the second tenth of a run may be resident in its last tenth.
pub const GROWTH: f64 = 1.1;

/// Figures of one run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Records that passed.
    pub records: u64,
    /// Bytes of each, its line end included.
    pub bytes: u64,
    /// Median resident memory in each tenth of the run, in bytes.
    pub tenths: Vec<u64>,
    /// The most that was ever resident.
    pub peak: u64,
    /// Processor time of the worker.
    pub cpu: Duration,
    /// First byte to last.
    pub took: Duration,
}

impl Figures {
    /// Last tenth against second tenth.
    pub fn growth(&self) -> f64 {
        let of = |number: usize| self.tenths.get(number).copied().unwrap_or_default();
        of(9) as f64 / of(1).max(1) as f64
    }
}

/// Sends `records` lines of `bytes` bytes from file to topic to file and watches the worker.
///
/// # Errors
/// The content differs, or memory grew by more than [`GROWTH`].
pub fn run(records: u64, bytes: u64, directory: &Path) -> Result<Figures> {
    let mut cluster = Cluster::started(directory)?;
    let setup = Setup::new(&directory.join("worker"), &cluster.namesrv())?;
    let (source, sink) = (setup.file("source.txt"), setup.file("sink.txt"));
    write(&source, records, bytes)?;
    let total = records * bytes;

    let mut worker = setup.start()?;
    let rest = worker.rest()?;
    rest.create(
        "source",
        &json!({"connector.class": "file-source", "filename": "source.txt",
                "connect.topicname": "memory", "line.end": "lf"}),
    )?;
    rest.create(
        "sink",
        &json!({"connector.class": "file-sink", "filename": "sink.txt",
                "connect.topicnames": "memory"}),
    )?;

    let begun = Instant::now();
    let mut samples: Vec<(u64, u64)> = Vec::new();
    let (mut arrived, mut moved) = (0, begun);
    while arrived < total {
        worker.process().check()?;
        let now = std::fs::metadata(&sink).map_or(0, |file| file.len());
        if now != arrived {
            (arrived, moved) = (now, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            bail!(
                "{arrived} of {total} bytes arrived, then nothing\n{}",
                kills::states(&worker)
            );
        }
        samples.push((arrived, worker.usage()?.resident));
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let took = begun.elapsed();
    let cpu = worker.usage()?.cpu;
    worker.terminate(Duration::from_secs(40))?;
    cluster.stop()?;
    ensure!(same(&source, &sink)?, "what arrived is not what was sent");

    let tenth = |number: u64| {
        let part = total * number / 10..=total * (number + 1) / 10;
        let held: Vec<u64> = samples
            .iter()
            .filter(|(at, _)| part.contains(at))
            .map(|(_, held)| *held)
            .collect();
        median(held).with_context(|| format!("no sample in tenth {number} of a run this short"))
    };
    let figures = Figures {
        records,
        bytes,
        tenths: (0..10).map(tenth).collect::<Result<_>>()?,
        peak: samples
            .iter()
            .map(|(_, held)| *held)
            .max()
            .unwrap_or_default(),
        cpu,
        took,
    };
    ensure!(
        figures.growth() <= GROWTH,
        "memory grew {:.3} times; median of each tenth of the run, in bytes: {:?}",
        figures.growth(),
        figures.tenths
    );
    Ok(figures)
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// Numbered lines of one length, line end included.
fn write(path: &Path, records: u64, bytes: u64) -> Result<()> {
    ensure!(
        bytes >= 24,
        "a record of {bytes} bytes has no room for its number"
    );
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let filling = "x".repeat(usize::try_from(bytes - 22)?);
    for number in 0..records {
        writeln!(out, "{number:020} {filling}")?;
    }
    out.flush().context("cannot write the source")
}

fn same(left: &Path, right: &Path) -> Result<bool> {
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    let (mut ours, mut theirs) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = left.read(&mut ours)?;
        let (Some(ours), Some(theirs)) = (ours.get(..read), theirs.get_mut(..read)) else {
            bail!("a file gave more than was asked for");
        };
        if read == 0 {
            return Ok(right.read(&mut [0])? == 0);
        }
        if right.read_exact(theirs).is_err() || ours != theirs {
            return Ok(false);
        }
    }
}
