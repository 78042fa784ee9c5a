//! One instance and the way every call into it goes: budgets armed, time kept, faults named. After
//! a trap, a broken limit or an abandoned call the instance refuses to be used; nobody can forget
//! that, since there is no other way in.

use std::fmt;
use std::sync::Arc;

use connect_record::BatchError;
use wasmtime::Store;

use crate::bindings::v0_1::{self, Answer};
use crate::context::Context;
use crate::egress::Counters;
use crate::error::CallError;
use crate::fault;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::share::{Overdue, Share};
use crate::state::State;
use crate::text;
use crate::ticker::Ticker;
use crate::turn::Budget;

/// An instance with the exports `E` that are called on it.
pub(crate) struct Guest<E> {
    store: Store<State>,
    exports: E,
    plugin: Arc<str>,
    limits: Limits,
    ticker: Arc<Ticker>,
    meter: Meter,
    share: Share,
    health: Health,
}

#[derive(Debug)]
enum Health {
    Ready,
    /// Set for the length of a call: if it is still there at the next one, the future of the
    /// earlier call was dropped half-way and the guest's stack with it.
    Calling(&'static str),
    Dead(String),
}

impl Guest<()> {
    /// Around a store without an instance yet, and so without exports.
    pub(crate) fn empty(
        mut store: Store<State>,
        plugin: Arc<str>,
        limits: Limits,
        ticker: Arc<Ticker>,
    ) -> Self {
        let meter = store.data().meter.clone();
        let share = Share::new(limits.cpu_share, meter.clone());
        store.data_mut().budget = Budget::new(limits.call_cpu, share.spent());
        Self {
            store,
            exports: (),
            plugin,
            share,
            limits,
            ticker,
            meter,
            health: Health::Ready,
        }
    }

    /// The same with the exports that `load` finds.
    ///
    /// # Errors
    /// What `load` ended with.
    pub(crate) fn exporting<E>(
        mut self,
        load: impl FnOnce(&mut Store<State>) -> wasmtime::Result<E>,
    ) -> wasmtime::Result<Guest<E>> {
        let exports = load(&mut self.store)?;
        let Guest {
            store,
            exports: (),
            plugin,
            limits,
            ticker,
            meter,
            share,
            health,
        } = self;
        Ok(Guest {
            store,
            exports,
            plugin,
            limits,
            ticker,
            meter,
            share,
            health,
        })
    }
}

impl<E> Guest<E> {
    /// The plugin's name, for errors.
    pub(crate) fn plugin(&self) -> Arc<str> {
        Arc::clone(&self.plugin)
    }

    /// Linear memory in use, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().limiter.memory_bytes()
    }

    /// Whether the instance holds more memory than it should go on with.
    pub(crate) fn above_high_water(&self) -> bool {
        self.memory_bytes() > self.limits.high_water_bytes()
    }

    /// What the guest did on the network and was kept from.
    pub(crate) fn egress(&self) -> Arc<Counters> {
        Arc::clone(self.store.data().gate.counters())
    }

    /// What the guest's imports see of the worker.
    pub(crate) fn context(&mut self) -> &mut Context {
        &mut self.store.data_mut().context
    }

