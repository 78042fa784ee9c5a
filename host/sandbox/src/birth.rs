//! How an instance comes to be: a store with its limits, the plugin's code in it, and the exports that
//! will be called. Making it is a call like any other, since a plugin may run code of its own then.

use std::sync::Arc;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

use crate::access::Access;
use crate::call::Guest;
use crate::context::Context;
use crate::egress::Outside;
use crate::error::CallError;
use crate::limits::Limits;
use crate::log::Who;
use crate::meter::Meter;
use crate::state::State;
use crate::text;
use crate::ticker::Ticker;

/// What errors call the making of an instance.
pub(crate) const INSTANTIATE: &str = "instantiate";

/// Where an instance comes from, shared by all instances of a plugin.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) pre: InstancePre<State>,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) outside: Arc<Outside>,
    /// Bytes out of the guest per call where the limits name none.
    pub(crate) hostcall_bytes: u64,
}

/// Everything an instance is made with.
pub(crate) struct Birth<'a> {
    pub(crate) who: Who,
    pub(crate) limits: &'a Limits,
    pub(crate) access: &'a Access,
    pub(crate) context: Context,
    pub(crate) meter: Meter,
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
            meter,
        } = birth;
        let plugin = Arc::clone(&who.plugin);
        meter.instance();
        let mut limits = limits.clone();
        let bytes = &mut limits.hostcall_bytes;
        let hostcall_bytes = *bytes.get_or_insert(origin.hostcall_bytes);
        let state = State::new(who, &limits, access, context, meter, &origin.outside);
        let state = state.map_err(|error| CallError::Host {
            plugin: Arc::clone(&plugin),
            call: INSTANTIATE,
            step: "opening its directories",
            source: error.into(),
        })?;
        let store =
            store(origin, state, &limits, hostcall_bytes).map_err(|error| CallError::Host {
                plugin: Arc::clone(&plugin),
                call: INSTANTIATE,
                step: "making its store",
                source: error.into(),
            })?;
        let ticker = Arc::clone(&origin.ticker);
        let mut guest = Guest::empty(store, Arc::clone(&plugin), limits, ticker);
        let instance = guest
            .call(INSTANTIATE, async |(), store| {
                origin.pre.instantiate_async(store).await
            })
            .await?;
        guest
            .exporting(|store| load(store, &instance))
            .map_err(|error| CallError::Answer {
                plugin,
                call: INSTANTIATE,
                reason: text::reason(&format!("{error:#}")),
            })
    }
}

