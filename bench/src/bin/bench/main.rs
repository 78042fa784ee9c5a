//! `cargo xtask bench`: what the worker does beside its baselines, as whole processes on one machine in
//! one run. Each chapter is a module; this one only reads the arguments and writes the report.
//!
//! Must count what has arrived, never what was sent; and must know the worker from outside alone.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its figures are its purpose"
)]

mod beside;
mod beside_java;
mod beside_kafka;
mod case;
mod idle;
mod java_connect;
mod kafka;
mod latency;
mod machine;
mod neighbours;
mod pipeline;
mod room;
mod scale;
mod stage;
mod start;
mod swaps;
mod turns;
mod wall;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use connect_bench::Chapter;
use serde_json::{Value, json};

/// What is measured and how thoroughly.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// A developer's own before and after in three minutes: few cases and rounds, and only P2, P5, P6 and
    /// P10 unless others are asked for.
    #[arg(long)]
    quick: bool,
    /// Only these chapters, such as P2,P10.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Rounds of each case.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only cases whose name holds this text.
    #[arg(long)]
    case: Option<String>,
    /// A folder with the source of RocketMQ Connect in Java, for P3; without it that has the worker alone.
    #[arg(long)]
    java_connect: Option<PathBuf>,
    /// Where report.md and report.json go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Where the data of brokers and workers goes for the time of the run.
    #[arg(long)]
    directory: Option<PathBuf>,
}

impl Arguments {
    /// Rounds of each case: as asked for, or `full`, or three where it is to be quick.
    pub(crate) fn rounds(&self, full: usize) -> usize {
        let usual = if self.quick { 3 } else { full };
        self.rounds.unwrap_or(usual).max(1)
    }

    /// Whether a case is wanted.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.case.as_ref().is_none_or(|part| case.contains(part))
    }
}

type Measure = fn(&Arguments, &Path) -> Result<Chapter>;

/// In the order of the report.
const CHAPTERS: [(&str, Measure); 11] = [
    ("P1", wall::boundary),
    ("P2", pipeline::measure),
    ("P3", beside_java::measure),
    ("P4", beside_kafka::measure),
    ("P5", swaps::measure),
    ("P6", start::measure),
    ("P7", idle::measure),
    ("P8", neighbours::measure),
    ("P9", scale::measure),
    ("P10", latency::measure),
    ("P11", wall::host),
];

/// What a quick run is about: the worker's own cost, by what takes seconds. Others are compared with, and
/// many connectors started, where they are asked for.
const QUICK: [&str; 4] = ["P2", "P5", "P6", "P10"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    for name in &arguments.only {
        let known = CHAPTERS.iter().any(|(id, _)| id == name);
        ensure!(known, "there is no chapter {name}");
    }
    let temporary = match &arguments.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("cannot make a folder for the data")?;
    let begun = Instant::now();
    let before = machine::describe();
    let mut chapters = Vec::new();
    let mut failed = Vec::new();
    for (id, measure) in CHAPTERS {
        let only = &arguments.only;
        let wanted = match only.is_empty() {
            true => !arguments.quick || QUICK.contains(&id),
            false => only.iter().any(|name| name == id),
        };
        if !wanted {
            continue;
        }
        let folder = temporary.path().join(id);
        std::fs::create_dir_all(&folder).context("cannot make a folder for the data")?;
        // one that fails takes no other's hours with it
        match measure(&arguments, &folder) {
            Ok(chapter) => {
                println!("{}", chapter.markdown());
                chapters.push(chapter);
                write(&arguments.out, &before, &chapters)?;
            }
            Err(error) => {
                eprintln!("{id} failed: {error:#}");
                failed.push(id);
            }
        }
    }
    println!(
        "took {:.0} s; the report is in {}",
        begun.elapsed().as_secs_f64(),
        arguments.out.display()
    );
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// After each chapter, so that a run that breaks off leaves what it has.
fn write(folder: &Path, machine: &Value, chapters: &[Chapter]) -> Result<()> {
    std::fs::create_dir_all(folder).context("cannot make the report's folder")?;
    let mut text = format!("# Measured\n\n{}\n", machine::markdown(machine));
    for chapter in chapters {
        text.push_str(&chapter.markdown());
        text.push('\n');
    }
    std::fs::write(folder.join("report.md"), text).context("cannot write the report")?;
    let chapters: Vec<Value> = chapters.iter().map(Chapter::json).collect();
    let whole = json!({"machine": machine, "chapters": chapters});
    let whole = serde_json::to_vec_pretty(&whole)?;
    std::fs::write(folder.join("report.json"), whole).context("cannot write the report")
}
