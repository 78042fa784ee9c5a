//! Instances are disposable: however many are made and however each of them ends, the process holds
//! no more afterwards. A process of its own, since it counts what the whole process holds.
//! `CONNECT_RECYCLES` says how many; `cargo xtask torture recycle` runs all of them.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code whose figures are a part of its purpose"
)]

#[allow(dead_code, unreachable_pub, reason = "shared with the other tests")]
#[path = "../sandbox/fixtures.rs"]
mod fixtures;

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use connect_sandbox::{CallError, Limits, Plugin, SinkInstance, SourceInstance};
use tokio::runtime::{Builder, Runtime};

use fixtures::{Desk, Stored, at, batch, plugin, poll, scope, settings};

/// In the everyday tests; a tenth of the whole.
const RECYCLES: u64 = 10_000;
/// Instances at a time.
const LANES: u64 = 4;
/// What the process may hold more at the end than after a tenth of the way.
const MORE_BYTES: u64 = 16 << 20;
const MORE_MAPS: u64 = 32;
const MORE_FILES: u64 = 4;
const MORE_THREADS: u64 = 4;

/// Ways to end and how many in a score end like that. Traps are dear: each is told with its place in
/// the plugin's source.
const ENDS: [(&str, usize); 9] = [
    ("close", 8),
    ("call dropped in a host call", 3),
    ("call dropped while computing", 3),
    ("trap in open", 1),
    ("trap in poll", 1),
    ("processor time", 1),
    ("memory at once", 1),
    ("memory step by step", 1),
    ("wall time", 1),
];

fn end(number: u64) -> &'static str {
    let ends: Vec<&str> = ENDS
        .iter()
        .flat_map(|(end, count)| std::iter::repeat_n(*end, *count))
        .collect();
    ends[usize::try_from(number).unwrap() % ends.len()]
}

struct House {
    counting: Plugin,
    stuck: Plugin,
    spin: Plugin,
    trap: Plugin,
    bomb: Plugin,
}

impl House {
    async fn load() -> Self {
        Self {
            counting: plugin("counting-sink").await,
            stuck: plugin("stuck-sink").await,
            spin: plugin("spin").await,
            trap: plugin("trap-source").await,
            bomb: plugin("memory-bomb").await,
        }
    }

    /// One instance from its making to its end.
    async fn recycle(&self, end: &str) {
        match end {
            "close" => {
                let sink = sink(&self.counting, &[], Limits::default()).await;
                let mut sink = sink.unwrap();
                sink.put(&batch(10, &["a", "b"])).await.unwrap();
                sink.flush().await.unwrap();
                sink.close().await.unwrap();
            }
            "trap in open" => {
                let error = polled(&self.trap, &[("in", "open")], Limits::default()).await;
                assert!(matches!(error, CallError::Trap { .. }), "{error:?}");
            }
            "trap in poll" => {
                let error = polled(&self.trap, &[("polls", "2")], Limits::default()).await;
                assert!(matches!(error, CallError::Trap { .. }), "{error:?}");
            }
            "processor time" => {
                let limits = Limits {
                    call_cpu: Duration::from_millis(2),
                    cpu_share: 100,
                    ..Limits::default()
                };
                let error = polled(&self.spin, &[], limits).await;
                assert!(matches!(error, CallError::Cpu { .. }), "{error:?}");
            }
            "memory at once" | "memory step by step" => {
                let once = end == "memory at once";
                let step = if once { "100000000" } else { "1000000" };
                let limits = Limits {
                    memory_bytes: 8 << 20,
                    ..Limits::default()
                };
                let error = polled(&self.bomb, &[("step", step)], limits).await;
                assert!(matches!(error, CallError::Memory { .. }), "{error:?}");
            }
            "wall time" => {
                let limits = Limits {
                    call_wall: Duration::from_millis(20),
                    ..Limits::default()
                };
                let error = waited(&self.stuck, limits).await.unwrap_err();
                assert!(matches!(error, CallError::Wall { .. }), "{error:?}");
            }
            "call dropped in a host call" => {
                let sink = sink(&self.stuck, &[("how", "wait")], Limits::default()).await;
                let (mut sink, batch) = (sink.unwrap(), batch(10, &["a"]));
                drop_half_way(sink.put(&batch)).await;
            }
            "call dropped while computing" => {
                let spinning = source(&self.spin, &[], Limits::default()).await;
                drop_half_way(poll(&mut spinning.unwrap())).await;
            }
            other => panic!("no end is called `{other}`"),
        }
    }
}

