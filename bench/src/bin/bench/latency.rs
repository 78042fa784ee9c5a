//! P10: how old single records are when they arrive, at a rate that nothing has to keep up with.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use connect_bench::{Chapter, Goal, Series, Spread};
use connect_tests::wait;
use connect_tests::worker::{Setup, Worker};
use serde_json::json;

use crate::Arguments;
use crate::stage::{Broker, Kind, Native, PATIENCE};

/// Records a second.
const RATE: u64 = 100;
/// Records in the beginning that do not count: connections and first polls are among them.
const WARM: usize = 100;
/// The shares that are shown, in a thousand.
const SHARES: [(u64, &str); 3] = [(500, "ms p50"), (990, "ms p99"), (999, "ms p999")];

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P10", "Latency of single records");
    let records = if arguments.quick { 300 } else { 3_000 };
    for kind in [Kind::Embedded, Kind::Java] {
        let case = format!("{RATE} records a second, {}", kind.name());
        if !arguments.wants(&case) || (arguments.quick && kind == Kind::Java) {
            continue;
        }
        eprintln!("{case}");
        let broker = Broker::start(kind, &folder.join("broker"))?;
        let setup = Setup::new(&folder.join("worker"), &broker.namesrv())?;
        let mut setup = setup.with_guests(&["seq-source", "latency-sink"])?;
        setup.extra = "[delivery]\ntopic-queues = 1\n".into();
        let worker = setup.start()?;
        let (mut ours, mut native) = (Vec::new(), Vec::new());
        for round in 0..arguments.rounds(5) {
            let name = format!("run-{}-{round}", kind.name().replace(' ', "-"));
            let theirs = || native_ages(&broker, folder, &name, records);
            if round % 2 == 0 {
                ours.push(worker_ages(&setup, &worker, &name, records)?);
                native.push(theirs()?);
            } else {
                native.push(theirs()?);
                ours.push(worker_ages(&setup, &worker, &name, records)?);
            }
        }
        worker.terminate(PATIENCE)?;
        std::fs::remove_dir_all(folder.join("worker"))
            .context("cannot remove the worker's folder")?;
        chapter.series.extend(series(&case, &ours, &native));
    }
    Ok(chapter)
}

fn series(case: &str, ours: &[Vec<f64>], native: &[Vec<f64>]) -> Vec<Series> {
    let mut all = Vec::new();
    for (share, unit) in SHARES {
        let of = |rounds: &[Vec<f64>]| -> Vec<f64> {
            rounds.iter().map(|ages| at(ages, share)).collect()
        };
        let (ours, native) = (of(ours), of(native));
        let beyond = ours.iter().zip(&native).map(|(ours, native)| ours - native);
        let beyond = beyond.collect();
        let one = |subject: &str, samples: Vec<f64>| Series {
            case: case.to_owned(),
            subject: subject.to_owned(),
            unit: unit.to_owned(),
            samples,
            baseline: None,
            goal: None,
        };
        all.push(one("native", native));
        all.push(one("worker", ours));
        all.push(Series {
            goal: (share == 990).then_some(Goal::Below(1_000)),
            ..one("worker beyond native", beyond)
        });
    }
    all
}

/// The age below which so many of a thousand are.
fn at(ages: &[f64], share: u64) -> f64 {
    let mut sorted = ages.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as u64 * share / 1_000).min(sorted.len().saturating_sub(1) as u64);
    sorted.get(index as usize).copied().unwrap_or(f64::NAN)
}

fn worker_ages(setup: &Setup, worker: &Worker, name: &str, records: usize) -> Result<Vec<f64>> {
    let rest = worker.rest()?;
    let (source, sink, out) = (
        format!("{name}-source"),
        format!("{name}-sink"),
        format!("{name}.bin"),
    );
    let config = json!({"connector.class": "latency-sink", "out": out,
                        "flush.interval.ms": "100", "connect.topicnames": name});
    rest.create(&sink, &config)?;
    worker.reaches(&sink, "RUNNING", PATIENCE)?;
    let config = json!({"connector.class": "seq-source", "rate": RATE.to_string(),
                        "count": (records + WARM).to_string(), "stamp": "true",
                        "connect.topicname": name});
    rest.create(&source, &config)?;
    let path = setup.file(&out);
    let whole = (records + WARM) as u64 * 4;
    let time = Duration::from_secs((records + WARM) as u64 / RATE) + PATIENCE;
    wait::until_true("all records have arrived", time, || {
        Ok(std::fs::metadata(&path).is_ok_and(|file| file.len() >= whole))
    })?;
    rest.delete(&source)?;
    rest.delete(&sink)?;
    let bytes = std::fs::read(&path).context("cannot read the ages")?;
    let (ages, _) = bytes.as_chunks::<4>();
    let ages = ages.iter().skip(WARM);
    Ok(ages
        .map(|age| f64::from(u32::from_le_bytes(*age)) / 1e3)
        .collect())
}

fn native_ages(broker: &Broker, folder: &Path, name: &str, records: usize) -> Result<Vec<f64>> {
    let (namesrv, topic, log) = (
        broker.namesrv(),
        format!("{name}-native"),
        folder.join("native.log"),
    );
    let native = Native {
        namesrv: &namesrv,
        topic: &topic,
        queues: 1,
        log: &log,
    };
    let count = (records + WARM).to_string();
    let pause = (1_000 / RATE).to_string();
    let mut process = native.start(&["latency", "--records", &count, "--pause", &pause])?;
    let mut ages = Vec::with_capacity(records);
    for number in 0..records + WARM {
        let line = process.line("age", PATIENCE)?;
        let age = line.split_whitespace().nth(1).context("no age")?;
        if number >= WARM {
            ages.push(age.parse::<f64>()? / 1e3);
        }
    }
    let spread = Spread::of(&ages);
    eprintln!("native: median {:.2} ms", spread.median);
    Ok(ages)
}
