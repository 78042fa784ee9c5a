//! Changing a task's plugin while it works: the order to do so, and what came of it.
//!
//! The task finishes what is in flight, commits it, closes the old instance and opens the new one
//! where it stopped; broker connections and what was read ahead stay. It never decides whether the
//! new one is any good: that is the supervisor's business.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use connect_sandbox::Access;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{TaskContext, TaskError};
use crate::error::story;
use crate::guest::Answer;
use crate::spec::Spec;
use crate::status::Pause;

/// One version of a connector's plugins, with everything that a task opens it with.
#[derive(Clone)]
pub(crate) struct Edition {
    pub(crate) spec: Arc<Spec>,
    /// What `task-settings` answered for this task.
    pub(crate) settings: Arc<Vec<(String, String)>>,
    pub(crate) access: Access,
    /// Access of the sink's side of a direct task.
    pub(crate) sink_access: Access,
    /// Settings of the sink's side of a direct task.
    pub(crate) sink_settings: Arc<Vec<(String, String)>>,
}

/// The order to go over to another edition, or to a new instance of the same.
pub(crate) struct Exchange {
    /// None for the same one: its instance holds more memory than it should.
    edition: Option<Edition>,
    /// When it was given: what an idle task has not done for long is no pause.
    given: Instant,
    answer: Option<oneshot::Sender<Exchanged>>,
}

/// An instance is not made again for its memory within this time: one that is above its mark from the
/// start would be made again for ever.
const SHORTEST_LIFE: Duration = Duration::from_secs(5);

/// What came of an exchange. A task that ends before it answers has failed or was stopped.
pub(crate) enum Exchanged {
    /// The new edition is open.
    Open,
    /// The new edition did not open. The task ends after this answer, with nothing in flight: it is
    /// begun anew with the old one, which may need its time too.
    Refused(TaskError),
}

/// The clock of an exchange, as far as it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    committed: Instant,
    opened: Instant,
    waited: Duration,
}

impl Stopwatch {
    /// `confirmed` is when the old edition's last record was confirmed, `committed` when that was
    /// durable.
    pub(crate) fn begin(exchange: &Exchange, confirmed: Instant, committed: Instant) -> Self {
        let begun = confirmed.max(exchange.given);
        Self {
            begun,
            committed: committed.max(begun),
            opened: Instant::now(),
            waited: Duration::ZERO,
        }
    }

    pub(crate) fn opened(mut self) -> Self {
        self.opened = Instant::now();
        self
    }

    /// For so long there was nothing for the new edition to do.
    pub(crate) fn waits(&mut self, time: Duration) {
        self.waited += time;
    }

    /// The first record of the new edition is there.
    pub(crate) fn stop(self) -> Pause {
        Pause {
            committed: self.committed - self.begun,
            opened: self.opened - self.begun,
            first_record: self.begun.elapsed(),
            waited: self.waited,
        }
    }
}

/// Orders to one task, one at a time.
pub(crate) struct Orders(mpsc::Receiver<Exchange>);

/// The supervisor's end of [`Orders`].
pub(crate) type OrderSender = mpsc::Sender<Exchange>;

impl Orders {
    pub(crate) fn channel() -> (OrderSender, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (sender, Self(receiver))
    }

    /// The next order; for ever pending once nobody can give one.
    pub(crate) async fn next(&mut self) -> Exchange {
        match self.0.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }

    /// An order that is there already.
    pub(crate) fn waiting(&mut self) -> Option<Exchange> {
        self.0.try_recv().ok()
    }
}

impl Exchange {
    pub(crate) fn to(edition: Edition) -> (Self, oneshot::Receiver<Exchanged>) {
        let (answer, answered) = oneshot::channel();
        let exchange = Self {
            edition: Some(edition),
            given: Instant::now(),
            answer: Some(answer),
        };
        (exchange, answered)
    }

    /// A new instance of the same edition, where one that was opened at `opened` is due for it.
    pub(crate) fn of_memory(ctx: &TaskContext, above: bool, opened: Instant) -> Option<Self> {
        if !above || opened.elapsed() < SHORTEST_LIFE {
            return None;
        }
        tracing::info!(connector = %ctx.spec.name, task = ctx.task, "the plugin's instance is above `memory-high-water` and is made again");
        Some(Self {
            edition: None,
            given: Instant::now(),
            answer: None,
        })
    }

    /// Whether another edition takes over, and not only another instance.
    pub(crate) fn changes(&self) -> bool {
        self.edition.is_some()
    }

