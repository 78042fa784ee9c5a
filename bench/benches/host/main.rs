//! What the worker's own steps cost a record: converters, the way from a record to a message and back, the
//! tracker of positions, chains of transforms. Must go through the interfaces that the worker uses.

#[expect(dead_code, reason = "chains are of transforms alone")]
#[path = "../boundary/guests.rs"]
mod guests;

mod converters;
mod mapping;
mod tracker;
mod transforms;

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, Result};
use connect_bench::{Case, Chapter, Effort, Series, run};

/// Something that is measured.
pub(crate) struct Step<'a> {
    pub(crate) name: &'static str,
    /// The name of what it is compared with.
    pub(crate) baseline: Option<&'static str>,
    /// Records of one run; a figure is of one of them.
    pub(crate) records: usize,
    pub(crate) case: Case<'a>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = Effort {
        rounds: 25,
        sample: Duration::from_millis(5),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guests = runtime.block_on(guests::Guests::load())?;

    let mut steps = converters::steps()?;
    steps.extend(mapping::steps()?);
    steps.extend(tracker::steps());
    steps.extend(transforms::steps(&runtime, &guests)?);
    let mut about = Vec::new();
    let mut cases = Vec::new();
    for step in steps {
        about.push((step.name, step.baseline, step.records));
        cases.push(step.case);
    }
    let figures = run(&mut cases, effort);
    let mut chapter = Chapter::new("P11", "The worker's own steps, on the processor's time");
    for ((name, baseline, records), figures) in about.into_iter().zip(&figures) {
        chapter.series.push(Series {
            case: "one record".to_owned(),
            subject: name.to_owned(),
            unit: "ns".to_owned(),
            samples: figures.each(records),
            baseline: baseline.map(str::to_owned),
            goal: None,
        });
    }
    chapter
        .leave(&arguments)
        .context("cannot write the chapter")?;
    writeln!(stdout().lock(), "{}", chapter.markdown())?;
    Ok(())
}
