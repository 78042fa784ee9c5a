//! `cargo xtask test`: everything that a change must pass, in one command, with a summary at the
//! end. CI runs this and nothing else.
//!
//! One feature set and one profile for every step, so that nothing is compiled twice.

mod counts;
mod steps;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::cargo::Folders;
use crate::wasm;

use counts::Counts;
use steps::Step;

/// How one step ended.
struct Outcome {
    name: String,
    took: Duration,
    counts: Counts,
    error: Option<anyhow::Error>,
}

/// Runs the command; false when a step failed.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let mut arguments = Arguments::new(arguments);
    let jobs = arguments.value("--jobs")?;
    let wanted = arguments.operands()?;
    let folders = Folders::find()?;
    let steps = chosen(&folders, &wanted)?;

    wasm::ensure_target(&folders.root)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for step in steps {
        let name = step.name();
        println!("\n=== {name} ===");
        let begun = Instant::now();
        let (counts, error) = match step.run(&folders, jobs) {
            Ok(counts) => (counts, None),
            Err(failure) => (failure.counts, Some(failure.error)),
        };
        let broken = error.is_some() && step.others_need_it();
        outcomes.push(Outcome {
            name,
            took: begun.elapsed(),
            counts,
            error,
        });
        if broken {
            break;
        }
    }
    Ok(summary(&outcomes))
}

/// The steps that were named; all of them when none was.
fn chosen(folders: &Folders, wanted: &[String]) -> Result<Vec<Step>> {
    if wanted.is_empty() {
        return Ok(Step::all());
    }
    let suites = steps::suites(&folders.root)?;
    let mut steps = Vec::new();
    let mut builds = false;
    for name in wanted {
        match name.as_str() {
            "lint" => steps.extend(Step::lint()),
            "docs" => steps.push(Step::Documentation),
            "unit" => steps.extend([Step::Components, Step::NativeGuests, Step::Unit]),
            "batches" => steps.push(Step::Batches),
            suite if suites.iter().any(|known| known == suite) => {
                if !std::mem::replace(&mut builds, true) {
                    steps.extend([Step::Components, Step::Worker]);
                }
                steps.push(Step::Suite(suite.to_owned()));
            }
            other => bail!(
                "there is no part `{other}`; there are lint, docs, unit, batches, {}",
                suites.join(", ")
            ),
        }
    }
    Ok(steps)
}

/// Prints how each step went and the totals; true when all is well.
fn summary(outcomes: &[Outcome]) -> bool {
    let mut total = Counts::default();
    println!("\n=== summary ===");
    for outcome in outcomes {
        total.add(&outcome.counts);
        let word = if outcome.error.is_none() {
            "ok    "
        } else {
            "FAILED"
        };
        println!(
            "{word} {:<44} {:>6.1} s  {}",
            outcome.name,
            outcome.took.as_secs_f64(),
            outcome.counts
        );
    }
    for skipped in &total.skipped {
        println!("skipped: {skipped}");
    }
    for failed in &total.failures {
        println!("failed: {failed}");
    }
    let mut broken = 0;
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            println!("error in {}: {error:#}", outcome.name);
            // A step that failed without a failing test, such as a lint, counts as one.
            broken += u64::from(outcome.counts.failed == 0);
        }
    }
    let failed = total.failed + broken;
    println!(
        "{} passed, {failed} failed, {} skipped",
        total.passed,
        total.skipped.len() as u64 + total.ignored
    );
    failed == 0
}
