//! Places between two steps of a promise where a test may kill the process.
//!
//! In a build with debug assertions, `ROCKETMQ_CONNECT_FAILPOINT=<point>:<n>` ends the process as
//! `kill -9` would at the n-th pass of the point, after noting it in the file named by
//! `ROCKETMQ_CONNECT_FAILPOINT_LOG`. In other builds this is nothing at all.

/// The windows in which a crash could lose or repeat something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// A batch has been confirmed by the broker; the worker has not taken note yet.
    SendConfirm,
    /// Everything up to a position is confirmed; the position is not durable yet.
    ConfirmCommit,
    /// A sink took a batch; it has not been flushed.
    PutFlush,
    /// A sink was flushed; the offset is not durable yet.
    FlushOffset,
}

#[cfg(debug_assertions)]
pub(crate) fn pass(point: Point) {
    armed::pass(point);
}

#[cfg(not(debug_assertions))]
pub(crate) fn pass(_: Point) {}

#[cfg(debug_assertions)]
mod armed {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;

    struct Armed {
        point: Point,
        at: u64,
        passed: AtomicU64,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        ARMED
            .get_or_init(|| {
                let text = std::env::var("ROCKETMQ_CONNECT_FAILPOINT").ok()?;
                let (point, at) = text.split_once(':')?;
                let point = match point {
                    "send-confirm" => Point::SendConfirm,
                    "confirm-commit" => Point::ConfirmCommit,
                    "put-flush" => Point::PutFlush,
                    "flush-offset" => Point::FlushOffset,
                    _ => return None,
                };
                Some(Armed {
                    point,
                    at: at.parse().ok()?,
                    passed: AtomicU64::new(0),
                })
            })
            .as_ref()
    }

    pub(super) fn pass(point: Point) {
        let Some(armed) = armed() else { return };
        if armed.point != point || armed.passed.fetch_add(1, Ordering::SeqCst) + 1 != armed.at {
            return;
        }
        if let Some(path) = std::env::var_os("ROCKETMQ_CONNECT_FAILPOINT_LOG") {
            let noted = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .and_then(|mut file| writeln!(file, "{point:?} {}", armed.at));
            if noted.is_err() {
                tracing::error!("the fail point's log cannot be written");
            }
        }
        let me = rustix::process::getpid();
        if rustix::process::kill_process(me, rustix::process::Signal::KILL).is_err() {
            std::process::abort();
        }
        loop {
            std::thread::park();
        }
    }
}
