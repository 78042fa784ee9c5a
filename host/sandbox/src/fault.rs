//! Gives the errors of wasmtime their names. The order of the questions matters: a memory limit and
//! a used-up budget show as traps too, and the cause is more useful than the trap.

use std::sync::Arc;

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::birth::INSTANTIATE;
use crate::context::Unanswered;
use crate::error::CallError;
use crate::limits::Limits;
use crate::state::State;
use crate::text;

/// Longest backtrace that is kept, in bytes and in lines.
const BACKTRACE_BYTES: usize = 8_192;
const BACKTRACE_LINES: usize = 60;

/// Names what ended a call.
pub(crate) fn name(
    plugin: Arc<str>,
    call: &'static str,
    error: wasmtime::Error,
    state: &State,
    limits: &Limits,
) -> CallError {
    // First of all, since whatever else happened in the call, it is the worker that ended it.
    let error = match error.downcast::<Unanswered>() {
        Ok(Unanswered { step, source }) => {
            return CallError::Host {
                plugin,
                call,
                step,
                source,
            };
        }
        Err(error) => error,
    };
    let stack = error.downcast_ref::<WasmBacktrace>();
    let backtrace = stack.map(render).unwrap_or_default();
    if let Some(breach) = state.limiter.breach() {
        let (what, asked, limit) = (breach.what, breach.asked, breach.limit);
        return CallError::Memory {
            plugin,
            call,
            what,
            asked,
            limit,
            backtrace,
        };
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) && state.slices.spent() {
        return CallError::Cpu {
            plugin,
            call,
            limit: limits.call_cpu,
            backtrace,
        };
    }
    let said = state.log.last_words();
    if let Some(trap) = trap {
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap).to_owned();
        return CallError::Trap {
            plugin,
            call,
            trap,
            said,
            backtrace,
        };
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        let trap = format!("it left with exit code {code}");
        return CallError::Trap {
            plugin,
            call,
            trap,
            said,
            backtrace,
        };
    }
    let reason = match error.downcast_ref() {
        Some(ResourceTableError::Full) => {
            format!("more handles than the limit of {}", limits.handles)
        }
        _ => text::reason(&cause(&error)),
    };
    // wasmtime keeps the type of this one to itself; a test watches over the words.
    if reason.contains("fuel allocated for hostcalls has been exhausted") {
        let reason = "more data at once than the limit allows".to_owned();
        return CallError::Answer {
            plugin,
            call,
            reason,
        };
    }
    match stack {
        // Stopped by the host in the middle of the guest's code: a call that breaks the rules.
        Some(_) => CallError::Trap {
            plugin,
            call,
            trap: reason,
            said,
            backtrace,
        },
        // No guest code on the stack: there was nothing to call yet, or the answer cannot be read.
        None if call == INSTANTIATE => CallError::Host {
            plugin,
            call,
            step: "making an instance",
            source: reason.into(),
        },
        None => CallError::Answer {
            plugin,
            call,
            reason,
        },
    }
}

/// The causes from the outermost in, without the backtrace that wasmtime puts among them.
fn cause(error: &wasmtime::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in error.chain().map(ToString::to_string) {
        if !part.starts_with("error while executing at wasm backtrace")
            && parts.last() != Some(&part)
        {
            parts.push(part);
        }
    }
    parts.join(": ")
}

/// The frames, demangled and with file and line where the plugin carries them, one a line.
fn render(backtrace: &WasmBacktrace) -> String {
    let all = without_hashes(&backtrace.to_string());
    let lines: Vec<&str> = all
        .lines()
        .skip(1)
        .take(BACKTRACE_LINES)
        .map(str::trim_end)
        .collect();
    text::cut(&lines.join("\n"), BACKTRACE_BYTES).into_owned()
}

/// Takes out the `[0123456789abcdef]` that Rust's symbols carry behind each crate's name.
fn without_hashes(text: &str) -> String {
    const HASH: usize = 16;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        rest = match after.split_once(']') {
            Some((hash, tail))
                if hash.len() == HASH && hash.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                tail
            }
            _ => {
                out.push('[');
                after
            }
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_go_out_of_symbols() {
        let symbol = "<std[d123b7a1a2ed1472]::io::Stdout as core[6d9e98711c484d2e]::fmt::Write>::write([u8; 4], [";
        assert_eq!(
            without_hashes(symbol),
            "<std::io::Stdout as core::fmt::Write>::write([u8; 4], ["
        );
    }
}
