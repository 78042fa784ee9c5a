//! Standard output and error of a guest: lines for its log. Writing never waits and never fails, so
//! that a printing guest cannot be slowed down or stopped by whoever reads the log.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::log::{Level, PluginLog};

/// Bytes without a line end that are kept; then they are logged as a line of their own.
const PENDING_BYTES: usize = 4_096;
/// What a guest may write at once; it then asks again.
const PERMIT_BYTES: usize = 64 << 10;

/// One of the two streams. All handles the guest takes on it share one unfinished line.
#[derive(Clone)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

struct Shared {
    log: Arc<PluginLog>,
    level: Level,
    origin: &'static str,
    pending: Mutex<Vec<u8>>,
}

impl Lines {
    pub(crate) fn stdout(log: &Arc<PluginLog>) -> Self {
        Self::new(log, Level::Info, "stdout")
    }

    pub(crate) fn stderr(log: &Arc<PluginLog>) -> Self {
        Self::new(log, Level::Warn, "stderr")
    }

    fn new(log: &Arc<PluginLog>, level: Level, origin: &'static str) -> Self {
        let log = Arc::clone(log);
        Self {
            shared: Arc::new(Shared {
                log,
                level,
                origin,
                pending: Mutex::default(),
            }),
        }
    }
}

impl Shared {
    fn write(&self, bytes: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for chunk in piece.chunks(PENDING_BYTES) {
                pending.extend_from_slice(chunk);
                if pending.ends_with(b"\n") || pending.len() >= PENDING_BYTES {
                    self.log_line(&pending);
                    pending.clear();
                }
            }
        }
    }

    fn log_line(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.is_empty() {
            self.log.write(self.level, self.origin, text);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let pending = std::mem::take(
            self.pending
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if !pending.is_empty() {
            self.log_line(&pending);
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    /// Serves the other WASI versions only, none of which is linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.shared.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Who;

    fn log() -> Arc<PluginLog> {
        Arc::new(PluginLog::new(
            Who {
                plugin: "p".into(),
                connector: "c".into(),
                task: 0,
            },
            &crate::Limits::default(),
            crate::Meter::default(),
        ))
    }

    #[test]
    fn pieces_make_lines_and_an_endless_line_is_cut() {
        let log = log();
        let lines = Lines::stderr(&log);
        lines.shared.write(b"one");
        assert_eq!(log.last_words(), None);
        lines.shared.write(b" line\r\nand an");
        assert_eq!(log.last_words().as_deref(), Some("one line"));
        lines.shared.write(&vec![b'x'; 3 * PENDING_BYTES]);
        assert!(lines.shared.pending.lock().unwrap().len() < PENDING_BYTES);
    }

    #[test]
    fn the_rest_of_a_line_is_logged_when_the_instance_goes() {
        let log = log();
        let lines = Lines::stderr(&log);
        lines
            .clone()
            .write(Bytes::from_static(b"last gasp \xff"))
            .unwrap();
        drop(lines);
        assert_eq!(log.last_words().as_deref(), Some("last gasp \u{fffd}"));
    }
}
