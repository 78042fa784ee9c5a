//! Drivers that stand in for the worker, so that a connector is tested as ordinary Rust, without
//! Wasm and without a broker. Only what a worker does around one task; no timing, no threads.
//!
//! A driver calls the plugin through the same code as a component does, so defaults, late failures
//! and null values behave alike. What is not here: limits, grants and traps, which are the host's.

mod record;
mod sink;
mod source;
mod transform;

pub use record::{TestRecord, record};
pub use sink::SinkDriver;
pub use source::{Polled, SourceDriver};
pub use transform::{Applied, TransformDriver};

use crate::host::double::{self, Double};

/// Runs `act` with `host` as this thread's host.
fn on<R>(host: &mut Double, act: impl FnOnce() -> R) -> R {
    /// Swaps back even when a plugin panics, so that one failed test does not spoil another.
    struct Back<'a>(&'a mut Double);
    impl Drop for Back<'_> {
        fn drop(&mut self) {
            double::swap(self.0);
        }
    }
    double::swap(host);
    let _back = Back(host);
    act()
}
