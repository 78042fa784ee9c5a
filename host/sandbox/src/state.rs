//! What a store carries: the guest's empty world (no arguments, environment, standard streams or
//! network; only granted directories), its limits, and the host's side of what it imports.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::access::Access;
use crate::context::Context;
use crate::limits::{Limiter, Limits};
use crate::log::{PluginLog, Who};
use crate::stdio::Lines;

/// Data of one store.
pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) slices: Slices,
    pub(crate) log: Arc<PluginLog>,
    pub(crate) context: Context,
}

/// Processor time of the present call, in ticks during which the guest was running.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    used: u64,
    budget: u64,
}

impl Slices {
    /// A new call begins.
    pub(crate) fn begin(&mut self, budget: u64) {
        *self = Self { used: 0, budget };
    }

    /// One more tick; false once the budget is used up.
    pub(crate) fn spend(&mut self) -> bool {
        self.used = self.used.saturating_add(1);
        !self.spent()
    }

    pub(crate) fn spent(&self) -> bool {
        self.used > self.budget
    }
}

impl State {
    /// # Errors
    /// A granted directory that cannot be opened any more.
    pub(crate) fn new(
        who: Who,
        limits: &Limits,
        access: &Access,
        context: Context,
    ) -> std::io::Result<Self> {
        let log = Arc::new(PluginLog::new(who, limits.log_lines_per_second));
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
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        Ok(Self {
            wasi: wasi.build(),
            table,
            limiter: Limiter::new(limits),
            slices: Slices::default(),
            log,
            context,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_by_the_tick_after_its_last() {
        let mut slices = Slices::default();
        slices.begin(2);
        assert!(slices.spend() && slices.spend());
        assert!(!slices.spend() && slices.spent());
        slices.begin(2);
        assert!(!slices.spent());
    }
}
