//! One instance and the way every call into it goes: budgets armed, time kept, faults named. After
//! a trap, a broken limit or an abandoned call the instance refuses to be used; nobody can forget
//! that, since there is no other way in.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use connect_record::BatchError;
use tokio::time::error::Elapsed;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

use crate::access::Access;
use crate::bindings::v0_1::{self, Answer};
use crate::context::Context;
use crate::error::CallError;
use crate::fault;
use crate::limits::Limits;
use crate::log::Who;
use crate::state::State;
use crate::ticker::Ticker;

/// What errors call the making of an instance.
pub(crate) const INSTANTIATE: &str = "instantiate";

/// Where an instance comes from, shared by all instances of a plugin.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) pre: InstancePre<State>,
    pub(crate) ticker: Arc<Ticker>,
    /// Bytes out of the guest per call where the limits name none.
    pub(crate) hostcall_bytes: u64,
}

/// Everything an instance is made with.
pub(crate) struct Birth<'a> {
    pub(crate) who: Who,
    pub(crate) limits: &'a Limits,
    pub(crate) access: &'a Access,
    pub(crate) context: Context,
}

/// An instance with the exports `E` that are called on it.
pub(crate) struct Guest<E> {
    store: Store<State>,
    exports: E,
    plugin: Arc<str>,
    limits: Limits,
    slices: u64,
    ticker: Arc<Ticker>,
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
    /// Makes an instance. `load` finds the exports that will be called.
    ///
    /// # Errors
    /// What a call can end with; a plugin may run code of its own while it is instantiated.
    pub(crate) async fn new<E>(
        origin: &Origin,
        birth: Birth<'_>,
        load: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<E>,
    ) -> Result<Guest<E>, CallError> {
        let Birth {
            who,
            limits,
            access,
            context,
        } = birth;
        let plugin = Arc::clone(&who.plugin);
        let state = State::new(who, limits, access, context).map_err(|error| CallError::Host {
            plugin: Arc::clone(&plugin),
            call: INSTANTIATE,
            step: "opening its directories",
            source: error.into(),
        })?;
        let store = store(origin, state, limits).map_err(|error| CallError::Host {
            plugin: Arc::clone(&plugin),
            call: INSTANTIATE,
            step: "making its store",
            source: error.into(),
        })?;
        let mut guest = Guest {
            store,
            exports: (),
            plugin,
            limits: limits.clone(),
            slices: slices(limits.call_cpu, origin.ticker.tick()),
            ticker: Arc::clone(&origin.ticker),
            health: Health::Ready,
        };
        let instance = guest
            .call(INSTANTIATE, async |(), store| {
                origin.pre.instantiate_async(store).await
            })
            .await?;
        let exports = load(&mut guest.store, &instance)
            .map_err(|error| guest.answer(INSTANTIATE, format!("{error:#}")))?;
        let Guest {
            store,
            exports: (),
            plugin,
            limits,
            slices,
            ticker,
            health,
        } = guest;
        Ok(Guest {
            store,
            exports,
            plugin,
            limits,
            slices,
            ticker,
            health,
        })
    }
}

fn store(origin: &Origin, state: State, limits: &Limits) -> wasmtime::Result<Store<State>> {
    let mut store = Store::try_new(origin.pre.engine(), state)?;
    store.limiter(|state| &mut state.limiter);
    let fuel = limits.hostcall_bytes.unwrap_or(origin.hostcall_bytes);
    store.set_hostcall_fuel(usize::try_from(fuel).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.epoch_deadline_callback(|mut context| {
        if context.data_mut().slices.spend() {
            // `yield_now` and not wasmtime's own yield: it lets the runtime look at its timers and
            // sockets after each slice, where the other one starves them.
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(tokio::task::yield_now()),
            ))
        } else {
            Ok(UpdateDeadline::Interrupt)
        }
    });
    Ok(store)
}