    /// What the task goes on with.
    pub(crate) fn context(&self, ctx: &TaskContext) -> TaskContext {
        match &self.edition {
            Some(edition) => ctx.with(edition),
            None => ctx.clone(),
        }
    }

    /// What it brings did not open: the supervisor is told, and the task ends. Without another
    /// edition that is the task's own failure.
    pub(crate) fn refuse(self, error: TaskError) -> Result<(), TaskError> {
        if self.changes() {
            self.answer(Exchanged::Refused(error));
            Ok(())
        } else {
            Err(error)
        }
    }

    /// Nobody may be waiting: the supervisor is on its way down then.
    pub(crate) fn answer(self, exchanged: Exchanged) {
        if let Some(answer) = self.answer
            && answer.send(exchanged).is_err()
        {
            tracing::debug!("nobody waits for the end of an exchange");
        }
    }
}

impl TaskContext {
    /// Opens what an exchange brings, but not for longer than a drain may take: a plugin that is not
    /// ready yet may put its opening off for ever.
    ///
    /// # Errors
    /// What `open` ended with, or that it did not end.
    pub(crate) async fn in_time<T>(
        &self,
        open: impl Future<Output = Result<T, TaskError>>,
    ) -> Result<T, TaskError> {
        let limit = self.tuning.drain;
        within(limit, || self.metrics.held(), open)
            .await
            .unwrap_or_else(|| {
                Err(TaskError::Slow {
                    place: self.who(),
                    limit,
                })
            })
    }

    /// Lets an instance close, for as long as a drain may take. A close that fails loses nothing: what
    /// was confirmed is committed by now, or on its way.
    pub(crate) async fn closes(&self, closing: impl Future<Output = Answer<()>>) {
        match within(self.tuning.drain, || self.metrics.held(), closing).await {
            Some(Ok(())) => {}
            Some(Err(failed)) => {
                let error = failed.at(self.who());
                tracing::warn!(connector = %self.spec.name, task = self.task, error = %story(&error), "close failed");
            }
            None => {
                tracing::warn!(connector = %self.spec.name, task = self.task, "close did not end in time")
            }
        }
    }

    /// Waits before a plugin that put its opening off is asked again. Whether the task is to end
    /// instead: it was stopped, or ordered to go over to another edition, for which it is begun anew.
    pub(crate) async fn ends_within(&self, wait: Duration, orders: Option<&mut Orders>) -> bool {
        let ordered = async {
            match orders {
                Some(orders) => orders.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            stopped = self.stopped_within(wait) => stopped,
            _ = ordered => true,
        }
    }

    /// The same task with another edition.
    pub(crate) fn with(&self, edition: &Edition) -> Self {
        let Edition {
            spec,
            settings,
            access,
            sink_access,
            sink_settings,
        } = edition.clone();
        Self {
            spec,
            settings,
            access,
            sink_access,
            sink_settings,
            ..self.clone()
        }
    }
}

/// What comes of `work`; none when it takes longer than `limit`, not counting the time in which the
/// plugin was held back, by what `held` says of all of it: that says nothing of the plugin.
async fn within<T>(
    limit: Duration,
    held: impl Fn() -> Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let held_before = held();
    let end = Instant::now() + limit;
    let mut until = end;
    let mut work = pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout_at(until, work.as_mut()).await {
            return Some(done);
        }
        let later = end + held().saturating_sub(held_before);
        if later <= until {
            return None;
        }
        until = later;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);
    /// Longer than any machine stands still.
    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn held_time_is_not_counted() {
        let (done, work) = oneshot::channel();
        let (done, asked) = (RefCell::new(Some(done)), Cell::new(0));
        // held back from before, and then for all of the limit: the work ends only after it
        let held = || {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                return LONG;
            }
            if let Some(done) = done.take() {
                done.send(()).unwrap();
            }
            LONG * 2
        };
        assert_eq!(within(LIMIT, held, work).await, Some(Ok(())));
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test]
    async fn what_was_held_once_gives_time_once() {
        let asked = Cell::new(0);
        let held = || {
            asked.set(asked.get() + 1);
            if asked.get() == 1 { LONG } else { LONG + LIMIT }
        };
        let begun = Instant::now();
        assert_eq!(
            within(LIMIT, held, std::future::pending::<()>()).await,
            None
        );
        assert!(begun.elapsed() >= LIMIT * 2);
        assert_eq!(asked.get(), 3);
    }
}
