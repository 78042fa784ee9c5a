//! P6: how soon a worker is ready, what it holds when it has nothing to do, and what a new plugin costs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use connect_bench::{Chapter, Goal, Series};
use connect_tests::worker::{Setup, Worker};
use connect_tests::{editions, locate, wait};

use crate::Arguments;
use crate::stage::{Broker, Kind, PATIENCE};

/// Plugins that were compiled before.
const PLUGINS: u32 = 100;
/// What a worker held while it started is given back by then.
const SETTLED: Duration = Duration::from_secs(15);
/// Rounds in which that is waited for.
const WATCHED: usize = 3;

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P6", "Start");
    let broker = Broker::start(Kind::Embedded, &folder.join("broker"))?;
    let plugins = folder.join("plugins");
    std::fs::create_dir_all(&plugins).context("cannot make the plugins' folder")?;
    let count = if arguments.quick { 10 } else { PLUGINS };
    for number in 0..count {
        let version = format!("30.{:02}.{:02}", number / 100, number % 100);
        editions::install(&plugins, "edition-source", &version)?;
    }
    let setup = Setup::new(&folder.join("many"), &broker.namesrv())?.with_plugins(&plugins);
    let setup = setup.with_cold_code();
    // the shipped plugins are compiled then, too
    let shipped = Setup::new(&folder.join("cold"), &broker.namesrv())?.with_cold_code();
    let (worker, alone) = started(&shipped)?;
    worker.terminate(PATIENCE)?;
    let (worker, all) = started(&setup)?;
    worker.terminate(PATIENCE)?;
    let cold = (all - alone) / f64::from(count);

    let few = Setup::new(&folder.join("few"), &broker.namesrv())?;
    few.start()?.terminate(PATIENCE)?;
    let mut samples: [Vec<f64>; 4] = Default::default();
    let rounds = arguments.rounds(10);
    let watched = if arguments.quick { 1 } else { WATCHED };
    for round in 0..rounds {
        let [many, many_memory, shipped, shipped_memory] = &mut samples;
        let (first, took) = started(&setup)?;
        many.push(took);
        if round < watched {
            // both at once, since what is waited for is only time
            let (second, _) = started(&few)?;
            wait::throughout(SETTLED, || Ok(()))?;
            many_memory.push(megabytes(&first)?);
            shipped_memory.push(megabytes(&second)?);
            second.terminate(PATIENCE)?;
        }
        first.terminate(PATIENCE)?;
        let (worker, took) = started(&few)?;
        shipped.push(took);
        worker.terminate(PATIENCE)?;
    }
    let size = std::fs::metadata(locate::guests()?.join("edition-source.wasm"))?.len();
    let [many, many_memory, shipped, shipped_memory] = samples;
    let loaded = format!("{count} cached plugins");
    for (case, subject, unit, samples, goal) in [
        (
            loaded.as_str(),
            "ready",
            "ms",
            many,
            Some(Goal::Below(200_000)),
        ),
        (loaded.as_str(), "resident, idle", "MB", many_memory, None),
        (
            "the shipped plugins",
            "ready",
            "ms",
            shipped,
            Some(Goal::Below(200_000)),
        ),
        (
            "the shipped plugins",
            "resident, idle",
            "MB",
            shipped_memory,
            Some(Goal::Below(30_000)),
        ),
        (
            "a plugin that was never compiled",
            "compiled at the start",
            "ms",
            vec![cold],
            None,
        ),
        (
            "a plugin that was never compiled",
            "its size",
            "KiB",
            vec![size as f64 / 1024.0],
            None,
        ),
    ] {
        chapter.series.push(Series {
            case: case.to_owned(),
            subject: subject.to_owned(),
            unit: unit.to_owned(),
            samples,
            baseline: None,
            goal,
        });
    }
    Ok(chapter)
}

/// A worker, and after how many milliseconds it was ready.
fn started(setup: &Setup) -> Result<(Worker, f64)> {
    let begun = Instant::now();
    let worker = setup.start()?;
    Ok((worker, begun.elapsed().as_secs_f64() * 1e3))
}

fn megabytes(worker: &Worker) -> Result<f64> {
    Ok(worker.usage()?.resident as f64 / 1e6)
}
