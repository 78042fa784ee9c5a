//! `cargo xtask quickstart`: from a fresh checkout to records on their way, and everything left
//! running to play with.
//!
//! Must never touch a folder that it did not make, nor a process that it did not start.

mod options;
mod progress;
mod report;
mod sample;
mod services;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cargo::{self, Folders};
use crate::process::Interrupt;
use crate::wasm;

use options::Options;
use progress::Progress;
use report::Phases;
use sample::Sample;
use services::Services;

/// Runs the command; false when what arrived is not what was sent.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let options = Options::read(arguments)?;
    let mut phases = Phases::begin();
    let folders = Folders::find()?;
    options.check_ports()?;

    println!("Building the worker and the connectors (minutes the first time)");
    wasm::ensure_target(&folders.root)?;
    let connectors = wasm::begin_plugins(&folders, options.jobs)?;
    let mut worker = cargo::cargo(&folders.root);
    worker.args(["build", "-p", "rocketmq-connect"]);
    cargo::run(cargo::jobs(&mut worker, options.jobs))?;
    connectors.finish(&folders)?;
    phases.note("build");

    // A build takes long enough for someone else to take a port.
    options.check_ports()?;
    let interrupt = Interrupt::watch()?;
    let directory = options::prepare(&options.directory(&folders))?;
    let sample = Sample::write(&directory, options.lines)?;
    let mut services = Services::start(&folders, &directory, &options, &interrupt)?;
    phases.note("start");

    let outcome = move_sample(&mut services, &sample, &mut phases, &interrupt);
    let matched = match outcome {
        Ok(matched) => matched,
        Err(error) => {
            services.stop()?;
            return Err(error);
        }
    };
    phases.print();
    if matched && !options.once {
        report::where_things_are(&services, &sample);
        wait_for_interrupt(&mut services, &interrupt)?;
    }
    services.stop()?;
    Ok(matched)
}

/// Creates the connectors and watches until every line is there.
fn move_sample(
    services: &mut Services,
    sample: &Sample,
    phases: &mut Phases,
    interrupt: &Interrupt,
) -> Result<bool> {
    services.create_connectors(sample)?;
    let mut progress = Progress::new(sample);
    while !progress.complete() {
        if interrupt.seen() {
            bail!("interrupted");
        }
        services.check()?;
        let moved = progress.look()?;
        if moved {
            phases.note_once("first record");
        }
        if let Some(stalled) = progress.stalled() {
            bail!(
                "nothing arrived for {} s\n{}",
                stalled.as_secs(),
                services.statuses()
            );
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    phases.note("all records");
    progress.finish();
    sample.compare()
}

fn wait_for_interrupt(services: &mut Services, interrupt: &Interrupt) -> Result<()> {
    while !interrupt.seen() {
        services.check()?;
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let begun = Instant::now();
    println!("\nStopping");
    services.stop()?;
    println!("Stopped in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}
