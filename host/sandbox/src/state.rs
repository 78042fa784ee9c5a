//! What a store carries: the guest's empty world (no arguments or standard streams; of directories,
//! network and environment only what was granted), its limits, and the host's side of what it imports.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::access::Access;
use crate::context::Context;
use crate::egress::{Gate, Hooks, Outside, Sockets};
use crate::files::OpenFiles;
use crate::limits::{Limiter, Limits};
use crate::log::{PluginLog, Who};
use crate::meter::Meter;
use crate::stdio::Lines;
use crate::turn::Budget;

/// Data of one store.
pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) budget: Budget,
    pub(crate) files: OpenFiles,
    pub(crate) log: Arc<PluginLog>,
    pub(crate) meter: Meter,
    pub(crate) context: Context,
    pub(crate) gate: Arc<Gate>,
    pub(crate) open_sockets: Sockets,
    http: WasiHttpCtx,
    pub(crate) hooks: Hooks,
}

impl State {
    /// # Errors
    /// A granted directory that cannot be opened any more.
    pub(crate) fn new(
        who: Who,
        limits: &Limits,
        access: &Access,
        context: Context,
        meter: Meter,
        outside: &Arc<Outside>,
    ) -> std::io::Result<Self> {
        let log = Arc::new(PluginLog::new(who, limits, meter.clone()));
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(Lines::stdout(&log))
            .stderr(Lines::stderr(&log))
            .max_random_size(limits.random_bytes);
        for directory in access.directories() {
            let perms = if directory.writable {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            directory.open(|path| {
                wasi.preopened_dir(path, &directory.guest, perms)
                    .map(|_| ())
                    .map_err(std::io::Error::other)
            })?;
        }
        for name in access.environment() {
            if let Ok(value) = std::env::var(name) {
                wasi.env(name, value);
            }
        }
        let gate = Arc::new(Gate::new(
            outside,
            access.network(),
            &limits.egress,
            &log,
            meter.clone(),
        ));
        let check = Arc::clone(&gate);
        wasi.allow_tcp(true)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .socket_addr_check(move |address, usage| {
                let admitted = check.check(address, usage);
                Box::pin(async move { admitted })
            });
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        Ok(Self {
            wasi: wasi.build(),
            table,
            limiter: Limiter::new(limits, meter.clone()),
            budget: Budget::default(),
            files: OpenFiles::new(limits.open_files, meter.clone()),
            log,
            meter,
            context,
            hooks: Hooks::new(&gate),
            gate,
            open_sockets: Sockets::default(),
            http: Hooks::context(),
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers how many environment variables, arguments and preopened directories it finds.
    const LOOKS_AROUND: &str = r#"(component
        (import "wasi:cli/environment@0.2.0" (instance $cli
            (export "get-environment" (func (result (list (tuple string string)))))
            (export "get-arguments" (func (result (list string))))))
        (import "wasi:filesystem/types@0.2.0" (instance $types (export "descriptor" (type (sub resource)))))
        (alias export $types "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
            (alias outer 1 $descriptor (type $outer))
            (export "descriptor" (type $d (eq $outer)))
            (export "get-directories" (func (result (list (tuple (own $d) string)))))))
        (core module $memory
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $m))
        (alias core export $memory "realloc" (core func $realloc))
        (core func $env (canon lower (func $cli "get-environment") (memory $m) (realloc $realloc)))
        (core func $args (canon lower (func $cli "get-arguments") (memory $m) (realloc $realloc)))
        (core func $dirs (canon lower (func $preopens "get-directories") (memory $m) (realloc $realloc)))
        (core module $look
            (import "m" "memory" (memory 1))
            (import "m" "env" (func $env (param i32)))
            (import "m" "args" (func $args (param i32)))
            (import "m" "dirs" (func $dirs (param i32)))
            (func (export "run") (result i32)
                (call $env (i32.const 0)) (call $args (i32.const 8)) (call $dirs (i32.const 16))
                (i32.add (i32.load (i32.const 4)) (i32.add (i32.load (i32.const 12)) (i32.load (i32.const 20))))))
        (core instance $look (instantiate $look (with "m" (instance
            (export "memory" (memory $m)) (export "env" (func $env))
            (export "args" (func $args)) (export "dirs" (func $dirs))))))
        (func (export "run") (result u32) (canon lift (core func $look "run"))))"#;

    #[tokio::test]
    async fn the_guest_s_world_is_empty() {
        let engine = wasmtime::Engine::new(&crate::config::engine_config()).unwrap();
        let component =
            wasmtime::component::Component::new(&engine, wat::parse_str(LOOKS_AROUND).unwrap())
                .unwrap();
        let pre = crate::linker::linker(&engine)
            .unwrap()
            .instantiate_pre(&component)
            .unwrap();
        let who = Who {
            plugin: "p".into(),
            connector: "".into(),
            task: 0,
        };
        let state = State::new(
            who,
            &Limits::default(),
            &Access::default(),
            Context::Nobody,
            Meter::default(),
            &Arc::default(),
        )
        .unwrap();
        let mut store = wasmtime::Store::new(&engine, state);
        store.set_epoch_deadline(1_000);
        let instance = pre.instantiate_async(&mut store).await.unwrap();
        let run = instance
            .get_typed_func::<(), (u32,)>(&mut store, "run")
            .unwrap();
        assert_eq!(run.call_async(&mut store, ()).await.unwrap(), (0,));
        assert!(std::env::vars_os().count() > 0 && std::env::args_os().count() > 0);
    }
}