async fn source(
    plugin: &Plugin,
    given: &[(&str, &str)],
    limits: Limits,
) -> Result<SourceInstance, CallError> {
    let stored = Arc::new(Stored::default());
    let mut source = plugin.source(scope(limits), stored).await?;
    source.open(&settings(plugin, given)).await?;
    Ok(source)
}

async fn sink(
    plugin: &Plugin,
    given: &[(&str, &str)],
    limits: Limits,
) -> Result<SinkInstance, CallError> {
    let desk = Arc::new(Desk::default());
    let mut sink = plugin.sink(scope(limits), desk).await?;
    sink.open(&settings(plugin, given), &[at(0, 10)]).await?;
    Ok(sink)
}

/// What polling ends with. Where little is allowed, even the opening may be too much on a machine
/// that is busy.
async fn polled(plugin: &Plugin, given: &[(&str, &str)], limits: Limits) -> CallError {
    let mut source = match source(plugin, given, limits).await {
        Ok(source) => source,
        Err(error) => return error,
    };
    loop {
        if let Err(error) = poll(&mut source).await {
            return error;
        }
    }
}

async fn waited(plugin: &Plugin, limits: Limits) -> Result<(), CallError> {
    let mut sink = sink(plugin, &[("how", "wait")], limits).await?;
    sink.put(&batch(10, &["a"])).await.map(|_| ())
}

/// Begins a call, which must not end by itself, and drops it.
async fn drop_half_way<R>(call: impl Future<Output = R>) {
    let mut call = pin!(call);
    std::future::poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Pending => Poll::Ready(()),
        Poll::Ready(_) => panic!("a call that should never end has ended"),
    })
    .await;
}

/// What this process holds.
#[derive(Debug)]
struct Held {
    resident: u64,
    maps: u64,
    files: u64,
    threads: u64,
}

impl Held {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Self {
            resident: field("VmRSS:") << 10,
            maps: maps.lines().count() as u64,
            files: fs::read_dir("/proc/self/fd").unwrap().count() as u64,
            threads: field("Threads:"),
        }
    }
}

fn run(runtime: &Runtime, house: &Arc<House>, done: &Arc<AtomicU64>, upto: u64) {
    let lanes = (0..LANES).map(|_| {
        let (house, done) = (Arc::clone(house), Arc::clone(done));
        runtime.spawn(async move {
            loop {
                let number = done.fetch_add(1, Ordering::Relaxed);
                if number >= upto {
                    return;
                }
                house.recycle(end(number)).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        runtime.block_on(lane).unwrap();
    }
    done.store(upto, Ordering::Relaxed);
}

#[test]
fn instances_leave_nothing_behind() {
    let recycles = std::env::var("CONNECT_RECYCLES").ok();
    let recycles = recycles.map_or(RECYCLES, |text| text.parse().unwrap());
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let house = Arc::new(runtime.block_on(House::load()));
    let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let at = |percent: u64| {
        run(&runtime, &house, &done, recycles * percent / 100);
        let held = Held::now();
        println!(
            "{percent} % of {recycles} instances: {:.1} MiB resident, {} maps, {} files, {} threads; {:.0} s",
            held.resident as f64 / f64::from(1 << 20),
            held.maps,
            held.files,
            held.threads,
            begun.elapsed().as_secs_f64()
        );
        held
    };
    let (early, _, late) = (at(10), at(50), at(100));
    assert!(
        late.resident <= early.resident + MORE_BYTES
            && late.maps <= early.maps + MORE_MAPS
            && late.files <= early.files + MORE_FILES
            && late.threads <= early.threads + MORE_THREADS,
        "more is held than before: {early:?}, then {late:?}"
    );
}
