//! Shares of a core: a guest over its share has what others leave, all of it and nothing more.
#![cfg(target_os = "linux")]

use std::fs;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use connect_sandbox::{CallError, Lanes, Limit, Limits, Meter, SourceInstance};
use tokio::runtime::{Builder, Runtime};

use crate::fixtures::{Stored, plugin, poll, scope, settings, source};

/// How long a guest is watched beside others that want every core.
const WATCH: Duration = Duration::from_secs(4);
/// What the spinning guest may use of a processor in its call.
const CPU: Duration = Duration::from_secs(2);

/// Threads that keep every core busy at the ordinary priority until they are dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start(name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, NonZero::get);
        let spin = |_| {
            let stop = Arc::clone(&stop);
            let thread = thread::Builder::new().name(name.to_owned());
            let run = move || while !stop.load(Ordering::Relaxed) {};
            thread.spawn(run).unwrap()
        };
        // So many that the system does not leave a core to the guest for want of balance.
        let threads = (0..4 * cores).map(spin).collect();
        Self { threads, stop }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Processor time of this process's threads of one name.
fn spent(name: &str) -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let stats = threads.filter_map(|thread| {
        let folder = thread.unwrap().path();
        let comm = fs::read_to_string(folder.join("comm")).ok()?;
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        (comm.trim_end() == name).then_some(stat)
    });
    let ticks: u64 = stats
        .map(|stat| {
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
            fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
        })
        .sum();
    Duration::from_millis(ticks * 10)
}

fn guests(name: &str) -> (Runtime, Lanes) {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(2).thread_name(name).enable_all();
    let runtime = runtime.build().unwrap();
    let lanes = Lanes::start(runtime.handle().clone(), 2).unwrap();
    (runtime, lanes)
}

/// An open source that spins when it is polled, with one hundredth of a core as its share, and its
/// meter.
async fn spinning() -> (SourceInstance, Meter) {
    let plugin = plugin("spin").await;
    let limits = Limits {
        cpu_share: 1,
        call_cpu: CPU,
        call_wall: Duration::from_secs(600),
        ..Limits::default()
    };
    let stored = Arc::new(Stored::default());
    let scope = scope(limits);
    let meter = scope.meter.clone();
    let mut spinning = plugin.source(scope, stored).await.unwrap();
    spinning.open(&settings(&plugin, &[])).await.unwrap();
    (spinning, meter)
}

fn wait(otherwise: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "{otherwise}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_guest_over_its_share_has_what_others_leave() {
    let (runtime, lanes) = guests("share-guest");
    let (mut spinning, meter) = runtime.block_on(spinning());
    let mut neighbour = runtime.block_on(source("seq-source", &[]));

    let busy = Busy::start("share-busy");
    let (mine, theirs) = (meter.read().cpu, spent("share-busy"));
    let spin = lanes.spawn(async move { poll(&mut spinning).await.map(|_| ()) });
    let answers = runtime.spawn(async move {
        let end = Instant::now() + WATCH;
        let mut answers = 0;
        while Instant::now() < end {
            neighbour.poll(1, 1 << 20, Duration::ZERO).await.unwrap();
            answers += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answers
    });
    let answers = runtime.block_on(answers).unwrap();
    let (mine, theirs) = (meter.read().cpu - mine, spent("share-busy") - theirs);
    let each = theirs / u32::try_from(busy.threads.len()).unwrap();
    // Without its share it would have as much as each of the others.
    assert!(mine < each / 2, "it had {mine:?}, the others {each:?} each");
    assert!(!spin.is_finished());
    // Who wants little has it all the same.
    assert!(answers > 20, "{answers} answers beside it");

    drop(busy);
    // What it was kept from it has now, long before its own share would have come to that.
    let alone = async { tokio::time::timeout(Duration::from_secs(100), spin).await };
    let error = runtime.block_on(alone).unwrap().unwrap().unwrap_err();
    assert!(matches!(error, CallError::Cpu { .. }), "{error:?}");
    let used = meter.read();
    // How often depends on what the machine left it between its waits.
    let held_back = |&(limit, times): &(Limit, u64)| limit == Limit::CpuShare && times > 0;
    assert!(
        used.held > Duration::ZERO && used.breaches.iter().any(held_back),
        "{used:?}"
    );
}

#[test]
fn a_guest_that_is_dropped_while_it_is_held_back_is_gone() {
    let (runtime, lanes) = guests("share-dropped");
    let (mut spinning, meter) = runtime.block_on(spinning());
    let _busy = Busy::start("share-others");
    let task = lanes.spawn(async move { poll(&mut spinning).await.map(|_| ()) });
    wait("it is not held back", || meter.read().held > Duration::ZERO);
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    // Its thread comes to a core now and then, and then it is let go.
    wait("its memory is still there", || {
        meter.read().memory_bytes == 0
    });
}
