//! What a guest finds when it looks out: log and context of this project, and of WASI files, clocks,
//! random, sockets and HTTP. All of it is there to be called whatever was granted, since toolchains
//! import it unconditionally; without a grant the answer is that access is denied. What a toolchain
//! imports beyond that is replaced by a trap that says so.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasData, HasSelf, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, bail};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::random::WasiRandom;

use crate::bindings::v0_1::rocketmq::connect as ours;
use crate::egress;
use crate::files;
use crate::state::State;

/// Interfaces of our own package that a guest may import.
pub(crate) const OURS: &[&str] = &["records", "log", "source-context", "sink-context"];

/// Interfaces of WASI that are linked, without version.
const WASI: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
];

/// Most items that the imports of a component have together which is not offered one of them; all
/// that is offered has some hundreds.
const ITEMS: usize = 10_000;

/// Whether this import is of WASI 0.2 and linked.
pub(crate) fn offers_wasi(import: &str) -> bool {
    import
        .split_once('@')
        .is_some_and(|(name, version)| WASI.contains(&name) && version.starts_with("0.2."))
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// The linker that all plugins share.
///
/// # Errors
/// None in practice: the names do not depend on input.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    ours::records::add_to_linker::<_, HasSelf<State>>(l, |state| state)?;
    ours::log::add_to_linker::<_, HasSelf<State>>(l, |state| state)?;
    ours::source_context::add_to_linker::<_, HasSelf<State>>(l, |state| state)?;
    ours::sink_context::add_to_linker::<_, HasSelf<State>>(l, |state| state)?;

    io::error::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<_, Table>(l, |state| &mut state.table)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(l, State::filesystem)?;
    random::random::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    cli::environment::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli)?;
    egress::link(l)?;
    files::link(&mut linker)?;
    Ok(linker)
}

/// Puts a trap that names itself in the place of every function of the interfaces `names`.
///
/// # Errors
/// An interface that holds something else than functions, types and resources, or imports with so many
/// items that telling them apart would hold up the worker.
pub(crate) fn stub(
    linker: &mut Linker<State>,
    component: &Component,
    names: &[String],
) -> wasmtime::Result<()> {
    let engine = component.engine().clone();
    let component_type = component.component_type();
    let items = component_type
        .imports(&engine)
        .map(|(_, import)| match import.ty {
            ComponentItem::ComponentInstance(instance) => instance.exports(&engine).count(),
            _ => 1,
        });
    let items = items.fold(0, usize::saturating_add);
    if items > ITEMS {
        bail!("its imports have {items} items, the most is {ITEMS}");
    }
    // Resources met so far, in order: one that comes again is another name for the same, and what
    // it was linked with before holds.
    let mut met: Vec<ResourceType> = Vec::new();
    for (import, item) in component_type.imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let is_stub = names.iter().any(|name| name == import);
        let mut place = if is_stub {
            Some(linker.instance(import)?)
        } else {
            None
        };
        for (name, item) in instance.exports(&engine) {
            match (item.ty, &mut place) {
                (ComponentItem::Resource(resource), place) => {
                    let known = met.contains(&resource);
                    met.push(resource);
                    if let (false, Some(place)) = (known, place) {
                        place.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                    }
                }
                (ComponentItem::ComponentFunc(_), Some(place)) => {
                    let called = format!("{import}#{name}");
                    place.func_new(name, move |_, _, _, _| {
                        bail!("this worker does not offer `{called}`")
                    })?;
                }
                (ComponentItem::Type(_), _) | (_, None) => {}
                (_, Some(_)) => bail!("`{import}#{name}` is no function, type or resource"),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::engine_config;

    /// Two interfaces that are not offered; the second uses a resource of the first, and one that is.
    const COMPONENT: &str = r#"(component
        (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:net/network@0.2.0" (instance $net
            (export "network" (type (sub resource)))
            (export "touch" (func))))
        (alias export $net "network" (type $network))
        (import "wasi:net/tcp@0.2.0" (instance
            (alias outer 1 $network (type $outer-network))
            (alias outer 1 $pollable (type $outer-pollable))
            (export "network" (type $n (eq $outer-network)))
            (export "pollable" (type $p (eq $outer-pollable)))
            (export "wait" (func (param "on" (borrow $n)) (result (own $p))))))
        (alias export $net "touch" (func $touch))
        (core func $lowered (canon lower (func $touch)))
        (core module $m
            (import "net" "touch" (func $touch))
            (func (export "run") call $touch))
        (core instance $i (instantiate $m (with "net" (instance (export "touch" (func $lowered))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;

    #[test]
    fn imports_without_end_are_not_gone_through() {
        let engine = Engine::new(&engine_config()).unwrap();
        let import = "wasi:net/network@0.2.0";
        let stubbed = |items: usize| {
            let items: String = (0..items)
                .map(|at| format!("(export \"r{at}\" (type (sub resource)))"))
                .collect();
            let text = format!("(component (import \"{import}\" (instance {items})))");
            let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let mut linker = linker(&engine).unwrap();
            stub(&mut linker, &component, &[import.to_owned()])
        };
        stubbed(1_000).unwrap();
        let error = stubbed(ITEMS + 1).unwrap_err().to_string();
        assert_eq!(error, "its imports have 10001 items, the most is 10000");
    }

    #[tokio::test]
    async fn what_is_not_offered_is_a_trap_that_names_itself() {
        let engine = Engine::new(&engine_config()).unwrap();
        let component = Component::new(&engine, wat::parse_str(COMPONENT).unwrap()).unwrap();
        let mut linker = linker(&engine).unwrap();
        assert!(linker.instantiate_pre(&component).is_err());
        let names = [
            "wasi:net/network@0.2.0".to_owned(),
            "wasi:net/tcp@0.2.0".to_owned(),
        ];
        stub(&mut linker, &component, &names).unwrap();
        let pre = linker.instantiate_pre(&component).unwrap();

        let who = crate::log::Who {
            plugin: "p".into(),
            connector: "".into(),
            task: 0,
        };
        let limits = crate::Limits::default();
        let state = State::new(
            who,
            &limits,
            &crate::Access::default(),
            crate::context::Context::Nobody,
            crate::Meter::default(),
            &std::sync::Arc::default(),
        )
        .unwrap();
        let mut store = wasmtime::Store::new(&engine, state);
        store.set_epoch_deadline(1_000);
        let instance = pre.instantiate_async(&mut store).await.unwrap();
        let run = instance
            .get_typed_func::<(), ()>(&mut store, "run")
            .unwrap();
        let error = run.call_async(&mut store, ()).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("this worker does not offer `wasi:net/network@0.2.0#touch`"),
            "{text}"
        );
    }
}
