//! What guests compute, as the clock of their thread shows it. A guest runs in turns, each on one
//! thread and ended by a tick of the epoch at the latest. On a busy machine a thread loses its core in
//! the middle of a turn, and ticks pass meanwhile: neither is the guest's time. Only measures; what
//! follows from it is decided elsewhere.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A turn this short is not worth a look at the thread's own clock, which costs a system call; and a
/// look this recent still holds.
const SHORT: Duration = Duration::from_micros(100);

thread_local! {
    /// When this thread's clock was looked at last, and what it showed.
    static SEEN: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    /// The turn that is taken on this thread.
    static TAKEN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// A turn that has begun on this thread.
#[derive(Clone, Copy, Debug)]
struct Turn {
    begun: Instant,
    /// The thread's clock then, or a moment before.
    clock: Duration,
}

impl Turn {
    fn begin(now: Instant) -> Self {
        let recent = |at: Instant| now.saturating_duration_since(at) < SHORT;
        let clock = match SEEN.get() {
            Some((at, clock)) if recent(at) => clock,
            _ => look(now),
        };
        Self { begun: now, clock }
    }

    /// How much of it was spent on a processor so far.
    fn so_far(self, now: Instant) -> Duration {
        let turn = now.saturating_duration_since(self.begun);
        if turn < SHORT {
            return turn;
        }
        turn.min(look(now).saturating_sub(self.clock))
    }
}

fn look(now: Instant) -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
    let clock = seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default());
    SEEN.set(Some((now, clock)));
    clock
}

/// Takes a turn, and answers how much of it was spent on a processor.
pub(crate) fn take<R>(turn: impl FnOnce() -> R) -> (R, Duration) {
    let taken = Turn::begin(Instant::now());
    TAKEN.set(Some(taken));
    let result = turn();
    TAKEN.set(None);
    (result, taken.so_far(Instant::now()))
}

/// What the turns of a call took together. Clones count into the same sum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent(Arc<Turns>);

#[derive(Debug, Default)]
struct Turns {
    nanos: AtomicU64,
    /// The present turn was ended by a tick.
    yielded: AtomicBool,
}

impl Spent {
    /// A call begins.
    pub(crate) fn begin(&self) {
        self.0.nanos.store(0, Ordering::Relaxed);
    }

    /// A turn ended. Answers whether the guest was computing and would go on at once.
    pub(crate) fn add(&self, turn: Duration) -> bool {
        let turn = u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanos.fetch_add(turn, Ordering::Relaxed);
        self.0.yielded.swap(false, Ordering::Relaxed)
    }

    /// Of the call so far, with the turn that is taken on this thread: for the guest's own thread.
    fn so_far(&self) -> Duration {
        let turn = TAKEN.get().map(|turn| turn.so_far(Instant::now()));
        let ended = Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed));
        ended.saturating_add(turn.unwrap_or_default())
    }
}

/// Processor time that a call may take.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    most: Duration,
    spent: Spent,
    over: bool,
}

impl Budget {
    pub(crate) fn new(most: Duration, spent: Spent) -> Self {
        Self {
            most,
            spent,
            over: false,
        }
    }

    /// A new call begins.
    pub(crate) fn begin(&mut self) {
        self.spent.begin();
        self.over = false;
    }

    /// Whether there is some left, as asked on the guest's thread at a tick, which ends the turn.
    pub(crate) fn left(&mut self) -> bool {
        self.spent.0.yielded.store(true, Ordering::Relaxed);
        self.over |= self.spent.so_far() >= self.most;
        !self.over
    }

    /// Whether the call was found to be over it.
    pub(crate) fn over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::park_timeout;

    const MS: Duration = Duration::from_millis(1);

    fn wait(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            park_timeout(time);
        }
    }

    fn compute(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {}
    }

    #[test]
    fn the_time_of_a_turn_is_what_its_thread_computed() {
        let ((), waited) = take(|| wait(50 * MS));
        assert!(waited < 40 * MS, "{waited:?}");
        let begun = Instant::now();
        let ((), computed) = take(|| compute(50 * MS));
        assert!(
            computed >= MS && computed <= begun.elapsed(),
            "{computed:?}"
        );
    }

    /// What the thread did before, for whomever, is nobody's time.
    #[test]
    fn a_turn_begins_where_the_one_before_ended() {
        take(|| compute(MS));
        compute(60 * MS);
        let ((), waited) = take(|| wait(50 * MS));
        assert!(waited < 20 * MS, "{waited:?}");
    }

    #[test]
    fn a_budget_is_of_the_turns_of_one_call_with_the_present_one() {
        let spent = Spent::default();
        let mut budget = Budget::new(30 * MS, spent.clone());
        assert!(!spent.add(20 * MS));
        assert!(budget.left() && spent.add(Duration::ZERO));
        let (left, _) = take(|| {
            wait(40 * MS);
            budget.left()
        });
        assert!(left && !budget.over());
        let (left, _) = take(|| {
            while spent.so_far() < 30 * MS {}
            budget.left()
        });
        assert!(!left && budget.over());
        // It stays so until the next call, though no turn is taken now.
        assert!(!budget.left());
        budget.begin();
        assert!(budget.left() && !budget.over());
    }
}
