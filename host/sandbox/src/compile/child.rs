//! What the child process does: binds itself, reads a component, compiles it, writes the code. The
//! bytes are foreign and the compiler is large, so it keeps nothing it could do harm with: it opens
//! no file, writes none, starts nothing, and ends with its parent.

use std::io::{self, Read, Write};
use std::time::Duration;

use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit,
};

use super::{compiling_engine, sealed};
use crate::cache;
use crate::text;

/// Gives way where others want the processor, and still gets on: against a busy thread on its core it
/// has a quarter of it. The lowest priority has one part in seventy, with which a version that comes
/// while connectors keep the machine busy is not there for minutes.
const NICE: i32 = 5;
/// Between the signal that ends a child at its limit and the one that nothing withstands.
const GRACE: u64 = 5;

/// Why a child has no code to give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileFailure {
    /// The compiler refuses the component; its words. To be written to standard error, with exit
    /// code [`CompileFailure::REFUSED`].
    #[error("{0}")]
    Refused(String),
    /// The system does not let it bind itself, so it does nothing.
    #[error("the compiling process cannot set its limits")]
    Limits(#[source] io::Error),
    /// The engine cannot be set up.
    #[error("the compiler cannot be set up: {0}")]
    Engine(String),
    /// The component could not be read, or the code not be written.
    #[error("the compiling process has lost its parent")]
    Parent(#[source] io::Error),
}

impl CompileFailure {
    /// Exit code of a child whose component is at fault.
    pub const REFUSED: u8 = 65;
}

/// Compiles the component that `input` brings and writes the code to `output`, within
/// `memory_bytes` of address space and `cpu_seconds`. The limits hold for the whole process from
/// here on, so it must be one that does nothing else and has one thread.
///
/// # Errors
/// See [`CompileFailure`].
pub fn compile_as_child(
    memory_bytes: u64,
    cpu_seconds: u64,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(), CompileFailure> {
    bind(memory_bytes, cpu_seconds).map_err(CompileFailure::Limits)?;
    let mut bytes = Vec::new();
    input
        .read_to_end(&mut bytes)
        .map_err(CompileFailure::Parent)?;
    let engine =
        compiling_engine().map_err(|error| CompileFailure::Engine(format!("{error:#}")))?;
    let code = engine
        .precompile_component(&bytes)
        .map_err(|error| CompileFailure::Refused(text::reason(&format!("{error:#}"))))?;
    output
        .write_all(&sealed::header(&cache::engine_key(&engine), &code))
        .and_then(|()| output.write_all(&code))
        .and_then(|()| output.flush())
        .map_err(CompileFailure::Parent)
}

fn bind(memory_bytes: u64, cpu_seconds: u64) -> io::Result<()> {
    // A parent that was killed cannot kill. Should it be gone already, there is no more input.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    nice(NICE)?;
    // Should the system run out of memory, this is the process to end. Where it is no Linux of the
    // usual kind, it goes without.
    drop(std::fs::write("/proc/self/oom_score_adj", "1000"));
    let limits = [
        (Resource::As, memory_bytes, memory_bytes),
        (
            Resource::Cpu,
            cpu_seconds,
            cpu_seconds.saturating_add(GRACE),
        ),
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
        // What is open stays so; nothing else is opened.
        (Resource::Nofile, 3, 3),
    ];
    for (resource, current, maximum) in limits {
        // Whoever started the worker may have bound it more tightly.
        let known = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(
            resource,
            Rlimit {
                current: Some(current.min(known)),
                maximum: Some(maximum.min(known)),
            },
        )?;
    }
    Ok(())
}

/// Seconds as they are told to a child: whole, rounded up, at least one.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_budget_is_rounded_to_nothing() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(60)), 60);
    }
}
