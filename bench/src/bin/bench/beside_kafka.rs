//! P4: one file, one topic of one queue, beside Kafka Connect doing the same on Kafka.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use connect_bench::Chapter;

use crate::Arguments;
use crate::beside::{self, Goals, Peer, Started};
use crate::case::{Case, Flow, Run};
use crate::kafka::Kafka;
use crate::room::Room;
use crate::stage::Kind;

const KAFKA: &str = "Kafka Connect";

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
            let place = folder.join("case");
            let room = Room::new(case, &place.join("room"))?;
            let other = Other::new(case, &room, &place.join("kafka"))?;
            let goals = Goals {
                rate: if flow == Flow::Sink { 1_200 } else { 1_500 },
                cpu: 500,
                memory: 1_000 / 15,
            };
            let rounds = arguments.rounds(5);
            let measured = beside::rounds(room, &name, Some(Box::new(other)), &goals, rounds);
            chapter.series.extend(measured.with_context(|| name)?);
            std::fs::remove_dir_all(&place).context("cannot remove a case's folder")?;
        }
    }
    if arguments.wants("start") {
        let measured = beside::starts(
            folder,
            arguments.rounds(3),
            (KAFKA, 1_000 / 40, None),
            |folder, _| {
                let kafka = Kafka::start(folder)?;
                let started = Started {
                    ready: kafka.ready,
                    idle: kafka.idle,
                };
                kafka.stop()?;
                Ok(started)
            },
        );
        chapter.series.extend(measured?);
    }
    Ok(chapter)
}

/// Kafka Connect with a case's file.
struct Other {
    kafka: Kafka,
    case: Case,
    file: PathBuf,
    /// What a sink reads.
    topic: String,
}

impl Other {
    fn new(case: Case, room: &Room, folder: &Path) -> Result<Self> {
        let mut kafka = Kafka::start(folder)?;
        let file = room.files.first().context("no file")?.clone();
        let mut topic = String::new();
        if case.flow == Flow::Sink {
            room.fill()?;
            topic = kafka.source(&file, case.records)?.1;
        }
        Ok(Self {
            kafka,
            case,
            file,
            topic,
        })
    }
}

impl Peer for Other {
    fn name(&self) -> &'static str {
        KAFKA
    }

    fn run(&mut self) -> Result<Run> {
        Ok(match self.case.flow {
            Flow::Sink => self
                .kafka
                .sink(&self.topic, &self.file, self.case.records)?,
            _ => self.kafka.source(&self.file, self.case.records)?.0,
        })
    }

    fn stop(self: Box<Self>) -> Result<()> {
        self.kafka.stop()
    }
}
