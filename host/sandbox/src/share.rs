//! A guest's share of a core: what it may take from others. Its time on ordinary threads is counted
//! with every turn, for all instances of a task together, so that nobody has more by ending again and
//! again. Over its share, and for the rest of a call that computes for long, it goes on in the idle
//! lane (see `lanes`), where it has all that others leave; and when that is less than its share, on
//! ordinary threads again until it has caught up. A call that goes on computing is sure of a part of its
//! share only. Must never keep a guest from that, nor count waiting as the guest's own time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::lanes::{self, Lane};
use crate::limit::Limit;
use crate::meter::Meter;
use crate::ticker::Ticker;
use crate::turn::{self, Spent};

/// The time over which the average is taken.
const WINDOW: Duration = Duration::from_secs(1);
/// What a call may compute without waiting for anything before it is one that computes for long, and
/// is better taken off the threads that others wait for.
const PROMPT: Duration = Duration::from_millis(2);
/// What a call may compute without waiting and still be as urgent as others' calls. From there on it
/// only has a part of its guest's share for certain.
const URGENT: Duration = Duration::from_millis(100);
/// That part: one in so many.
const PART: u32 = 10;
/// How far a guest may fall behind its share in the idle lane before it catches up elsewhere.
const BEHIND: Duration = Duration::from_millis(5);
/// A turn in the idle lane that took this much longer than the guest ran was in someone's way.
const HELD: Duration = Duration::from_millis(10);
/// A share of a whole core cannot be exceeded by a guest, which has one thread.
const WHOLE: u32 = 100;

/// A call took longer than it may, time in which it was held back not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue;

/// One instance's share and what it has had of it.
#[derive(Debug)]
pub(crate) struct Share {
    percent: u32,
    meter: Meter,
    spent: Spent,
    /// Since when it waits for its next turn in the idle lane, with something to compute.
    ready: Option<Instant>,
    /// It waits for something outside, in the ordinary lane: in the idle one nobody could say how long
    /// it was kept from its turn afterwards.
    waits: bool,
    /// What it has computed in this call since it last waited.
    in_a_row: Duration,
    held: Duration,
    /// When it last was over its share in someone's way.
    last: Option<Instant>,
}

impl Share {
    /// Of `percent` of one core.
    pub(crate) fn new(percent: u32, meter: Meter) -> Self {
        Self {
            percent,
            meter,
            spent: Spent::default(),
            ready: None,
            waits: false,
            in_a_row: Duration::ZERO,
            held: Duration::ZERO,
            last: None,
        }
    }

    /// What the turns of the present call took.
    pub(crate) fn spent(&self) -> Spent {
        self.spent.clone()
    }