fn store(
    origin: &Origin,
    state: State,
    limits: &Limits,
    hostcall_bytes: u64,
) -> wasmtime::Result<Store<State>> {
    let mut store = Store::try_new(origin.pre.engine(), state)?;
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(usize::try_from(hostcall_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(limits.handles as usize);
    store.epoch_deadline_callback(|mut context| {
        if context.data_mut().budget.left() {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    use wasmtime::component::Component;
    use wasmtime::{Engine, StoreContextMut};

    use crate::Limit;
    use crate::config::engine_config;

    /// Makes an instance of a component without exports that holds this core module.
    pub(crate) async fn instantiate(module: &str, limits: &Limits) -> Result<Guest<()>, CallError> {
        let parts = format!("(core module $m {module}) (core instance (instantiate $m))");
        instantiate_all(&parts, limits).await
    }

    /// Makes an instance of a component without exports that is made of these parts, and may move the
    /// epoch on with `tick`.
    async fn instantiate_all(parts: &str, limits: &Limits) -> Result<Guest<()>, CallError> {
        let engine = Engine::new(&engine_config()).unwrap();
        let text = format!("(component {parts})");
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let mut linker = crate::linker::linker(&engine).unwrap();
        let ticking = engine.clone();
        let tick = move |_: StoreContextMut<'_, State>, (): ()| {
            ticking.increment_epoch();
            Ok(())
        };
        linker.root().func_wrap("tick", tick).unwrap();
        let pre = linker.instantiate_pre(&component).unwrap();
        let ticker = Arc::new(Ticker::start(engine.weak(), Duration::from_millis(1)).unwrap());
        let origin = Origin {
            pre,
            ticker,
            outside: Arc::default(),
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
            meter: Meter::default(),
        };
        Guest::new(&origin, birth, |_, _| Ok(())).await
    }

    /// As on a machine where the guest's thread often has no core: its time is what it computed.
    #[tokio::test]
    async fn ticks_that_pass_are_not_what_a_guest_is_judged_by() {
        let limits = Limits {
            call_cpu: Duration::from_millis(1_500),
            cpu_share: 100,
            ..Limits::default()
        };
        // Five thousand looks at the epoch, which has moved on each time.
        let parts = r#"(import "tick" (func $tick))
            (core func $tick (canon lower (func $tick)))
            (core module $m
                (import "a" "tick" (func $tick))
                (func $f (local i32)
                    (loop
                        (call $tick)
                        (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                        (br_if 0 (i32.lt_u (local.get 0) (i32.const 5000)))))
                (start $f))
            (core instance (instantiate $m
                (with "a" (instance (export "tick" (func $tick))))))"#;
        instantiate_all(parts, &limits).await.unwrap();
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
        assert!(matches!(table, CallError::Memory { .. }), "{table:?}");
        let breach = table.breach().unwrap();
        assert_eq!(
            (breach.limit, breach.asked),
            (Limit::TableElements, Some(100_001))
        );
        let memory = instantiate("(memory 4097)", &limits).await.unwrap_err();
        assert!(
            memory
                .to_string()
                .contains("the limit `memory-bytes` is 268435456 (256 MiB)"),
            "{memory}"
        );
        let memories = instantiate(&"(memory 1)".repeat(11), &limits)
            .await
            .unwrap_err();
        assert!(matches!(memories, CallError::Limit { .. }), "{memories:?}");
        let breach = memories.breach().unwrap();
        assert_eq!(
            (breach.limit, breach.value, breach.asked),
            (Limit::Memories, 10, Some(11))
        );
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

    /// The engine looks at its clock between such operations only, and each may be as long as all of
    /// the memory.
    #[tokio::test]
    async fn bulk_operations_without_end_are_stopped_between_two_of_them() {
        let limits = Limits {
            call_cpu: Duration::from_millis(100),
            call_wall: Duration::from_secs(60),
            memory_bytes: 64 << 20,
            ..Limits::default()
        };
        let memory = "(memory 1024) (data $d \"some bytes\")";
        let table = "(table $t 100000 funcref) (elem $e func $f)";
        let all = 1_024 << 16;
        for (parts, operation) in [
            (
                memory,
                format!("(memory.fill (i32.const 0) (i32.const 7) (i32.const {all}))"),
            ),
            (
                memory,
                format!(
                    "(memory.copy (i32.const 0) (i32.const 1) (i32.const {}))",
                    all - 1
                ),
            ),
            (
                memory,
                "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 10))".to_owned(),
            ),
            (memory, "(drop (memory.grow (i32.const 1)))".to_owned()),
            (
                table,
                "(table.fill $t (i32.const 0) (ref.func $f) (i32.const 100000))".to_owned(),
            ),
            (
                table,
                "(table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 99999))".to_owned(),
            ),
            (
                table,
                "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))".to_owned(),
            ),
        ] {
            let module = format!("{parts} (func $f (loop {operation} (br 0))) (start $f)");
            let started = std::time::Instant::now();
            let error = instantiate(&module, &limits).await.unwrap_err();
            // Growth is refused each time, and that is what the error tells.
            let due = match operation.contains("grow") {
                true => matches!(error, CallError::Memory { .. }),
                false => matches!(error, CallError::Cpu { .. }),
            };
            assert!(due, "{operation}: {error:?}");
            // A hundred milliseconds and one operation; the rest is for machines that are busy.
            let took = started.elapsed();
            assert!(took < Duration::from_secs(30), "{operation}: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_table_grows_to_its_limit_and_no_further() {
        let limits = Limits {
            call_cpu: Duration::from_secs(10),
            ..Limits::default()
        };
        for (step, expected) in [(1_000, 101_000), (50_000_000, 50_000_000)] {
            // Traps at the first refusal.
            let module = format!(
                "(table $t 0 funcref)
                 (func $f (loop
                   (if (i32.eq (table.grow $t (ref.null func) (i32.const {step})) (i32.const -1))
                     (then unreachable))
                   (br 0)))
                 (start $f)"
            );
            let error = instantiate(&module, &limits).await.unwrap_err();
            let breach = error.breach().unwrap();
            assert_eq!(breach.limit, Limit::TableElements, "{step}: {error:?}");
            assert_eq!(breach.asked, Some(expected), "{step}: {error:?}");
        }
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
        assert!(matches!(error, CallError::Limit { .. }), "{error:?}");
        let breach = error.breach().unwrap();
        assert_eq!((breach.limit, breach.value), (Limit::Handles, 50));
    }
}
