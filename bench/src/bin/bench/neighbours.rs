//! P8: what connectors at half their most suffer from a guest that spins, one that takes memory and one
//! that logs. The measurement is the one of `cargo xtask torture neighbours`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use connect_bench::{Chapter, Series};
use connect_tests::neighbours::{self, Change, Hostile, Plan};

use crate::Arguments;

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P8", "Neighbours of hostile guests, at half load");
    let (pairs, hostile) = if arguments.quick {
        (4, vec![Hostile::Spin])
    } else {
        (10, vec![Hostile::Spin, Hostile::Memory, Hostile::Log])
    };
    let plan = Plan {
        hostile,
        pairs: arguments.rounds.unwrap_or(pairs),
        turn: Duration::from_secs(4),
        rate: None,
        extra: String::new(),
    };
    let outcome = neighbours::run(&plan, folder)?;
    let case = format!("four pairs, {} records/s in all", outcome.rate);
    chapter
        .series
        .extend(series(&case, "alone again", &outcome.noise));
    for (hostile, change) in &outcome.changes {
        let holds = change.within(&outcome.noise, neighbours::MARGIN);
        let holds = if holds { "holds" } else { "DOES NOT HOLD" };
        let subject = format!("beside {}: {holds}", hostile.name());
        chapter.series.extend(series(&case, &subject, change));
    }
    Ok(chapter)
}

/// The interval's ends and the median stand for the samples.
fn series(case: &str, subject: &str, change: &Change) -> Vec<Series> {
    [
        ("% of rate", change.rate),
        ("% of p50", change.p50),
        ("% of p99", change.p99),
    ]
    .map(|(unit, interval)| Series {
        case: case.to_owned(),
        subject: subject.to_owned(),
        unit: unit.to_owned(),
        samples: vec![interval.ends.0, interval.median, interval.ends.1],
        baseline: None,
        goal: None,
    })
    .into()
}
