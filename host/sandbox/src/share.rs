//! A guest's share of a core. Its time is counted with every turn it takes, for all instances of a
//! task together, so that nobody has more by ending again and again; over its share it takes
//! turns only in time that nobody else wants ([`Spare`]), or once its average is below the share
//! again. Must never keep a guest from its share, nor count waiting as the guest's own time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::limit::Limit;
use crate::meter::Meter;
use crate::spare::{Place, Spare};
use crate::ticker::Ticker;
use crate::turn::{self, Spent};

/// The time over which the average is taken.
const WINDOW: Duration = Duration::from_secs(1);
/// What a guest may run on a turn in spare time, and what it must have saved up before it runs on
/// its own account again.
const SLICE: Duration = Duration::from_millis(1);
/// A share of a whole core cannot be exceeded by a guest, which has one thread.
const WHOLE: u32 = 100;

/// A call took longer than it may, time in which it was held back not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue;

/// One instance's share and what it has had of it.
#[derive(Debug)]
pub(crate) struct Share {
    percent: u32,
    spare: Arc<Spare>,
    meter: Meter,
    spent: Spent,
    waiting: Option<Waiting>,
    /// Until when the last turn in spare time lasts.
    spared: Option<Instant>,
    held: Duration,
    /// When it last had to save up.
    last: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    /// Until it has saved up for a slice.
    saving: Pin<Box<Sleep>>,
    since: Instant,
}

impl Share {
    /// Of `percent` of one core.
    pub(crate) fn new(percent: u32, spare: Arc<Spare>, meter: Meter) -> Self {
        Self {
            percent,
            spare,
            meter,
            spent: Spent::default(),
            waiting: None,
            spared: None,
            held: Duration::ZERO,
            last: None,
        }
    }

    /// What the turns of the present call took.
    pub(crate) fn spent(&self) -> Spent {
        self.spent.clone()
    }