/// A budget in ticks; at least one.
fn slices(budget: Duration, tick: Duration) -> u64 {
    let ticks = budget.as_nanos() / tick.as_nanos().max(1);
    u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
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
        let outcome = {
            let mut running = pin!(body(&self.exports, &mut self.store));
            let ticked = poll_fn(|context| {
                let _running = self.ticker.enter();
                running.as_mut().poll(context)
            });
            tokio::time::timeout(self.limits.call_wall, ticked).await
        };
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
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        state.slices.begin(self.slices);
        state.limiter.begin();
        state.log.begin();
        Ok(())
    }

    /// Takes stock of a call. Anything but an answer makes the instance unusable.
    fn end<R>(
        &mut self,
        name: &'static str,
        outcome: Result<wasmtime::Result<R>, Elapsed>,
    ) -> Result<R, CallError> {
        let error = match outcome {
            Ok(Ok(answer)) => {
                self.health = Health::Ready;
                return Ok(answer);
            }
            Ok(Err(error)) => {
                fault::name(self.plugin(), name, error, self.store.data(), &self.limits)
            }
            Err(Elapsed { .. }) => CallError::Wall {
                plugin: self.plugin(),
                call: name,
                limit: self.limits.call_wall,
            },
        };
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

    /// [`Self::reject`] with a reason in words.
    pub(crate) fn answer(&mut self, call: &'static str, reason: String) -> CallError {
        let plugin = self.plugin();
        self.reject(CallError::Answer {
            plugin,
            call,
            reason,
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
    use wasmtime::Engine;
    use wasmtime::component::Component;

    use crate::config::engine_config;

    /// Makes an instance of a component without exports that holds this core module.
    async fn instantiate(module: &str, limits: &Limits) -> Result<Guest<()>, CallError> {
        let parts = format!("(core module $m {module}) (core instance (instantiate $m))");
        instantiate_all(&parts, limits).await
    }

    /// Makes an instance of a component without exports that is made of these parts.
    async fn instantiate_all(parts: &str, limits: &Limits) -> Result<Guest<()>, CallError> {
        let engine = Engine::new(&engine_config()).unwrap();
        let text = format!("(component {parts})");
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let pre = crate::linker::linker(&engine)
            .unwrap()
            .instantiate_pre(&component)
            .unwrap();
        let ticker = Arc::new(Ticker::start(engine.weak(), Duration::from_millis(1)).unwrap());
        let origin = Origin {
            pre,
            ticker,
            hostcall_bytes: 1 << 20,
        };
        let who = Who {
            plugin: "p".into(),
            connector: "".into(),
            task: 0,
        };
        let birth = Birth {
            who,
            limits,
            access: &Access::default(),
            context: Context::Nobody,
        };
        Guest::new(&origin, birth, |_, _| Ok(())).await
    }

    #[tokio::test]
    async fn what_an_instance_is_made_of_has_limits() {
        let limits = Limits {
            call_cpu: Duration::from_millis(100),
            ..Limits::default()
        };
        instantiate("(memory 10) (table 1000 funcref)", &limits)
            .await
            .unwrap();

        let table = instantiate("(table 100001 funcref)", &limits)
            .await
            .unwrap_err();
        let what = "table elements";
        assert!(
            matches!(table, CallError::Memory { what: found, asked: 100_001, .. } if found == what),
            "{table:?}"
        );
        let memory = instantiate("(memory 4097)", &limits).await.unwrap_err();
        assert!(
            memory.to_string().ends_with("the limit is 256 MiB"),
            "{memory}"
        );
        let memories = instantiate(&"(memory 1)".repeat(11), &limits)
            .await
            .unwrap_err();
        let CallError::Host { source, .. } = &memories else {
            panic!("{memories:?}")
        };
        assert!(source.to_string().contains("memory count"), "{source}");
        let spin = instantiate("(func $f (loop br 0)) (start $f)", &limits)
            .await
            .unwrap_err();
        assert!(
            matches!(
                spin,
                CallError::Cpu {
                    call: INSTANTIATE,
                    ..
                }
            ),
            "{spin:?}"
        );
    }

    /// Handles on resources of its own, behind which the worker has no entries to count.
    #[tokio::test]
    async fn a_guest_cannot_fill_its_own_table_of_handles() {
        let parts = r#"(type $r (resource (rep i32)))
            (core func $new (canon resource.new $r))
            (core module $m
                (import "own" "new" (func $new (param i32) (result i32)))
                (func $f (loop (drop (call $new (i32.const 1))) br 0))
                (start $f))
            (core instance (instantiate $m
                (with "own" (instance (export "new" (func $new))))))"#;
        let limits = Limits {
            handles: 50,
            ..Limits::default()
        };
        let error = instantiate_all(parts, &limits).await.unwrap_err();
        let CallError::Trap { trap, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(trap.contains("handle limit exceeded"), "{trap}");
    }

    /// An earlier refusal must not be taken for the cause of a later trap.
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

    #[test]
    fn budgets_are_whole_ticks_and_never_nothing() {
        assert_eq!(
            slices(Duration::from_secs(10), Duration::from_millis(1)),
            10_000
        );
        assert_eq!(
            slices(Duration::from_micros(1), Duration::from_millis(1)),
            1
        );
        assert_eq!(slices(Duration::MAX, Duration::from_nanos(1)), u64::MAX);
    }
}
