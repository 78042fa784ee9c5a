//! The epoch ticker: one thread of its own, since a runtime full of busy guests would delay its
//! timers. It ticks only while guest code is on some thread, and sleeps otherwise: an idle worker
//! wakes for nothing. It must never do anything but tick.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

/// Ticks without a running guest after which the thread goes to sleep. Waking it costs a system
/// call, so it outlasts the short gaps between the calls of a busy task.
const LINGER: u32 = 64;

/// Handle of the ticker thread, which ends when the last clone of the `Arc` around it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Guest code is on this thread until the value is dropped.
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(engine: EngineWeak, tick: Duration) -> std::io::Result<Self> {
        let tick = tick.max(Duration::from_micros(50));
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("connect-epoch".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &engine, tick)
        })?;
        // Set once, here; until then a wake-up is not lost, since the thread starts awake and the
        // caller cannot have entered a guest yet.
        shared.thread.get_or_init(|| thread.thread().clone());
        Ok(Self { shared })
    }

    /// Keeps the epoch moving until the answer is dropped.
    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.shared.wake();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.asleep.store(true, Ordering::SeqCst);
        self.shared.wake();
    }
}

fn run(shared: &Shared, engine: &EngineWeak, tick: Duration) {
    let mut idle = 0;
    while !shared.stopped.load(Ordering::SeqCst) {
        pause(tick);
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = 0;
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        } else {
            idle += 1;
        }
        if idle >= LINGER {
            sleep(shared);
            idle = 0;
        }
    }
}

/// One tick, however often the thread is woken meanwhile: an early tick would shorten every budget.
fn pause(tick: Duration) {
    let end = Instant::now() + tick;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// Parks until a guest runs or the ticker is dropped. The flag is set before the count is read and
/// `enter` does it the other way round, so one of the two always sees the other.
fn sleep(shared: &Shared) {
    shared.asleep.store(true, Ordering::SeqCst);
    while shared.asleep.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) > 0 || shared.stopped.load(Ordering::SeqCst) {
            shared.asleep.store(false, Ordering::SeqCst);
            return;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    fn until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            if condition() {
                return true;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        condition()
    }

    #[test]
    fn it_sleeps_without_guests_wakes_for_one_and_ends_with_its_handle() {
        let engine = Engine::default();
        let ticker = Ticker::start(engine.weak(), Duration::from_millis(1)).unwrap();
        let shared = Arc::clone(&ticker.shared);
        let asleep = |shared: &Shared| shared.asleep.load(Ordering::SeqCst);
        assert!(until(Duration::from_secs(10), || asleep(&shared)));
        let running = ticker.enter();
        assert!(!asleep(&shared));
        // It stays awake for longer than it lingers, because a guest is running.
        assert!(!until(Duration::from_millis(200), || asleep(&shared)));
        drop(running);
        assert!(until(Duration::from_secs(10), || asleep(&shared)));
        drop(ticker);
        // The thread's own clone is gone once it has ended.
        assert!(until(Duration::from_secs(10), || Arc::strong_count(
            &shared
        ) == 1));
    }
}