    /// Runs a call to its end, turn by turn; at most for `wall`.
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
        self.waiting = None;
        let mut call = pin!(call);
        let mut end = pin!(tokio::time::sleep(wall));
        let mut grace = Duration::ZERO;
        poll_fn(|context| {
            if !self.holds(context) {
                let turn = {
                    let _running = ticker.enter();
                    self.counted(|| call.as_mut().poll(context))
                };
                if let Poll::Ready(answer) = turn {
                    return Poll::Ready(Ok(answer));
                }
            }
            while end.as_mut().poll(context).is_ready() {
                let held = self.held_at(Instant::now()).saturating_sub(held_before);
                if held <= grace {
                    return Poll::Ready(Err(Overdue));
                }
                let Some(later) = begun.checked_add(wall.saturating_add(held)) else {
                    return Poll::Ready(Err(Overdue));
                };
                grace = held;
                end.as_mut().reset(later);
            }
            Poll::Pending
        })
        .await
    }

    /// Whether the guest has to wait now; its task is woken when it need not any more.
    fn holds(&mut self, context: &mut Context<'_>) -> bool {
        if self.percent >= WHOLE {
            return false;
        }
        let now = Instant::now();
        if self.waiting.is_none() {
            if self.spared.is_some_and(|until| now < until) {
                return false;
            }
            let saving = self.meter.account().with(self.percent, now, |credit| {
                (credit.saved <= 0).then(|| credit.until(SLICE))
            });
            let Some(saving) = saving else { return false };
            self.waiting = Some(Waiting {
                place: self.spare.queue(),
                saving: Box::pin(tokio::time::sleep(saving)),
                since: now,
            });
        }
        let Some(waiting) = &mut self.waiting else {
            return false;
        };
        let spared = waiting.place.poll(context).is_ready();
        if !spared && waiting.saving.as_mut().poll(context).is_pending() {
            return true;
        }
        let held = now.duration_since(waiting.since);
        // It had to save up, since others wanted the core; counted once for all such waits in a row.
        if !spared {
            let last = self.last.replace(now);
            if last.is_none_or(|last| now.duration_since(last) > WINDOW) {
                self.meter.breach(Limit::CpuShare);
            }
        }
        self.held += held;
        self.meter.held(held);
        self.spared = spared.then(|| now + SLICE);
        self.waiting = None;
        false
    }

    fn held_at(&self, now: Instant) -> Duration {
        let waiting = self.waiting.as_ref();
        self.held + waiting.map_or(Duration::ZERO, |waiting| now.duration_since(waiting.since))
    }

    fn counted<R>(&self, turn: impl FnOnce() -> R) -> R {
        let (result, time) = turn::take(turn);
        self.spent.add(time);
        self.meter.ran(time);
        if self.percent < WHOLE {
            let account = self.meter.account();
            account.with(self.percent, Instant::now(), |credit| credit.spend(time));
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

/// What may be spent, in nanoseconds: grows with time by the share of it, within one window's share
/// on either side of nothing.
#[derive(Debug)]
struct Credit {
    percent: u32,
    saved: i64,
    most: i64,
    at: Instant,
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
        }
    }

    /// What came with time until now. The share may be another one than before.
    fn grow(&mut self, percent: u32, now: Instant) {
        self.percent = percent.max(1);
        self.most = share_of(WINDOW, self.percent);
        let earned = share_of(now.saturating_duration_since(self.at), self.percent);
        let saved = self.saved.saturating_add(earned);
        self.saved = saved.clamp(-self.most, self.most);
        self.at = self.at.max(now);
    }

    fn spend(&mut self, time: Duration) {
        self.saved = self.saved.saturating_sub(nanos(time)).max(-self.most);
    }

    /// How long it takes to save up `goal`.
    fn until(&self, goal: Duration) -> Duration {
        let missing = nanos(goal).min(self.most).saturating_sub(self.saved).max(0);
        let missing = Duration::from_nanos(u64::try_from(missing).unwrap_or_default());
        missing * 100 / self.percent
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

    /// Whether there is nothing left.
    fn gone(account: &Account, percent: u32, now: Instant) -> bool {
        account.with(percent, now, |credit| credit.saved <= 0)
    }

    fn spend(account: &Account, percent: u32, now: Instant, time: Duration) {
        account.with(percent, now, |credit| credit.spend(time));
    }

    #[test]
    fn a_guest_may_save_up_and_owe_one_window_s_share() {
        let (account, begin) = (Account::default(), Instant::now());
        assert!(!gone(&account, 20, begin));
        let now = begin + 3_600_000 * MS;
        spend(&account, 20, now, 199 * MS);
        assert!(!gone(&account, 20, now));
        spend(&account, 20, now, MS);
        assert!(gone(&account, 20, now));
        // An hour without a pause is forgiven but for one window …
        spend(&account, 20, now, 3_600_000 * MS);
        let until = |goal| account.with(20, now, |credit| credit.until(goal));
        assert_eq!(until(Duration::ZERO), 1_000 * MS);
        // … and a slice of its own takes five times as long to save up.
        assert_eq!(until(SLICE), 1_005 * MS);
        assert!(gone(&account, 20, now + 1_000 * MS));
        assert!(!gone(&account, 20, now + 1_005 * MS));
        // With another share, another window.
        spend(&account, 40, now + 1_005 * MS, 10_000 * MS);
        let until = account.with(40, now + 1_005 * MS, |credit| credit.until(Duration::ZERO));
        assert_eq!(until, 1_000 * MS);
    }

    #[test]
    fn who_stays_within_the_share_is_never_without_credit() {
        let (account, mut now) = (Account::default(), Instant::now());
        for _ in 0..10_000 {
            now += 10 * MS;
            spend(&account, 30, now, 3 * MS);
            assert!(!gone(&account, 30, now));
        }
    }

    /// A share that has to save up for eleven milliseconds at a tenth of the speed.
    fn owing(meter: &Meter) -> Share {
        spend(meter.account(), 10, Instant::now(), 110 * MS);
        Share::new(10, Arc::new(Spare::none()), meter.clone())
    }

    #[tokio::test]
    async fn time_in_which_a_guest_is_held_back_is_not_its_own() {
        let engine = wasmtime::Engine::default();
        let ticker = Ticker::start(engine.weak(), MS).unwrap();
        let (meter, wall) = (Meter::default(), 40 * MS);
        let begun = Instant::now();
        let run = owing(&meter).run(&ticker, wall, async {}).await;
        run.unwrap();
        let held = meter.read().held;
        assert!(held >= 90 * MS && begun.elapsed() >= held, "{held:?}");
        assert_eq!(meter.read().breaches, [(Limit::CpuShare, 1)]);

        // What the instance before has spent, this one has to save up.
        let begun = Instant::now();
        let stuck = owing(&meter)
            .run(&ticker, wall, std::future::pending::<()>())
            .await;
        assert_eq!(stuck.unwrap_err(), Overdue);
        let held = meter.read().held - held;
        assert!(
            held >= 90 * MS && begun.elapsed() >= held + wall,
            "{held:?}"
        );

        // Within its share, time is time.
        let (meter, begun) = (Meter::default(), Instant::now());
        let mut share = Share::new(10, Arc::new(Spare::none()), meter.clone());
        let stuck = share.run(&ticker, wall, std::future::pending::<()>()).await;
        assert_eq!(stuck.unwrap_err(), Overdue);
        assert!(begun.elapsed() >= wall && meter.read().held == Duration::ZERO);
    }
}
