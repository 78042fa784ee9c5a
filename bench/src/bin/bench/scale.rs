//! P9: whether many connectors, many queues or other sizes of records together move as much as one
//! connector does.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use connect_bench::{Chapter, Goal, Series};
use connect_tests::wait;
use connect_tests::worker::Setup;
use serde_json::json;

use crate::Arguments;
use crate::stage::{Broker, Kind, Native, PATIENCE};

/// Seconds for which records are counted, once all connectors send.
const WINDOW: &str = "5";
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
struct Load {
    connectors: usize,
    queues: u32,
    bytes: usize,
}

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P9", "Sources in number, all records together");
    let load = |connectors, queues, bytes| Load {
        connectors,
        queues,
        bytes,
    };
    let connectors = [1, 10, 100, 1_000].map(|count| load(count, 8, 256));
    let queues = [1, 8, 64].map(|count| load(8, count, 256));
    let sizes = [64, 256, 1 << 10, 16 << 10, 256 << 10, 1 << 20].map(|size| load(8, 8, size));
    type Name = fn(&Load) -> String;
    let axes: [(&str, &[Load], Name, Option<Goal>); 3] = [
        (
            "connectors, 8 queues, 256 B",
            &connectors,
            |load| load.connectors.to_string(),
            Some(Goal::AtLeast(900)),
        ),
        (
            "queues, 8 connectors, 256 B",
            &queues,
            |load| load.queues.to_string(),
            None,
        ),
        (
            "B a record, 8 connectors, 8 queues",
            &sizes,
            |load| load.bytes.to_string(),
            None,
        ),
    ];
    for (axis, loads, name, goal) in axes {
        if !arguments.wants(axis) || (arguments.quick && goal.is_none()) {
            continue;
        }
        let few = loads
            .iter()
            .filter(|load| !arguments.quick || load.connectors <= 100);
        let loads: Vec<Load> = few.copied().collect();
        let mut samples = vec![Vec::new(); loads.len()];
        for round in 0..arguments.rounds(5) {
            for turn in 0..loads.len() {
                let at = (round + turn) % loads.len();
                let load = loads.get(at).context("no load")?;
                eprintln!("{axis}: {}", name(load));
                let rate = rate(*load, &folder.join("load"))?;
                samples.get_mut(at).context("no samples")?.push(rate);
            }
        }
        let first = loads.first().map(name);
        for (load, samples) in loads.iter().zip(samples) {
            let baseline = first.clone().filter(|first| *first != name(load));
            chapter.series.push(Series {
                case: axis.to_owned(),
                subject: name(load),
                unit: "records/s".into(),
                samples,
                goal: baseline.as_ref().and(goal),
                baseline,
            });
        }
    }
    Ok(chapter)
}

/// Records a second that the topic gets.
fn rate(load: Load, folder: &Path) -> Result<f64> {
    let broker = Broker::start(Kind::Embedded, &folder.join("broker"))?;
    let setup = Setup::new(&folder.join("worker"), &broker.namesrv())?;
    let mut setup = setup.with_guests(&["seq-source"])?;
    setup.extra = format!("[delivery]\ntopic-queues = {}\n", load.queues);
    let worker = setup.start()?;
    let (namesrv, log) = (broker.namesrv(), folder.join("native.log"));
    let native = Native {
        namesrv: &namesrv,
        topic: "load",
        queues: load.queues,
        log: &log,
    };
    native.start(&["make"])?.wait(PATIENCE)?;
    for number in 0..load.connectors {
        // the number is the key, so that every connector uses all queues
        let config = json!({"connector.class": "seq-source", "bytes": load.bytes.to_string(),
                            "key": "number", "connect.topicname": "load"});
        worker.rest()?.create(&format!("seq-{number}"), &config)?;
    }
    let last = format!("seq-{}", load.connectors.saturating_sub(1));
    worker.reaches(&last, "RUNNING", PATIENCE)?;
    wait::throughout(SETTLE, || Ok(()))?;
    let line = native.ask(&["rate", "--seconds", WINDOW], "rate")?;
    worker.kill()?;
    drop(broker);
    std::fs::remove_dir_all(folder).context("cannot remove the folder")?;
    let rate = line.split_whitespace().nth(1).context("no rate")?;
    Ok(rate.parse()?)
}
