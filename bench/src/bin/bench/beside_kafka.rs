//! P4: one file, one topic of one queue, beside Kafka Connect doing the same on Kafka.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use connect_bench::{Chapter, Goal, Series};
use connect_tests::worker::Setup;

use crate::Arguments;
use crate::case::{Case, Flow, Subject};
use crate::kafka::{Kafka, Seen};
use crate::room::Room;
use crate::stage::{Kind, PATIENCE};

const KAFKA: &str = "Kafka Connect";
const WORKER: &str = "worker";
const BARE: &str = "bare client";
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P4", "Beside Kafka Connect on Kafka");
    for flow in [Flow::Source, Flow::Sink] {
        for (bytes, records) in [(256, 960_000), (1_024, 320_000)] {
            let case = Case {
                kind: Kind::Java,
                flow,
                bytes,
                tasks: 1,
                records,
            };
            let name = format!("{}, {bytes} B", flow.name());
            if !arguments.wants(&name) || (arguments.quick && bytes != 256) {
                continue;
            }
            eprintln!("{name}");
            let room = folder.join("case");
            let measured = beside(case, &name, &room, arguments.rounds(5));
            chapter.series.extend(measured.with_context(|| name)?);
            std::fs::remove_dir_all(&room).context("cannot remove a case's folder")?;
        }
    }
    chapter.series.extend(starts(arguments, folder)?);
    Ok(chapter)
}

/// Samples of one subject, a round each.
#[derive(Default)]
struct Samples {
    rates: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

impl Samples {
    fn of_kafka(&mut self, seen: &Seen, records: u64) {
        let records = records as f64;
        self.rates
            .push(records * seen.share / seen.seconds.max(1e-3));
        self.cpu.push(seen.cpu.as_secs_f64() / records * 1e6);
        self.memory.push(seen.resident as f64 / MIB);
    }
}

fn beside(case: Case, name: &str, folder: &Path, rounds: usize) -> Result<Vec<Series>> {
    let mut room = Room::new(case, &folder.join("room"))?;
    let mut kafka = Kafka::start(&folder.join("kafka"))?;
    let file = room.files.first().context("no file")?.clone();
    let mut topic = String::new();
    if case.flow == Flow::Sink {
        room.fill()?;
        topic = kafka.source(&file, case.records)?.1;
    }
    let (mut ours, mut theirs, mut bare) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 0..rounds {
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => {
                    let run = room.run(Subject::Worker)?;
                    ours.rates.push(run.rate);
                    ours.cpu.push(run.cpu);
                    ours.memory.push(room.worker.usage()?.resident as f64 / MIB);
                }
                1 => {
                    let seen = match case.flow {
                        Flow::Sink => kafka.sink(&topic, &file)?,
                        _ => kafka.source(&file, case.records)?.0,
                    };
                    theirs.of_kafka(&seen, case.records);
                }
                _ => bare.rates.push(room.run(Subject::Bare)?.rate),
            }
        }
    }
    kafka.stop()?;
    room.worker.terminate(PATIENCE)?;
    let least = if case.flow == Flow::Sink {
        1_200
    } else {
        1_500
    };
    let series = |subject: &str, unit: &str, samples: Vec<f64>, goal: Option<Goal>| Series {
        case: name.to_owned(),
        subject: subject.to_owned(),
        unit: unit.to_owned(),
        samples,
        baseline: (subject == WORKER).then(|| KAFKA.to_owned()),
        goal,
    };
    let (rate, cpu, memory) = ("records/s", "CPU s per million", "MiB resident, loaded");
    Ok(vec![
        series(WORKER, rate, ours.rates, Some(Goal::AtLeast(least))),
        series(KAFKA, rate, theirs.rates, None),
        series(BARE, rate, bare.rates, None),
        series(WORKER, cpu, ours.cpu, Some(Goal::AtMost(500))),
        series(KAFKA, cpu, theirs.cpu, None),
        series(WORKER, memory, ours.memory, Some(Goal::AtMost(1_000 / 15))),
        series(KAFKA, memory, theirs.memory, None),
    ])
}

/// From nothing to the first answer over REST.
fn starts(arguments: &Arguments, folder: &Path) -> Result<Vec<Series>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_memory, mut their_memory) = (Vec::new(), Vec::new());
    let broker = crate::stage::Broker::start(Kind::Java, &folder.join("broker"))?;
    let setup = Setup::new(&folder.join("start"), &broker.namesrv())?;
    setup.start()?.terminate(PATIENCE)?;
    for _ in 0..arguments.rounds(3) {
        let begun = Instant::now();
        let worker = setup.start()?;
        ours.push(begun.elapsed().as_secs_f64());
        our_memory.push(worker.usage()?.resident as f64 / MIB);
        worker.terminate(PATIENCE)?;
        let kafka = Kafka::start(&folder.join("kafka-start"))?;
        theirs.push(kafka.ready.as_secs_f64());
        their_memory.push(kafka.idle.resident as f64 / MIB);
        kafka.stop()?;
    }
    let series = |subject: &str, unit: &str, samples: Vec<f64>, goal| Series {
        case: "start".to_owned(),
        subject: subject.to_owned(),
        unit: unit.to_owned(),
        samples,
        baseline: (subject == WORKER).then(|| KAFKA.to_owned()),
        goal,
    };
    Ok(vec![
        series(WORKER, "s", ours, Some(Goal::AtMost(1_000 / 40))),
        series(KAFKA, "s", theirs, None),
        series(WORKER, "MiB resident, idle", our_memory, None),
        series(KAFKA, "MiB resident, idle", their_memory, None),
    ])
}
