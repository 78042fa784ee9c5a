//! What the wall costs: batches into a real plugin and out of it, beside a plain copy of the same bytes and beside
//! the same work done natively behind a trait object, in one run. Must keep every check on that the worker has on.
//!
//! ```text
//! cargo bench -p connect-bench                 the whole table and the targets
//! cargo bench -p connect-bench -- --quick      512 records of 256 bytes alone
//! cargo bench -p connect-bench -- --strict     fails if a target is missed
//! cargo bench -p connect-bench -- --chapter F  writes the figures to F for a report as well
//! ```

mod cell;
mod guests;
mod native;

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_bench::{Chapter, Effort, Figures, Goal, Ratio, Series, Table};

use cell::{Cell, Measured};
use guests::Guests;

/// Records a batch, bytes a value.
const CELLS: [(usize, usize); 9] = [
    (1, 64),
    (1, 256),
    (1, 1_024),
    (32, 64),
    (32, 256),
    (32, 1_024),
    (512, 64),
    (512, 256),
    (512, 1_024),
];

/// The cell that the targets are about.
const TARGET: (usize, usize) = (512, 256);

/// Most times a plain copy that putting and reading may take.
const READ_OVER_COPY: f64 = 2.5;
/// Most times the native figure that polling may take.
const POLL_OVER_NATIVE: f64 = 1.8;
/// Most times the native figure that applying may take.
const APPLY_OVER_NATIVE: f64 = 1.6;
/// Most nanoseconds that a batch of one may take.
const ONE: f64 = 2_000.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let (quick, strict) = (has("--quick"), has("--strict"));
    let effort = Effort {
        rounds: 25,
        sample: Duration::from_millis(5),
    };

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guests = runtime.block_on(Guests::load())?;
    let mut table = Table::new(&[
        "records x bytes, case",
        "ns a record",
        "x copy",
        "x native",
        "quartiles",
    ]);
    let mut verdict = None;
    let mut chapter = Chapter::new("P1", "Crossing the wall, on the processor's time");
    for cell in CELLS {
        if quick && cell != TARGET {
            continue;
        }
        let measured = Cell::new(&runtime, &guests, cell.0, cell.1)?.measure(effort);
        rows(&mut table, cell, &measured);
        chapter.series.extend(series(cell, &measured));
        if cell == TARGET {
            verdict = Some(measured);
        }
    }
    let measured = verdict.context("the targets' cell was not measured")?;
    let (text, met) = targets(&measured);
    chapter
        .leave(&arguments)
        .context("cannot write the chapter")?;
    let mut out = stdout().lock();
    writeln!(out, "{table}\n{text}")?;
    ensure!(met || !strict, "a target is missed");
    Ok(())
}

fn rows(table: &mut Table, (records, bytes): (usize, usize), measured: &Measured) {
    let mut row = |case: &str, figures: &Figures, native: Option<&Figures>| {
        let ratio = native.map(|native| figures.over(native));
        let copy = figures.over(&measured.copy);
        let spread = ratio.unwrap_or(copy);
        table.row(vec![
            format!("{records} x {bytes} {case}"),
            format!("{:.1}", figures.median() / records as f64),
            format!("{:.2}", copy.median),
            ratio
                .map(|ratio| format!("{:.2}", ratio.median))
                .unwrap_or_default(),
            format!("{:.2}-{:.2}", spread.low, spread.high),
        ]);
    };
    row("copy of the bytes", &measured.copy, None);
    row("check alone", &measured.check, None);
    row("put", &measured.put, None);
    row("put and read", &measured.read, Some(&measured.native_read));
    row("poll", &measured.poll, Some(&measured.native_poll));
    row("apply", &measured.apply, Some(&measured.native_apply));
    row("native read", &measured.native_read, None);
    row("native poll", &measured.native_poll, None);
    row("native apply", &measured.native_apply, None);
}

/// The same for a report.
fn series((records, bytes): (usize, usize), measured: &Measured) -> Vec<Series> {
    let target = (records, bytes) == TARGET;
    let most = |ratio: f64| target.then_some(Goal::AtMost((ratio * 1e3) as u32));
    let one = (records == 1).then_some(Goal::Below((ONE * 1e3) as u32));
    let copy = Some("copy");
    let all: [(&str, &Figures, Option<&str>, Option<Goal>); 9] = [
        ("copy", &measured.copy, None, None),
        ("check alone", &measured.check, copy, None),
        ("put", &measured.put, copy, one),
        (
            "put and read",
            &measured.read,
            copy,
            most(READ_OVER_COPY).or(one),
        ),
        ("native poll", &measured.native_poll, None, None),
        (
            "poll",
            &measured.poll,
            Some("native poll"),
            most(POLL_OVER_NATIVE).or(one),
        ),
        ("native apply", &measured.native_apply, None, None),
        (
            "apply",
            &measured.apply,
            Some("native apply"),
            most(APPLY_OVER_NATIVE).or(one),
        ),
        ("native read", &measured.native_read, None, None),
    ];
    all.map(|(subject, figures, baseline, goal)| Series {
        case: format!("{records} x {bytes} B"),
        subject: subject.to_owned(),
        unit: "ns a record".to_owned(),
        samples: figures.each(records),
        baseline: baseline.map(str::to_owned),
        goal,
    })
    .into()
}

/// What the targets say, and whether all are met.
fn targets(measured: &Measured) -> (String, bool) {
    let lines: [(&str, Ratio, f64); 3] = [
        (
            "put and read / copy",
            measured.read.over(&measured.copy),
            READ_OVER_COPY,
        ),
        (
            "poll / native poll",
            measured.poll.over(&measured.native_poll),
            POLL_OVER_NATIVE,
        ),
        (
            "apply / native apply",
            measured.apply.over(&measured.native_apply),
            APPLY_OVER_NATIVE,
        ),
    ];
    let mut table = Table::new(&[
        "target at 512 records of 256 bytes",
        "at most",
        "median",
        "quartiles",
        "",
    ]);
    for (name, ratio, most) in &lines {
        let met = if ratio.high <= *most { "met" } else { "MISSED" };
        table.row(vec![
            (*name).to_owned(),
            format!("{most:.1}"),
            format!("{:.2}", ratio.median),
            format!("{:.2}-{:.2}", ratio.low, ratio.high),
            met.to_owned(),
        ]);
    }
    (
        table.to_string(),
        lines.iter().all(|(_, ratio, most)| ratio.high <= *most),
    )
}
