//! The sandbox itself: one engine for all plugins, and the way from a file's bytes to a plugin.
//! Loading never changes what is loaded already, and compiles one file at a time.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, component::InstancePre};

use crate::birth::{INSTANTIATE, Origin};
use crate::cache::{self, CodeCache, Kind};
use crate::compile;
use crate::config::{SandboxSettings, engine_config};
use crate::description::Description;
use crate::egress::Outside;
use crate::error::CallError;
use crate::inspect::{Inspected, inspect};
use crate::linker;
use crate::load_error::LoadError;
use crate::plugin::{Plugin, Roles};
use crate::state::State;
use crate::text;
use crate::ticker::Ticker;

/// The largest record that RocketMQ takes.
const LARGEST_RECORD_BYTES: u64 = 4 << 20;

/// Where plugins are loaded. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: SandboxSettings,
    pub(crate) engine: Engine,
    linker: Linker<State>,
    ticker: Arc<Ticker>,
    outside: Arc<Outside>,
    pub(crate) cache: Option<CodeCache>,
    pub(crate) compiling: Arc<Semaphore>,
}

impl Sandbox {
    /// Sets up the engine, its clock and the code cache. Looks at the file system, shortly.
    ///
    /// # Errors
    /// [`LoadError::Cache`] when the cache's directory cannot be used, [`LoadError::Engine`] when
    /// the machine cannot run WebAssembly.
    pub fn new(settings: SandboxSettings) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Engine { reason };
        let engine = Engine::new(&engine_config()).map_err(|error| failed(format!("{error:#}")))?;
        let linker = linker::linker(&engine).map_err(|error| failed(format!("{error:#}")))?;
        let ticker = Ticker::start(engine.weak(), settings.epoch_tick)
            .map_err(|error| failed(error.to_string()))?;
        let cache = settings
            .code_cache
            .as_ref()
            .map(|directory| CodeCache::open(directory, &engine))
            .transpose()?;
        let outside = Arc::new(Outside::new(&settings.network));
        let ticker = Arc::new(ticker);
        let compiling = Arc::new(Semaphore::new(1));
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                engine,
                linker,
                ticker,
                outside,
                cache,
                compiling,
            }),
        })
    }

    /// Largest file that [`Self::load`] accepts, in bytes; whoever reads files need not read more.
    pub fn max_component_bytes(&self) -> u64 {
        self.shared.settings.max_component_bytes
    }

    /// Makes a plugin of the bytes of a file. Compiles them unless the cache has them, and runs the
    /// plugin's description of itself, without access to anything and under tight limits. The name
    /// of the file is for messages only. Needs a tokio runtime with time, and with I/O where a child
    /// compiles.
    ///
    /// # Errors
    /// See [`LoadError`]; every text names the file.
    pub async fn load(&self, name: &str, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
        let file: Arc<str> = text::reason(name).into();
        let prepared = self.prepare(Arc::clone(&file), bytes).await?;
        let types = |error: wasmtime::Error| LoadError::Types {
            file: Arc::clone(&file),
            reason: short(&error),
        };
        let pre = self.link(&prepared).map_err(types)?;
        let roles = Roles::find(&pre, prepared.inspected.role).map_err(types)?;
        let origin = Origin {
            pre,
            ticker: Arc::clone(&self.shared.ticker),
            outside: Arc::clone(&self.shared.outside),
            hostcall_bytes: 2 * self.shared.settings.batch.bytes.max(LARGEST_RECORD_BYTES),
        };
        let Prepared { digest, .. } = prepared;
        let mut plugin = Plugin::new(
            Arc::clone(&self.shared),
            digest,
            origin,
            roles,
            Arc::clone(&file),
        );
        let description = self.describe(&plugin, &file).await?;
        plugin.describe_as(description);
        Ok(plugin)
    }

    /// Inspection, and compilation where the cache has not the code.
    async fn prepare(&self, file: Arc<str>, bytes: Vec<u8>) -> Result<Prepared, LoadError> {
        let bytes = Bytes::from(bytes);
        let look = {
            let (shared, file, bytes) =
                (Arc::clone(&self.shared), Arc::clone(&file), bytes.clone());
            move || shared.look(&file, &bytes)
        };
        let (inspected, digest, cached) = compile::blocking(&file, look).await??;
        let component = match cached {
            Some(component) => component,
            None => compile::compile(&self.shared, &file, &digest, bytes).await?,
        };
        Ok(Prepared {
            digest,
            component,
            inspected,
        })
    }

    fn link(&self, prepared: &Prepared) -> wasmtime::Result<InstancePre<State>> {
        let Prepared {
            component,
            inspected,
            ..
        } = prepared;
        if inspected.stubs.is_empty() {
            return self.shared.linker.instantiate_pre(component);
        }
        let mut linker = self.shared.linker.clone();
        linker::stub(&mut linker, component, &inspected.stubs)?;
        linker.instantiate_pre(component)
    }

    /// From the cache, or by asking the plugin.
    async fn describe(&self, plugin: &Plugin, file: &Arc<str>) -> Result<Description, LoadError> {
        let cache = self.shared.cache.as_ref();
        let stored = cache.and_then(|cache| cache.description(plugin.digest()));
        if let Some(known) =
            stored.and_then(|stored| serde_json::from_slice::<Description>(&stored).ok())
        {
            return Ok(known);
        }
        let described = plugin.ask_description().await;
        let described = described.map_err(|source| match source {
            CallError::Answer {
                call: INSTANTIATE,
                reason,
                ..
            } => LoadError::Types {
                file: Arc::clone(file),
                reason,
            },
            source => LoadError::Describe {
                file: Arc::clone(file),
                source: Box::new(source),
            },
        })?;
        described.check().map_err(|reason| LoadError::Description {
            file: Arc::clone(file),
            reason,
        })?;
        if let Some(cache) = cache
            && let Ok(stored) = serde_json::to_vec(&described)
        {
            cache.store(Kind::Description, plugin.digest(), &stored);
        }
        Ok(described)
    }
}

/// What [`Plugin::digest`](crate::Plugin::digest) of a plugin made of these bytes is.
pub fn digest(bytes: &[u8]) -> String {
    cache::hex(&Sha256::digest(bytes))
}

struct Prepared {
    digest: String,
    component: Component,
    inspected: Inspected,
}

impl Shared {
    /// What a file is, and its code, if the cache has it.
    fn look(
        &self,
        file: &Arc<str>,
        bytes: &[u8],
    ) -> Result<(Inspected, String, Option<Component>), LoadError> {
        let inspected = inspect(file, bytes, self.settings.max_component_bytes)?;
        let digest = digest(bytes);
        let cached = self.cached(&digest);
        Ok((inspected, digest, cached))
    }

    /// The code of the file with this digest, if the cache has it.
    pub(crate) fn cached(&self, digest: &str) -> Option<Component> {
        self.cache.as_ref()?.code(&self.engine, digest)
    }
}

/// All causes on one line. The text may hold names from the file, so it is bounded.
pub(crate) fn short(error: &wasmtime::Error) -> String {
    text::reason(&format!("{error:#}"))
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