    /// Runs a call to its end, turn by turn; at most for `wall`. Begins and ends on an ordinary
    /// thread, if it was begun on one.
    ///
    /// # Errors
    /// It takes longer.
    pub(crate) async fn run<R>(
        &mut self,
        ticker: &Ticker,
        wall: Duration,
        call: impl Future<Output = R>,
    ) -> Result<R, Overdue> {
        let (begun, held_before) = (tokio::time::Instant::now(), self.held);
        (self.ready, self.waits, self.in_a_row) = (None, false, Duration::ZERO);
        let mut call = pin!(call);
        let mut end = pin!(tokio::time::sleep(wall));
        let mut grace = Duration::ZERO;
        let mut outcome = None;
        poll_fn(|context| {
            if outcome.is_none() {
                // The timer's first look takes a lock of the ordinary threads, so not over there.
                if !std::mem::take(&mut self.waits)
                    && self.goes_elsewhere()
                    && end.as_mut().poll(context).is_pending()
                {
                    return Poll::Pending;
                }
                let turn = {
                    let _running = ticker.enter();
                    self.counted(|| call.as_mut().poll(context))
                };
                if let Poll::Ready(answer) = turn {
                    outcome = Some(Ok(answer));
                } else if lanes::here() == Some(Lane::Idle) && self.ready.is_none() {
                    self.waits = true;
                    lanes::leave();
                    return Poll::Pending;
                }
            }
            while outcome.is_none() && end.as_mut().poll(context).is_ready() {
                let held = self.held.saturating_sub(held_before);
                match begun.checked_add(wall.saturating_add(held)) {
                    Some(later) if held > grace => {
                        grace = held;
                        end.as_mut().reset(later);
                    }
                    _ => outcome = Some(Err(Overdue)),
                }
            }
            if outcome.is_some() && lanes::here() == Some(Lane::Idle) {
                lanes::leave();
                return Poll::Pending;
            }
            outcome.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Whether the next turn is to be taken in the other lane, which is asked for then.
    fn goes_elsewhere(&mut self) -> bool {
        let Some(here) = lanes::here().filter(|_| self.percent < WHOLE) else {
            return false;
        };
        let (account, now) = (self.meter.account(), Instant::now());
        let long = self.in_a_row >= PROMPT;
        let lane = account.with(self.percent, now, |credit| credit.lane(long));
        if lane == here {
            return false;
        }
        if lane == Lane::Idle {
            self.ready = Some(now);
        }
        lanes::leave();
        true
    }

    /// Takes a turn.
    fn counted<R>(&mut self, turn: impl FnOnce() -> R) -> R {
        let begun = Instant::now();
        let (result, time) = turn::take(turn);
        let yielded = self.spent.add(time);
        self.in_a_row = if yielded {
            self.in_a_row.saturating_add(time)
        } else {
            Duration::ZERO
        };
        self.meter.ran(time);
        if self.percent >= WHOLE {
            return result;
        }
        let now = Instant::now();
        let since = self.ready.take().unwrap_or(begun);
        let account = self.meter.account();
        if lanes::here() != Some(Lane::Idle) {
            account.with(self.percent, now, |credit| credit.spend(time));
            return result;
        }
        self.ready = yielded.then_some(now);
        let took = now.saturating_duration_since(since);
        let part = if self.in_a_row < URGENT { 1 } else { PART };
        let over = account.with(self.percent, now, |credit| {
            credit.left_over(took, time, part)
        });
        let held = took.saturating_sub(time);
        self.held += held;
        self.meter.held(held);
        // Counted once for all such turns in a row.
        if over && held >= HELD {
            let last = self.last.replace(now);
            if last.is_none_or(|last| now.duration_since(last) > WINDOW) {
                self.meter.breach(Limit::CpuShare);
            }
        }
        result
    }
}

/// What a task's instances may spend; full before there was one.
#[derive(Debug, Default)]
pub(crate) struct Account(Mutex<Option<Credit>>);

impl Account {
    /// Looks at the account as it is at this moment. It is locked for a few additions.
    fn with<T>(&self, percent: u32, now: Instant, act: impl FnOnce(&mut Credit) -> T) -> T {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let credit = account.get_or_insert_with(|| Credit::new(percent, now));
        credit.grow(percent, now);
        act(credit)
    }
}

/// What may be spent on ordinary threads, in nanoseconds: grows with time by the share of it, within
/// one window's share on either side of nothing.
#[derive(Debug)]
struct Credit {
    percent: u32,
    saved: i64,
    most: i64,
    at: Instant,
    /// As `saved`, if the guest had run whenever it could have: below nothing when it wants more than
    /// its share.
    wanted: i64,
    /// All was spent, and not enough saved up since to be worth a change of lanes.
    spent: bool,
    /// What the guest would have had by its share in the idle lane and did not have; below nothing
    /// where others left it more.
    behind: i64,
}

impl Credit {
    fn new(percent: u32, now: Instant) -> Self {
        let percent = percent.max(1);
        let most = share_of(WINDOW, percent);
        Self {
            percent,
            saved: most,
            most,
            at: now,
            wanted: most,
            spent: false,
            behind: 0,
        }
    }

    /// What came with time until now. The share may be another one than before.
    fn grow(&mut self, percent: u32, now: Instant) {
        self.percent = percent.max(1);
        self.most = share_of(WINDOW, self.percent);
        let earned = share_of(now.saturating_duration_since(self.at), self.percent);
        for account in [&mut self.saved, &mut self.wanted] {
            *account = account.saturating_add(earned).clamp(-self.most, self.most);
        }
        self.at = self.at.max(now);
        self.spent &= self.saved < self.most / 10;
    }

    /// Where the next turn is to be taken.
    fn lane(&self, long: bool) -> Lane {
        let has_to_catch_up = self.saved > 0 && self.behind >= nanos(BEHIND);
        if has_to_catch_up || !(self.spent || long) {
            Lane::Ordinary
        } else {
            Lane::Idle
        }
    }

    /// A turn on an ordinary thread.
    fn spend(&mut self, time: Duration) {
        for account in [&mut self.saved, &mut self.wanted] {
            *account = account.saturating_sub(nanos(time)).max(-self.most);
        }
        self.spent |= self.saved <= 0;
        if self.behind > 0 {
            self.behind = self.behind.saturating_sub(nanos(time)).max(0);
        }
    }

    /// A turn in the idle lane, which `took` so long with the wait for it, and in which the guest ran
    /// for `time`; one in `part` of its share was certain. Answers whether it wants more than its share.
    fn left_over(&mut self, took: Duration, time: Duration, part: u32) -> bool {
        let certain = share_of(took / part.max(1), self.percent);
        let missing = certain.saturating_sub(nanos(time));
        self.behind = self
            .behind
            .saturating_add(missing)
            // what it had beyond its share counts for as long as before, however slowly debt grows
            .clamp(-self.most / i64::from(part.max(1)), self.most);
        self.wanted = self.wanted.saturating_sub(nanos(took)).max(-self.most);
        self.wanted <= 0
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn share_of(time: Duration, percent: u32) -> i64 {
    (nanos(time) / 100).saturating_mul(percent.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn lane(account: &Account, percent: u32, now: Instant) -> Lane {
        account.with(percent, now, |credit| credit.lane(false))
    }

    fn spend(account: &Account, percent: u32, now: Instant, time: Duration) {
        account.with(percent, now, |credit| credit.spend(time));
    }

    #[test]
    fn a_guest_may_save_up_and_owe_one_window_s_share() {
        let (account, begin) = (Account::default(), Instant::now());
        assert_eq!(lane(&account, 20, begin), Lane::Ordinary);
        let now = begin + 3_600_000 * MS;
        spend(&account, 20, now, 199 * MS);
        assert_eq!(lane(&account, 20, now), Lane::Ordinary);
        spend(&account, 20, now, MS);
        assert_eq!(lane(&account, 20, now), Lane::Idle);
        // An hour without a pause is forgiven but for one window, and a tenth of that has to be saved
        // up before it is worth a change of lanes.
        spend(&account, 20, now, 3_600_000 * MS);
        assert_eq!(lane(&account, 20, now + 1_099 * MS), Lane::Idle);
        assert_eq!(lane(&account, 20, now + 1_100 * MS), Lane::Ordinary);
        // With another share, another window.
        let now = now + 1_100 * MS;
        spend(&account, 40, now, 10_000 * MS);
        assert_eq!(lane(&account, 40, now + 1_099 * MS), Lane::Idle);
        assert_eq!(lane(&account, 40, now + 1_100 * MS), Lane::Ordinary);
    }

    #[test]
    fn who_stays_within_the_share_stays_on_ordinary_threads() {
        let (account, mut now) = (Account::default(), Instant::now());
        for _ in 0..10_000 {
            now += 10 * MS;
            spend(&account, 30, now, 3 * MS);
            assert_eq!(lane(&account, 30, now), Lane::Ordinary);
        }
    }

    #[test]
    fn a_call_that_computes_for_long_goes_aside_and_catches_up_when_others_leave_too_little() {
        let (account, mut now) = (Account::default(), Instant::now());
        let mut long = |later: Duration, act: &mut dyn FnMut(&mut Credit)| {
            now += later;
            account.with(50, now, |credit| {
                act(credit);
                credit.lane(true)
            })
        };
        assert_eq!(long(MS, &mut |credit| credit.spend(2 * MS)), Lane::Idle);
        // Others leave it more than its share, for a while or for ever.
        let left = &mut |credit: &mut Credit| {
            credit.left_over(10 * MS, 6 * MS, 1);
        };
        assert!((0..1_000).all(|_| long(10 * MS, left) == Lane::Idle));
        // They leave it a tenth, for long enough that it is below its share on average over a second.
        let left = &mut |credit: &mut Credit| {
            credit.left_over(10 * MS, MS, 1);
        };
        let turns = (0..).take_while(|_| long(10 * MS, left) == Lane::Idle);
        assert_eq!(turns.count(), 126);
        // Until it has caught up.
        let turns =
            (0..).take_while(|_| long(MS, &mut |credit| credit.spend(MS)) == Lane::Ordinary);
        assert_eq!(turns.count(), 3);
    }

    #[test]
    fn a_call_that_goes_on_has_a_part_of_the_share_for_certain() {
        let turns = |part: u32, left: Duration| {
            let (account, mut now) = (Account::default(), Instant::now());
            let mut turn = || {
                now += 100 * MS;
                account.with(50, now, |credit| {
                    credit.left_over(100 * MS, left, part);
                    credit.lane(true)
                })
            };
            (0..100).take_while(|_| turn() == Lane::Idle).count()
        };
        assert_eq!(turns(1, 40 * MS), 0);
        assert_eq!(turns(10, 40 * MS), 100);
        assert_eq!(turns(10, 4 * MS), 4);
    }

    #[test]
    fn who_would_run_more_than_its_share_wants_more() {
        let (account, mut now) = (Account::default(), Instant::now());
        let mut turns = |waits: Duration, took: Duration| {
            (0..100).fold(false, |_, _| {
                now += waits + took;
                account.with(50, now, |credit| credit.left_over(took, MS, 1))
            })
        };
        assert!(!turns(11 * MS, 10 * MS));
        assert!(turns(Duration::ZERO, 10 * MS));
        assert!(!turns(100 * MS, 10 * MS));
    }

    #[test]
    fn use_in_the_ordinary_lane_is_no_surplus_in_the_idle_one() {
        let (account, mut now) = (Account::default(), Instant::now());
        for _ in 0..600 {
            now += 100 * MS;
            spend(&account, 50, now, MS);
        }
        let lane = account.with(50, now, |credit| {
            credit.left_over(10 * MS, Duration::ZERO, 1);
            credit.lane(true)
        });
        assert_eq!(lane, Lane::Ordinary);
    }

    #[test]
    fn over_its_share_nobody_catches_up() {
        let (account, now) = (Account::default(), Instant::now());
        spend(&account, 10, now, 100 * MS);
        account.with(10, now + MS, |credit| credit.left_over(500 * MS, MS, 1));
        spend(&account, 10, now + MS, MS);
        assert_eq!(lane(&account, 10, now + MS), Lane::Idle);
    }

    async fn run(
        share: &mut Share,
        wall: Duration,
        call: impl Future<Output = ()>,
    ) -> Result<(), Overdue> {
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::start(engine.weak(), MS).unwrap();
        share.run(&ticker, wall, call).await
    }

    #[tokio::test]
    async fn a_call_that_waits_is_overdue_after_its_time() {
        let mut share = Share::new(50, Meter::default());
        run(&mut share, 40 * MS, async {}).await.unwrap();
        let begun = Instant::now();
        let stuck = run(&mut share, 40 * MS, std::future::pending()).await;
        assert_eq!(stuck.unwrap_err(), Overdue);
        assert!(begun.elapsed() >= 40 * MS && share.held.is_zero());
    }
}
