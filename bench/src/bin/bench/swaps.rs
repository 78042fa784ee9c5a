//! P5: how long tasks stand still when their plugin changes under full load, how many changes a second
//! that allows, and what stopping and starting a connector costs instead. The measurement of changes is
//! the one of `cargo xtask torture swaps`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use connect_bench::{Chapter, Goal, Series};
use connect_tests::relay::Relay;
use connect_tests::swaps::{self, Pauses};
use connect_tests::wait;
use serde_json::json;

use crate::Arguments;
use crate::stage::PATIENCE;

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P5", "Plugins that change under full load");
    let changes = if arguments.quick { 40 } else { 500 };
    let begun = Instant::now();
    let seen = swaps::under_load(changes, 0, &folder.join("changes"))?;
    let took = begun.elapsed().as_secs_f64();
    eprintln!("{seen}\n{took:.0} s");
    let case = format!("{changes} changes");
    let one = |case: &str, subject: &str, unit: &str, samples, goal| Series {
        case: case.to_owned(),
        subject: subject.to_owned(),
        unit: unit.to_owned(),
        samples,
        baseline: None,
        goal,
    };
    let [source, sink] = &seen.pauses;
    type Figure = fn(&Pauses, f64) -> f64;
    let figures: [(&str, Figure); 3] = [
        ("until the first record", Pauses::percentile),
        ("without waits for a record", Pauses::at_work),
        ("commit alone", Pauses::commit),
    ];
    for (role, pauses) in [("source", source), ("sink", sink)] {
        for (what, figure) in figures {
            let subject = format!("{role}, {what}");
            let whole = what == "without waits for a record";
            for (unit, share, goal) in [
                ("ms p50", 0.5, whole.then_some(Goal::Below(3_000))),
                ("ms p99", 0.99, whole.then_some(Goal::Below(10_000))),
            ] {
                let sample = vec![figure(pauses, share)];
                chapter
                    .series
                    .push(one(&case, &subject, unit, sample, goal));
            }
        }
    }
    let (without, with) = seen.rates;
    chapter.series.push(one(
        &case,
        "without changes",
        "records/s",
        vec![without],
        None,
    ));
    chapter.series.push(Series {
        baseline: Some("without changes".into()),
        goal: Some(Goal::AtLeast(800)),
        ..one(&case, "with changes", "records/s", vec![with], None)
    });
    let restarts = restarts(arguments.rounds(20), &folder.join("restarts"))?;
    let case = "the same sink deleted and created again";
    chapter
        .series
        .push(one(case, "until the first bytes", "ms", restarts, None));
    Ok(chapter)
}

/// Milliseconds from the order to end a connector until its successor has written. It flushes at once, since
/// the pauses of changes end with the first record, not with a flush.
fn restarts(count: usize, folder: &Path) -> Result<Vec<f64>> {
    let (cluster, relay, mut worker, rest) =
        Relay::at_work(folder, "", 1, &[("pause", "0")], 5_000)?;
    let config = json!({"connector.class": "edition-sink", "out": "out.txt",
                        "flush.interval.ms": "1", "connect.topicnames": "relay"});
    let size = || std::fs::metadata(relay.out()).map_or(0, |file| file.len());
    let mut times = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        rest.delete("sink")?;
        let before = size();
        rest.create("sink", &config)?;
        while size() == before {
            // finer than any other wait of the tests
            std::thread::park_timeout(Duration::from_micros(200));
            worker.process().check()?;
            if begun.elapsed() > PATIENCE {
                anyhow::bail!("the sink writes nothing after {} s", PATIENCE.as_secs());
            }
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        wait::throughout(Duration::from_millis(200), || Ok(()))?;
    }
    worker.terminate(PATIENCE)?;
    drop(cluster);
    std::fs::remove_dir_all(folder).context("cannot remove the folder")?;
    Ok(times)
}
