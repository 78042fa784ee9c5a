//! P2: files to topics, topics to files, and both at once, by the worker with the file connectors, by
//! the native program, and as far as the bare client alone goes.

use std::path::Path;

use anyhow::{Context, Result};
use connect_bench::Chapter;

use crate::Arguments;
use crate::case::{Case, Flow};
use crate::room::Room;
use crate::stage::Kind;

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P2", "Files and topics, beside native code");
    for case in cases(arguments) {
        if !arguments.wants(&case.name()) {
            continue;
        }
        eprintln!("{}", case.name());
        let room = folder.join("case");
        let measured = Room::new(case, &room)?.rounds(arguments.rounds(5));
        let measured = measured.with_context(|| case.name())?;
        std::fs::remove_dir_all(&room).context("cannot remove a case's folder")?;
        chapter.series.extend(measured);
    }
    Ok(chapter)
}

fn cases(arguments: &Arguments) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [Kind::Embedded, Kind::Java] {
        for flow in [Flow::Source, Flow::Sink, Flow::Relay] {
            for bytes in [256, 1_024] {
                for tasks in [1, 4, 16] {
                    let quick = kind == Kind::Embedded && bytes == 256 && tasks == 1;
                    if arguments.quick && !quick {
                        continue;
                    }
                    let whole = if bytes == 256 { 480_000 } else { 240_000 };
                    let records = if arguments.quick { whole / 4 } else { whole };
                    cases.push(Case {
                        kind,
                        flow,
                        bytes,
                        tasks,
                        records,
                    });
                }
            }
        }
    }
    cases
}
