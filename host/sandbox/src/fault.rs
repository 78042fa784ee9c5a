//! Gives the errors of wasmtime their names. The order of the questions matters: a memory limit and
//! a used-up budget show as traps too, and the cause is more useful than the trap.

use std::sync::Arc;

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::birth::INSTANTIATE;
use crate::context::Unanswered;
use crate::error::CallError;
use crate::limit::{Limit, Refused};
use crate::limits::Limits;
use crate::state::State;
use crate::text;

/// Longest backtrace that is kept, in bytes and in lines.
const BACKTRACE_BYTES: usize = 8_192;
const BACKTRACE_LINES: usize = 60;
/// Longest line of it that is kept, in bytes.
const FRAME_BYTES: usize = 1_024;

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
    if let Some(refused) = state.limiter.refused() {
        return CallError::Memory {
            plugin,
            call,
            breach: refused.to(state.log.who()),
            backtrace,
        };
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) && state.budget.over() {
        return CallError::Cpu {
            plugin,
            call,
            breach: reached(Limit::CallCpu, None, limits).to(state.log.who()),
            backtrace,
        };
    }
    if let Some(refused) = refused(&error, limits) {
        return CallError::Limit {
            plugin,
            call,
            breach: refused.to(state.log.who()),
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
    let reason = text::reason(&cause(&error));
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

/// Names a call that took too long.
pub(crate) fn wall(
    plugin: Arc<str>,
    call: &'static str,
    state: &State,
    limits: &Limits,
) -> CallError {
    let breach = reached(Limit::CallWall, None, limits).to(state.log.who());
    CallError::Wall {
        plugin,
        call,
        breach,
    }
}

fn reached(limit: Limit, asked: Option<u64>, limits: &Limits) -> Refused {
    Refused {
        limit,
        value: limit.of(limits).unwrap_or_default(),
        asked,
    }
}

/// The limit behind an error: ours and those that wasmtime keeps. It keeps the types of most of
/// them to itself; tests watch over the words.
fn refused(error: &wasmtime::Error, limits: &Limits) -> Option<Refused> {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return Some(*refused);
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(reached(Limit::Handles, None, limits));
    }
    error.chain().find_map(|cause| {
        let words = cause.to_string();
        let number = |rest: &str| rest.split(' ').next().and_then(|word| word.parse().ok());
        if words.ends_with("store handle limit exceeded") {
            Some(reached(Limit::Handles, None, limits))
        } else if words.contains("fuel allocated for hostcalls has been exhausted") {
            Some(reached(Limit::HostcallBytes, None, limits))
        } else if let Some(rest) = words.strip_prefix("requested len ") {
            Some(reached(Limit::RandomBytes, number(rest), limits))
        } else if let Some(rest) = words.strip_prefix("resource limit exceeded: ") {
            let (what, asked) = rest.split_once(" count too high at ")?;
            let limit = match what {
                "instance" => Limit::Instances,
                "table" => Limit::Tables,
                "memory" => Limit::Memories,
                _ => return None,
            };
            Some(reached(limit, number(asked), limits))
        } else {
            None
        }
    })
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
    frames(&backtrace.to_string())
}

/// The names in them are the plugin's own, and so may be anything.
fn frames(backtrace: &str) -> String {
    let all = without_hashes(backtrace);
    let lines: Vec<String> = all
        .lines()
        .skip(1)
        .take(BACKTRACE_LINES)
        .map(|line| text::plain(&text::cut(line.trim_end(), FRAME_BYTES)))
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
    fn names_of_functions_neither_steer_a_terminal_nor_fill_the_log() {
        let long = "n".repeat(1 << 20);
        let text = frames(&format!(
            "error:\n 0: a\u{1b}[2J\n 1: b\rc\u{202e}\n 2: {long}\n"
        ));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], [" 0: a\\u{1b}[2J", " 1: b | c\\u{202e}"]);
        assert!(lines.len() == 3 && text.len() < 2_000, "{}", text.len());
    }

    #[test]
    fn only_hashes_go_out_of_symbols() {
        let symbol = "<std[d123b7a1a2ed1472]::io::Stdout as core[6d9e98711c484d2e]::fmt::Write>::write([u8; 4], [";
        assert_eq!(
            without_hashes(symbol),
            "<std::io::Stdout as core::fmt::Write>::write([u8; 4], ["
        );
    }
}
