//! `rocketmq-connect compile`: the child process in which a worker has a plugin compiled. Not for
//! people. Must never do anything but that: it reads foreign bytes.

use connect_sandbox::{CompileFailure, compile_as_child};
use std::io::Write as _;
use std::process::ExitCode;

/// Component on standard input, code on standard output, what went wrong on standard error.
pub(crate) fn run(memory_bytes: u64, cpu_seconds: u64) -> ExitCode {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let Err(failure) = compile_as_child(memory_bytes, cpu_seconds, &mut input, &mut output) else {
        return ExitCode::SUCCESS;
    };
    // The bare words: they become part of the worker's message.
    let mut text = failure.to_string();
    if let Some(cause) = std::error::Error::source(&failure) {
        text = format!("{text}: {cause}");
    }
    // Where nobody listens any more, the exit code has to do.
    drop(write!(std::io::stderr(), "{text}"));
    match failure {
        CompileFailure::Refused(_) => ExitCode::from(CompileFailure::REFUSED),
        _ => ExitCode::FAILURE,
    }
}
