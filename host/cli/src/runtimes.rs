//! The threads of a worker: guests on their own, REST on its own, worker and broker on theirs, so
//! that neither a guest that computes nor a broker that is slow keeps REST from answering. Guests that
//! compute a lot do it on further threads, which leave their core to everyone else.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use connect_sandbox::Lanes;
use tokio::runtime::{Builder, Runtime};

/// Three tokio runtimes.
pub(crate) struct Runtimes {
    /// Runs plugins and nothing else; threads `guest-N`.
    guests: Runtime,
    /// Where plugins run: there, and aside.
    pub(crate) lanes: Lanes,
    /// Answers REST; threads `rest-N`.
    pub(crate) rest: Runtime,
    /// Everything else; threads `worker-N`.
    pub(crate) worker: Runtime,
}

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn start() -> std::io::Result<Self> {
        let cores = available_parallelism().map_or(2, NonZero::get).max(2);
        let guests = runtime("guest", cores)?;
        Ok(Self {
            lanes: Lanes::start(guests.handle().clone(), cores)?,
            guests,
            rest: runtime("rest", 1)?,
            worker: runtime("worker", cores)?,
        })
    }

    /// Lets go of all threads; what still runs on them ends with the process.
    pub(crate) fn leave(self) {
        self.rest.shutdown_background();
        self.guests.shutdown_background();
        // The broker's client may still have something to put away.
        self.worker.shutdown_timeout(Duration::from_millis(100));
    }
}

/// A multi-threaded runtime whose threads bear its name.
///
/// # Errors
/// The system gives no more threads.
pub(crate) fn runtime(name: &'static str, threads: usize) -> std::io::Result<Runtime> {
    let number = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name_fn(move || format!("{name}-{}", number.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
}
