//! Guests of the fixture workspace, and what stands in for the worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use connect_record::{Queue, QueueOffset, ResumePoint};
use connect_rows::{Builder, Parts};
use connect_sandbox::{
    Access, CallError, Limits, Meter, Plugin, Polled, ResumeAnswer, Sandbox, SandboxSettings,
    SinkContext, SinkInstance, SourceContext, SourceInstance, TaskScope,
};
use futures::future::BoxFuture;

/// Bytes of a fixture guest.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let built = std::env::var_os("CONNECT_GUESTS")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../target/guests/wasm32-wasip2/release")
        });
    let path = built.join(format!("{}.wasm", name.replace('-', "_")));
    fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "fixture guest {}: {error}; build the guests with `cargo xtask guests`",
            path.display()
        )
    })
}

/// One sandbox for all tests. Its code cache stays between runs, since an unoptimised compiler
/// takes seconds for each guest.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let defaults = Limits {
            call_cpu: Duration::from_millis(500),
            ..Limits::default()
        };
        let code_cache = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sandbox-code"));
        Sandbox::new(SandboxSettings {
            code_cache,
            defaults,
            ..SandboxSettings::default()
        })
        .unwrap()
    })
}

pub(crate) async fn plugin(name: &str) -> Plugin {
    sandbox()
        .load(&format!("{name}.wasm"), bytes(name))
        .await
        .unwrap()
}

/// Settings from pairs, with the plugin's own defaults for the rest, as the worker gives them.
pub(crate) fn settings(plugin: &Plugin, given: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for option in &plugin.description().options {
        if let Some(default) = &option.default {
            all.insert(option.key.clone(), default.clone());
        }
    }
    all.extend(
        given
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
    );
    all.into_iter().collect()
}

pub(crate) fn scope(limits: Limits) -> TaskScope {
    TaskScope {
        connector: "test".into(),
        task: 0,
        limits,
        access: Access::default(),
        meter: Meter::default(),
    }
}

/// Makes `subscriber` this thread's own. Where it is the only one there is, tracing asks whichever thread
/// comes to a line first whether anybody wants it, and keeps to that; so there is always a second one.
pub(crate) fn listen(
    subscriber: impl tracing::Subscriber + Send + Sync,
) -> tracing::subscriber::DefaultGuard {
    static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
    tracing::subscriber::set_default(subscriber)
}

/// Limits that a test of a broken guest does not wait long for.
pub(crate) fn short() -> Limits {
    Limits {
        call_cpu: Duration::from_millis(300),
        call_wall: Duration::from_secs(20),
        ..Limits::default()
    }
}

/// An open source of a fixture.
pub(crate) async fn source(name: &str, given: &[(&str, &str)]) -> SourceInstance {
    let plugin = plugin(name).await;
    let mut source = plugin
        .source(scope(short()), Arc::new(Stored::default()))
        .await
        .unwrap();
    source.open(&settings(&plugin, given)).await.unwrap();
    source
}

/// An open sink of a fixture with queue 0 of `topic` from offset 10 on.
pub(crate) async fn sink(name: &str, given: &[(&str, &str)]) -> (SinkInstance, Arc<Desk>) {
    let plugin = plugin(name).await;
    let desk = Arc::new(Desk::default());
    let context = Arc::clone(&desk) as Arc<dyn SinkContext>;
    let mut sink = plugin.sink(scope(short()), context).await.unwrap();
    let starts = sink
        .open(&settings(&plugin, given), &[at(0, 10)])
        .await
        .unwrap();
    assert_eq!(starts, []);
    (sink, desk)
}

pub(crate) async fn poll(source: &mut SourceInstance) -> Result<Polled, CallError> {
    source.poll(100, 1 << 20, Duration::from_millis(10)).await
}

/// The values of a poll as text.
pub(crate) fn values(polled: &Polled) -> Vec<String> {
    let value =
        |value: Option<Bytes>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
    polled
        .batch
        .records()
        .map(|record| value(record.value()))
        .collect()
}

pub(crate) fn queue(id: i32) -> Queue {
    Queue::new("topic", "broker", id)
}

pub(crate) fn at(id: i32, next: u64) -> QueueOffset {
    QueueOffset {
        queue: queue(id),
        next,
    }
}

/// A batch of queue 0 with these values, from `offset` on.
pub(crate) fn batch(offset: u64, values: &[&str]) -> Parts {
    let mut builder = Builder::new();
    let partition = queue(0).partition_name();
    for (number, value) in (0..).zip(values) {
        let record = builder
            .add()
            .topic("topic")
            .partition(&partition)
            .offset(offset + number);
        record
            .value(value.as_bytes())
            .header("name", b"header")
            .finish()
            .unwrap();
    }
    builder.finish()
}

/// The store of a source.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) points: BTreeMap<String, Bytes>,
    /// Why nothing can be read from it.
    pub(crate) broken: Option<&'static str>,
}

impl SourceContext for Stored {
    fn resume_points(&self, partitions: Option<Vec<String>>) -> BoxFuture<'_, ResumeAnswer> {
        Box::pin(async move {
            // A store answers from another thread; the guest's stack waits meanwhile.
            tokio::task::yield_now().await;
            if let Some(reason) = self.broken {
                return Err(reason.into());
            }
            let wanted = |name: &String| partitions.as_ref().is_none_or(|all| all.contains(name));
            let points =
                self.points
                    .iter()
                    .filter(|(name, _)| wanted(name))
                    .map(|(name, position)| ResumePoint {
                        partition: name.clone(),
                        position: position.clone(),
                    });
            Ok(points.collect())
        })
    }

    fn reconfigure(&self) {}
}

/// What a sink asked for.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) seeks: Mutex<Vec<(Queue, u64)>>,
}

impl SinkContext for Desk {
    fn assignment(&self) -> Vec<Queue> {
        vec![queue(0)]
    }

    fn owns(&self, of: &Queue) -> bool {
        *of == queue(0)
    }

    fn seek(&self, queue: Queue, offset: u64) {
        self.seeks.lock().unwrap().push((queue, offset));
    }

    fn pause(&self, _queues: Vec<Queue>) {}

    fn resume(&self, _queues: Vec<Queue>) {}
}