    /// Calls the guest, in `body`, within the budgets of one call. The epoch moves only while the
    /// guest is on a thread, so a guest that waits costs nothing.
    ///
    /// # Errors
    /// [`CallError::Gone`] when the instance cannot be used any more, and what `body` ended with.
    pub(crate) async fn call<R>(
        &mut self,
        name: &'static str,
        body: impl AsyncFnOnce(&E, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        self.begin(name)?;
        let running = body(&self.exports, &mut self.store);
        let wall = self.limits.call_wall;
        let outcome = self.share.run(&self.ticker, wall, running).await;
        self.end(name, outcome)
    }

    /// Arms the budgets of a call.
    fn begin(&mut self, name: &'static str) -> Result<(), CallError> {
        let cause = match &self.health {
            Health::Ready => None,
            Health::Calling(earlier) => {
                Some(format!("an earlier `{earlier}` was abandoned half-way"))
            }
            Health::Dead(cause) => Some(cause.clone()),
        };
        if let Some(cause) = cause {
            return Err(CallError::Gone {
                plugin: self.plugin(),
                call: name,
                cause,
            });
        }
        self.health = Health::Calling(name);
        self.meter.call();
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.budget.begin();
        state.limiter.begin();
        state.log.begin();
        Ok(())
    }

    /// Takes stock of a call. Anything but an answer makes the instance unusable.
    fn end<R>(
        &mut self,
        name: &'static str,
        outcome: Result<wasmtime::Result<R>, Overdue>,
    ) -> Result<R, CallError> {
        self.store.data_mut().files.settle();
        let error = match outcome {
            Ok(Ok(answer)) => {
                self.health = Health::Ready;
                return Ok(answer);
            }
            Ok(Err(error)) => {
                fault::name(self.plugin(), name, error, self.store.data(), &self.limits)
            }
            Err(Overdue) => fault::wall(self.plugin(), name, self.store.data(), &self.limits),
        };
        // What was refused to it is counted already.
        if let Some(breach) = error.breach()
            && !matches!(error, CallError::Memory { .. })
        {
            self.meter.breach(breach.limit);
        }
        Err(self.reject(error))
    }

    /// The answer was understood but breaks the interface: a bug in the plugin, which may have any
    /// state now, so the instance ends here.
    pub(crate) fn reject(&mut self, error: CallError) -> CallError {
        let text = error.to_string();
        // Whoever is told of it later is told the plugin's name already.
        let cause = text.strip_prefix(&format!("plugin `{}`", self.plugin));
        let cause = cause.map_or(text.as_str(), |cause| cause.trim_start_matches([':', ' ']));
        self.health = Health::Dead(cause.to_owned());
        error
    }

    /// [`Self::reject`] with a reason in words, which may hold the guest's.
    pub(crate) fn answer(&mut self, call: &'static str, reason: &str) -> CallError {
        let plugin = self.plugin();
        self.reject(CallError::Answer {
            plugin,
            call,
            reason: text::reason(reason),
        })
    }

    /// [`Self::reject`] with a batch.
    pub(crate) fn bad_batch(&mut self, call: &'static str, source: BatchError) -> CallError {
        let plugin = self.plugin();
        self.reject(CallError::Batch {
            plugin,
            call,
            source,
        })
    }

    /// [`Self::call`] for the exports that may answer a failure.
    ///
    /// # Errors
    /// As for [`Self::call`], and the failure.
    pub(crate) async fn ask<R>(
        &mut self,
        name: &'static str,
        body: impl AsyncFnOnce(&E, &mut Store<State>) -> wasmtime::Result<Answer<R>>,
    ) -> Result<R, CallError> {
        let answer = self.call(name, body).await?;
        answer.map_err(|failure| v0_1::failure(self, name, failure))
    }

    /// [`Self::ask`] for the last call. Unless the guest answers that it is to be closed again, it
    /// is not called any more.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(crate) async fn close(
        &mut self,
        body: impl AsyncFnOnce(&E, &mut Store<State>) -> wasmtime::Result<Answer<()>>,
    ) -> Result<(), CallError> {
        let closed = self.ask("close", body).await;
        if matches!(
            closed,
            Ok(()) | Err(CallError::Invalid { .. } | CallError::Fatal { .. })
        ) {
            self.health = Health::Dead("it has been closed".into());
        }
        closed
    }
}

impl<E> fmt::Debug for Guest<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("plugin", &self.plugin)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::birth::tests::instantiate;

    /// An earlier refusal must not be taken for the cause of a later trap.
    /// Names of queues and fields that a guest makes up come back in such reasons.
    #[tokio::test]
    async fn what_a_guest_answers_cannot_forge_a_line_or_fill_the_log() {
        let mut guest = instantiate("", &Limits::default()).await.unwrap();
        let forged = format!(
            "queue a\nERROR all is lost\u{1b}[2J{} is not its own",
            "q".repeat(1 << 20)
        );
        let text = guest.answer("flush", &forged).to_string();
        assert!(
            text.contains("queue a | ERROR all is lost\\u{1b}[2Jqqq"),
            "{text}"
        );
        assert!(
            !text.contains(char::is_control) && text.len() < 3_000,
            "{}",
            text.len()
        );
    }

    #[tokio::test]
    async fn each_call_begins_with_a_clean_slate() {
        use wasmtime::ResourceLimiter;
        let mut guest = instantiate("", &Limits::default()).await.unwrap();
        guest
            .store
            .data_mut()
            .limiter
            .memory_growing(0, 1 << 40, None)
            .unwrap();
        guest
            .store
            .data()
            .log
            .write(crate::log::Level::Warn, "stderr", "earlier");
        let trap = async |(): &(), _: &mut Store<State>| {
            Err::<(), _>(wasmtime::Error::from(
                wasmtime::Trap::UnreachableCodeReached,
            ))
        };
        let error = guest.call("poll", trap).await.unwrap_err();
        assert!(
            matches!(error, CallError::Trap { said: None, .. }),
            "{error:?}"
        );
    }
}
