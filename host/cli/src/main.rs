//! `rocketmq-connect`: the one binary. Reads the command line, does what it says, and is the only
//! place that knows exit codes: 0 for success, 2 for arguments or configuration that cannot be
//! understood, 1 for everything else.
#![recursion_limit = "512"]

mod arguments;
mod commands;
mod config;
mod failure;
mod logging;
mod output;
mod runtimes;
mod signals;

use arguments::{Arguments, Command};
use clap::Parser as _;
use failure::Failure;
use std::io::Write as _;
use std::process::ExitCode;

/// The C library's allocator keeps what each thread has freed in an arena of that thread's own, so
/// large records that are read on one thread and sent on another let the worker's memory wander.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Also `--help` and `--version`, with code 0 and on standard output.
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    match run(arguments.command) {
        Ok(code) => code,
        Err(failure) => {
            // Where standard error is closed, the exit code has to do.
            drop(writeln!(
                std::io::stderr(),
                "rocketmq-connect: {}",
                failure.text()
            ));
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let done = match command {
        Command::Standalone { config } => {
            let settings = config::load(&config).map_err(Failure::configuration)?;
            logging::start()?;
            commands::standalone::run(settings)
        }
        Command::Broker {
            directory,
            namesrv_port,
            broker_port,
        } => {
            logging::start()?;
            commands::broker::run(&directory, namesrv_port, broker_port)
        }
        Command::Store {
            directory,
            output,
            what,
        } => commands::store::run(&directory, output, &what),
        Command::Plugin { output, what } => {
            logging::start()?;
            commands::plugin::run(output, &what)
        }
        // Before anything else is set up: it gives up what it could do harm with.
        Command::Compile {
            memory_bytes,
            cpu_seconds,
        } => return Ok(commands::compile::run(memory_bytes, cpu_seconds)),
    };
    done.map(|()| ExitCode::SUCCESS)
}
