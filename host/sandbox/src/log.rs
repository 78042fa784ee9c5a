//! Where a guest's words go: its log calls, and what it prints. All of it ends as events of the
//! tracing target `plugin`, one line each, rate-limited per instance, never on the worker's own
//! standard streams. A guest can neither forge a line nor fill the disk faster than its limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::gate::{Dropped, Gate};
use crate::lanes;
use crate::limit::{Limit, Refused};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::text;

/// Longest line that is logged, in bytes; a longer one is cut.
const LINE_BYTES: usize = 4_096;
/// How much of what was printed last is kept to explain a trap, in lines and in bytes a line.
const LAST_LINES: usize = 4;
const LAST_LINE_BYTES: usize = 512;

/// Level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// On whose behalf lines are written.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) plugin: Arc<str>,
    /// Empty while a plugin is only asked about itself.
    pub(crate) connector: Arc<str>,
    pub(crate) task: u32,
}

/// One instance's log.
#[derive(Debug)]
pub(crate) struct PluginLog {
    who: Who,
    lines_per_second: u32,
    bytes_per_second: u32,
    meter: Meter,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    gate: Gate,
    last: VecDeque<String>,
}

impl PluginLog {
    pub(crate) fn new(who: Who, limits: &Limits, meter: Meter) -> Self {
        let (lines, bytes) = (limits.log_lines_per_second, limits.log_bytes_per_second);
        Self {
            who,
            lines_per_second: lines,
            bytes_per_second: bytes,
            meter,
            state: Mutex::new(State {
                gate: Gate::new(lines, bytes, Instant::now()),
                last: VecDeque::new(),
            }),
        }
    }

    /// On whose behalf lines are written.
    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    /// Writes one line. `origin` is `log`, `stdout` or `stderr`.
    pub(crate) fn write(&self, level: Level, origin: &'static str, line: &str) {
        let (written, passed) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if origin == "stderr" {
                state.remember(line);
            }
            // Lines that nobody sees cost nothing, so they do not use up the limits either.
            if !level.is_seen() {
                return;
            }
            // Counted is what is written: escapes make a line many times as long as the guest's.
            let written = text::plain(&text::cut(line, LINE_BYTES));
            let passed = state.gate.pass(Instant::now(), written.len());
            (written, passed)
        };
        let bytes = written.len() as u64;
        match passed {
            Ok(dropped) => {
                self.meter.logged(bytes);
                self.report(&dropped);
            }
            Err(held) => {
                self.meter.dropped(bytes);
                if held.first {
                    self.meter.breach(held.limit);
                }
                return;
            }
        }
        self.emit(level, origin, written);
    }

    fn emit(&self, level: Level, origin: &'static str, line: String) {
        let who = self.who.clone();
        lanes::properly(move || emit(&who, level, origin, &line));
    }

    /// Forgets what was printed: a new call begins.
    pub(crate) fn begin(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last
            .clear();
    }

    /// The last lines on standard error since [`Self::begin`]: a panic's message, as a rule.
    pub(crate) fn last_words(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<&str> = state.last.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }

    fn report(&self, all: &[Dropped]) {
        for Dropped { limit, lines } in all {
            let value = match limit {
                Limit::LogBytes => self.bytes_per_second,
                _ => self.lines_per_second,
            };
            let refused = Refused {
                limit: *limit,
                value: value.into(),
                asked: None,
            };
            let line = format!("{lines} lines were dropped: {}", refused.to(&self.who));
            self.emit(Level::Warn, "log", line);
        }
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let dropped = state.gate.dropped();
        self.report(&dropped);
    }
}

impl State {
    fn remember(&mut self, line: &str) {
        // Rust's own advice on how to see more cannot be followed in a sandbox.
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last
            .push_back(text::plain(&text::cut(line, LAST_LINE_BYTES)));
    }
}

impl Level {
    /// Whether anyone listens to lines of this level.
    fn is_seen(self) -> bool {
        match self {
            Self::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
            Self::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Self::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            Self::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            Self::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        }
    }
}

fn emit(who: &Who, level: Level, origin: &'static str, line: &str) {
    let Who {
        plugin,
        connector,
        task,
    } = who;
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(target: "plugin", tracing::Level::$level,
                %plugin, %connector, task, origin, "{line}")
        };
    }
    match level {
        Level::Trace => event!(TRACE),
        Level::Debug => event!(DEBUG),
        Level::Info => event!(INFO),
        Level::Warn => event!(WARN),
        Level::Error => event!(ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Listens to everything and keeps nothing.
    struct Listener;

    impl tracing::Subscriber for Listener {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {}
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn bytes_are_counted_as_they_are_written() {
        let who = Who {
            plugin: "p".into(),
            connector: "c".into(),
            task: 0,
        };
        let meter = Meter::default();
        let limits = Limits {
            log_bytes_per_second: 1_000,
            ..Limits::default()
        };
        let log = PluginLog::new(who, &limits, meter.clone());
        tracing::subscriber::with_default(Listener, || {
            log.write(Level::Warn, "log", &"\u{7}".repeat(150));
            let usage = meter.read();
            assert_eq!((usage.log_lines, usage.log_bytes), (1, 150 * 5));
            log.write(Level::Warn, "log", &"\u{7}".repeat(150));
        });
        let usage = meter.read();
        assert_eq!((usage.log_lines_dropped, usage.log_bytes_dropped), (1, 750));
        assert_eq!(usage.breaches, [(Limit::LogBytes, 1)]);
    }

    #[test]
    fn the_last_words_are_bounded_and_of_the_present_call() {
        let who = Who {
            plugin: "p".into(),
            connector: "c".into(),
            task: 0,
        };
        let log = PluginLog::new(who, &Limits::default(), Meter::default());
        for number in 0..100 {
            log.write(
                Level::Warn,
                "stderr",
                &format!("line {number} {}", "x".repeat(10_000)),
            );
        }
        log.write(Level::Info, "stdout", "not an error");
        let words = log.last_words().unwrap();
        assert!(words.starts_with("line 96 "), "{words}");
        assert!(words.len() < LAST_LINES * (LAST_LINE_BYTES + 40));
        log.begin();
        assert_eq!(log.last_words(), None);
    }
}
