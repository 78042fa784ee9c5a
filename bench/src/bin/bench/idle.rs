//! P7: what tasks cost that have nothing to do. One worker has thousands of them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use connect_bench::{Chapter, Goal, Series};
use connect_tests::wait;
use connect_tests::worker::{Setup, Worker};
use serde_json::json;

use crate::Arguments;
use crate::stage::{Broker, Kind, PATIENCE};

/// Tasks of one connector.
const TASKS: usize = 1_000;
/// Memory of one, in KiB.
const EACH: Goal = Goal::Below(256_000);
/// How long processor time is counted.
const WATCHED: Duration = Duration::from_secs(60);

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P7", "Idle tasks in one worker");
    let sources: &[usize] = if arguments.quick {
        &[1_000]
    } else {
        &[1_000, 10_000]
    };
    for count in sources {
        let case = format!("{count} sources that wait 60 s");
        if arguments.wants(&case) {
            eprintln!("{case}");
            let room = folder.join(format!("sources-{count}"));
            let goal = (*count == 10_000).then_some(Goal::Below(1_000));
            chapter
                .series
                .extend(idle(&case, &room, *count, goal, |worker| {
                    for number in 0..count.div_ceil(TASKS) {
                        let config = json!({"connector.class": "idle-source", "wait": "60000",
                                        "max.tasks": TASKS.min(*count).to_string(),
                                        "connect.topicname": "idle"});
                        worker.rest()?.create(&format!("idle-{number}"), &config)?;
                    }
                    for number in 0..count.div_ceil(TASKS) {
                        worker.reaches(&format!("idle-{number}"), "RUNNING", PATIENCE * 5)?;
                    }
                    Ok(())
                })?);
        }
    }
    let case = format!("{TASKS} sinks of an empty topic");
    if arguments.wants(&case) && !arguments.quick {
        eprintln!("{case}");
        let goal = Some(Goal::Below(5_000));
        chapter.series.extend(idle(&case, &folder.join("sinks"), TASKS, goal, |worker| {
            let rest = worker.rest()?;
            for number in 0..TASKS {
                let config = json!({"connector.class": "latency-sink", "connect.topicnames": "empty",
                                    "out": format!("{number}.bin")});
                rest.create(&format!("sink-{number}"), &config)?;
            }
            for number in 0..TASKS {
                worker.reaches(&format!("sink-{number}"), "RUNNING", PATIENCE * 5)?;
            }
            Ok(())
        })?);
    }
    Ok(chapter)
}

fn idle(
    case: &str,
    folder: &Path,
    count: usize,
    cpu: Option<Goal>,
    start: impl FnOnce(&Worker) -> Result<()>,
) -> Result<Vec<Series>> {
    let broker = Broker::start(Kind::Embedded, &folder.join("broker"))?;
    let setup = Setup::new(&folder.join("worker"), &broker.namesrv())?;
    let mut setup = setup.with_guests(&["idle-source", "latency-sink"])?;
    setup.extra = "[delivery]\ntopic-queues = 1\n".into();
    let worker = setup.start()?;
    let before = worker.usage()?;
    let begun = Instant::now();
    start(&worker).with_context(|| case.to_owned())?;
    let started = begun.elapsed();
    // what starting them left behind is over when a second goes by without work
    let mut last = worker.usage()?.cpu;
    wait::until_true("the worker is quiet", PATIENCE, || {
        wait::throughout(Duration::from_secs(1), || Ok(()))?;
        let now = worker.usage()?.cpu;
        let quiet = now.saturating_sub(last) < Duration::from_millis(100);
        last = now;
        Ok(quiet)
    })?;
    let quiet = worker.usage()?;
    wait::throughout(WATCHED, || Ok(()))?;
    let after = worker.usage()?;
    worker.terminate(PATIENCE)?;
    let each = |bytes: u64| bytes as f64 / 1024.0 / count as f64;
    let share = after.cpu.saturating_sub(quiet.cpu).as_secs_f64() / WATCHED.as_secs_f64();
    let memory = after.anonymous.saturating_sub(before.anonymous);
    let one = |subject: &str, unit: &str, figure: f64, goal| Series {
        case: case.to_owned(),
        subject: subject.to_owned(),
        unit: unit.to_owned(),
        samples: vec![figure],
        baseline: None,
        goal,
    };
    Ok(vec![
        one("memory of each", "KiB", each(memory), Some(EACH)),
        one("processor time of all", "% of a core", share * 100.0, cpu),
        one("start of all", "s", started.as_secs_f64(), None),
    ])
}
