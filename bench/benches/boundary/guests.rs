//! The plugins that are measured: built, loaded, and instances of them. Must run them as the worker does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_record::Queue;
use connect_sandbox::{
    Access, Limits, Meter, Plugin, ResumeAnswer, Sandbox, SandboxSettings, SinkContext,
    SinkInstance, SourceContext, SourceInstance, TaskScope, TransformInstance,
};
use futures::future::BoxFuture;

/// The three plugins, loaded.
pub(crate) struct Guests {
    source: Plugin,
    sink: Plugin,
    transform: Plugin,
    /// Keeps the clock of the sandbox going.
    _sandbox: Sandbox,
}

impl Guests {
    /// Builds and loads them.
    pub(crate) async fn load() -> Result<Self> {
        let folder = build()?;
        let sandbox = Sandbox::new(SandboxSettings::default())?;
        let load = async |name: &str| -> Result<Plugin> {
            let path = folder.join(name);
            let bytes =
                std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            Ok(sandbox.load(name, bytes).await?)
        };
        Ok(Self {
            source: load("connect_bench_source.wasm").await?,
            sink: load("connect_bench_sink.wasm").await?,
            transform: load("connect_bench_transform.wasm").await?,
            _sandbox: sandbox,
        })
    }

    /// A source that answers each poll with a batch of this size.
    pub(crate) async fn source(
        &self,
        records: usize,
        value_bytes: usize,
    ) -> Result<SourceInstance> {
        let mut source = self.source.source(scope(), Arc::new(Nobody)).await?;
        source
            .open(&[pair("records", records), pair("value-bytes", value_bytes)])
            .await?;
        Ok(source)
    }

    /// A sink that reads of each record what [`connect_bench_shared::read`] reads, or nothing.
    pub(crate) async fn sink(&self, read: bool) -> Result<SinkInstance> {
        let mut sink = self.sink.sink(scope(), Arc::new(Nobody)).await?;
        sink.open(&[pair("read", read)], &[]).await?;
        Ok(sink)
    }

    /// A transform that does [`connect_bench_shared::rewrite`].
    pub(crate) async fn transform(&self) -> Result<TransformInstance> {
        let mut transform = self.transform.transform(scope()).await?;
        transform.open(&[]).await?;
        Ok(transform)
    }
}

/// Builds the plugins as they would be shipped; answers where they are.
fn build() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    let target = folder.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--release",
        "--target",
        "wasm32-wasip2",
        "--locked",
        "--quiet",
        "--target-dir",
    ]);
    let status = cargo
        .arg(&target)
        .current_dir(&folder)
        .status()
        .context("running cargo for the plugins")?;
    ensure!(
        status.success(),
        "the plugins in {} do not build",
        folder.display()
    );
    Ok(target.join("wasm32-wasip2/release"))
}

fn pair(key: &str, value: impl ToString) -> (String, String) {
    (key.to_owned(), value.to_string())
}

fn scope() -> TaskScope {
    // A bench runs longer than any call of a worker, but it is the budget of each call that counts.
    TaskScope {
        connector: "bench".into(),
        task: 0,
        limits: Limits::default(),
        access: Access::default(),
        meter: Meter::default(),
    }
}

/// Nothing to answer: these plugins ask for nothing.
struct Nobody;

impl SourceContext for Nobody {
    fn resume_points(&self, _: Option<Vec<String>>) -> BoxFuture<'_, ResumeAnswer> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn reconfigure(&self) {}
}

impl SinkContext for Nobody {
    fn assignment(&self) -> Vec<Queue> {
        Vec::new()
    }

    fn owns(&self, _: &Queue) -> bool {
        false
    }

    fn seek(&self, _: Queue, _: u64) {}

    fn pause(&self, _: Vec<Queue>) {}

    fn resume(&self, _: Vec<Queue>) {}
}

/// How long a poll may wait; these sources never do.
pub(crate) const NO_WAIT: Duration = Duration::ZERO;
