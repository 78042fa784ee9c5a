//! Processor time that nobody else wants, for guests that are over their share. Before each of their
//! slices a thread of the lowest priority is asked to look whether there is any: that it comes to a
//! core at once and keeps it for a moment means that the core had nothing better to do.
//!
//! The guests themselves run at the ordinary priority, on the ordinary threads. At a low one a guest
//! would be taken off its core in the middle of a log line, an allocation or a message to the
//! worker, and everyone who wants that lock would wait for as long as the machine is busy. For the
//! same reason the thread of the lowest priority must never take a lock or wake anyone but the
//! usher, which is an atomic store and a system call.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

/// How long the idle thread keeps its core before it answers, in microseconds: at most after a late
/// answer, a little less after each prompt one, at least while cores stay idle. Coming to a core is
/// not enough: the system lets a thread that hardly runs in at once, however low its priority. What
/// it uses it has to save up again where others want the core, so it comes late the next time.
const LOOK: Range<u64> = 50..1_000;
/// The part of it by which a prompt answer makes the next look shorter: after some thirty in a row it
/// is as short as it gets, while between the pauses of busy neighbours it stays long.
const SHORTER: u64 = 10;
/// An answer that takes this much longer came from a core that others wanted.
const PROMPT: Duration = Duration::from_micros(200);
/// Longest wait for a guest to begin the slice it was given, before the next one is thought of.
const BEGIN: Duration = Duration::from_millis(10);

/// Handle of the two threads, which end when the last clone of the `Arc` around it is dropped.
#[derive(Debug)]
pub(crate) struct Spare(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<VecDeque<Arc<Turn>>>,
    /// The idle thread is to answer, which it does by taking this back.
    asked: AtomicBool,
    /// How long it is to look first, in microseconds.
    look: AtomicU64,
    stopped: AtomicBool,
    usher: OnceLock<Thread>,
    idle: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct Turn {
    come: AtomicBool,
    left: AtomicBool,
    waker: AtomicWaker,
}

/// A place in the queue for a slice. Dropping it leaves the queue.
#[derive(Debug)]
pub(crate) struct Place {
    turn: Arc<Turn>,
    shared: Arc<Shared>,
}

impl Spare {
    /// Starts the threads; both sleep until someone queues.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let this = Self(Arc::default());
        this.thread("connect-usher", &this.0.usher, usher)?;
        this.thread("connect-idle", &this.0.idle, |shared| {
            lowest_priority();
            idle(shared);
        })?;
        Ok(this)
    }

    fn thread(
        &self,
        name: &str,
        handle: &OnceLock<Thread>,
        run: impl FnOnce(&Shared) + Send + 'static,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || run(&shared))?;
        handle.get_or_init(|| thread.thread().clone());
        Ok(())
    }

    /// Queues for a slice.
    pub(crate) fn queue(&self) -> Place {
        let turn = Arc::new(Turn::default());
        self.0.queue(|queue| queue.push_back(Arc::clone(&turn)));
        wake(&self.0.usher);
        Place {
            turn,
            shared: Arc::clone(&self.0),
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        wake(&self.0.usher);
        wake(&self.0.idle);
    }
}

impl Place {
    /// Whether the turn has come; otherwise the task is woken when it does.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        self.turn.waker.register(context.waker());
        if self.turn.come.load(Ordering::SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turn.left.store(true, Ordering::SeqCst);
        if self.turn.come.load(Ordering::SeqCst) {
            wake(&self.shared.usher);
        } else {
            self.shared
                .queue(|queue| queue.retain(|turn| !Arc::ptr_eq(turn, &self.turn)));
        }
    }
}

impl Shared {
    fn queue<T>(&self, act: impl FnOnce(&mut VecDeque<Arc<Turn>>) -> T) -> T {
        act(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

fn wake(thread: &OnceLock<Thread>) {
    if let Some(thread) = thread.get() {
        thread.unpark();
    }
}

/// Gives one slice after the other, each only after the idle thread got a core, and each only when
/// the one before has begun: until then the core that was found idle is still to be taken.
fn usher(shared: &Shared) {
    let mut look = LOOK.end;
    while !shared.stopped() {
        if shared.queue(|queue| queue.is_empty()) {
            thread::park();
            continue;
        }
        let asked = Instant::now();
        shared.look.store(look, Ordering::SeqCst);
        shared.asked.store(true, Ordering::SeqCst);
        wake(&shared.idle);
        while shared.asked.load(Ordering::SeqCst) && !shared.stopped() {
            thread::park();
        }
        if asked.elapsed() > Duration::from_micros(look) + PROMPT {
            look = LOOK.end;
            continue;
        }
        look = (look - look / SHORTER).max(LOOK.start);
        // Whoever queued may have gone meanwhile.
        let Some(turn) = shared.queue(VecDeque::pop_front) else {
            continue;
        };
        turn.come.store(true, Ordering::SeqCst);
        turn.waker.wake();
        let end = Instant::now() + BEGIN;
        while !turn.left.load(Ordering::SeqCst) && Instant::now() < end {
            thread::park_timeout(BEGIN);
        }
    }
}

/// Answers once it has had a core for as long as it was told.
fn idle(shared: &Shared) {
    while !shared.stopped() {
        if shared.asked.load(Ordering::SeqCst) {
            let look = Duration::from_micros(shared.look.load(Ordering::SeqCst));
            let came = Instant::now();
            while came.elapsed() < look {
                std::hint::spin_loop();
            }
            shared.asked.store(false, Ordering::SeqCst);
            wake(&shared.usher);
        } else {
            thread::park();
        }
    }
}

/// Without it a guest over its share gets as much as everyone else, which is no reason not to work.
#[cfg(target_os = "linux")]
fn lowest_priority() {
    // On Linux this is the priority of the calling thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::warn!(%error, "no thread of the lowest priority: CPU shares will not hold guests back");
    }
}

/// Elsewhere the priority is the whole process's, which must keep its own.
#[cfg(not(target_os = "linux"))]
fn lowest_priority() {
    tracing::warn!("no thread of the lowest priority: CPU shares will not hold guests back");
}

#[cfg(test)]
impl Spare {
    /// Without threads, so that nobody's turn ever comes.
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            if condition() {
                return true;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        condition()
    }

    #[tokio::test]
    async fn whoever_queues_has_a_turn_and_whoever_leaves_is_in_nobody_s_way() {
        let spare = Spare::start().unwrap();
        for _ in 0..100 {
            let (gone, first, second) = (spare.queue(), spare.queue(), spare.queue());
            drop(gone);
            for place in [second, first] {
                let turn = std::future::poll_fn(|context| place.poll(context));
                tokio::time::timeout(Duration::from_secs(60), turn)
                    .await
                    .unwrap();
            }
        }
    }

    #[test]
    fn the_threads_end_with_their_handle() {
        let spare = Spare::start().unwrap();
        let shared = Arc::clone(&spare.0);
        drop(spare);
        assert!(within(Duration::from_secs(60), || Arc::strong_count(
            &shared
        ) == 1));
    }
}
