//! The one place that configures wasmtime, so that code compiled for one sandbox fits every other
//! of the same build.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::{Config, Strategy, WasmBacktraceDetails};

use crate::compile::Compiler;
use crate::egress::NetworkSettings;
use crate::limits::{LimitChanges, Limits};

/// Settings of a [`crate::Sandbox`].
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Directory of the code cache, used by this worker alone; made when it is not there. Without
    /// one every start compiles every plugin. Default none.
    pub code_cache: Option<std::path::PathBuf>,
    /// Who compiles the files that the cache has not. Default [`Compiler::Here`], which is for files
    /// that are trusted.
    pub compiler: Compiler,
    /// Largest plugin file, in bytes. Default 32 MiB.
    pub max_component_bytes: u64,
    /// Length of a time slice: how long one guest may hold a thread while others wait. Default 1 ms.
    pub epoch_tick: Duration,
    /// Limits of instances that answer questions about settings. Tasks bring their own.
    pub defaults: Limits,
    /// What differs of them for a plugin, by its name. Not yet known while it describes itself.
    pub plugins: BTreeMap<String, LimitChanges>,
    /// Bounds of a batch that a guest returns.
    pub batch: connect_record::Limits,
    /// How instances get out, where that is granted.
    pub network: NetworkSettings,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            code_cache: None,
            compiler: Compiler::default(),
            max_component_bytes: 32 << 20,
            epoch_tick: Duration::from_millis(1),
            defaults: Limits::default(),
            plugins: BTreeMap::new(),
            batch: connect_record::Limits::default(),
            network: NetworkSettings::default(),
        }
    }
}

/// Wasmtime's settings.
pub(crate) fn engine_config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_component_model(true)
        // Sync exports on fibers; this keeps the event loop of component-model async out, should
        // another crate ever switch its feature on.
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(false)
        .wasm_memory64(false)
        .shared_memory(false)
        // Growth is counted and refused page by page of 64 KiB. With pages of one byte a guest could
        // have every byte asked for by itself.
        .wasm_custom_page_sizes(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        // Only native debuggers would use it, and registering it is quadratic in the modules.
        .native_unwind_info(false)
        .parallel_compilation(true)
        // Stacks are used again by other guests of the same store only, but a guest must never
        // find there what the host left.
        .async_stack_zeroing(true);
    config
}
