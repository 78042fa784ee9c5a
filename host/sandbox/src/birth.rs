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
use crate::state::State;
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
        let state = State::new(who, limits, access, context, &origin.outside).map_err(|error| {
            CallError::Host {
                plugin: Arc::clone(&plugin),
                call: INSTANTIATE,
                step: "opening its directories",
                source: error.into(),
            }
        })?;
        let store = store(origin, state, limits).map_err(|error| CallError::Host {
            plugin: Arc::clone(&plugin),
            call: INSTANTIATE,
            step: "making its store",
            source: error.into(),
        })?;
        let ticker = Arc::clone(&origin.ticker);
        let mut guest = Guest::empty(store, Arc::clone(&plugin), limits.clone(), ticker);
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
                reason: format!("{error:#}"),
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    use wasmtime::Engine;
    use wasmtime::component::Component;

    use crate::config::engine_config;

    /// Makes an instance of a component without exports that holds this core module.
    pub(crate) async fn instantiate(module: &str, limits: &Limits) -> Result<Guest<()>, CallError> {
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
}
