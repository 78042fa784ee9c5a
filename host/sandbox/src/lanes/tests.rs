//! Tasks that go from one lane to the other, and what they must not do there.

use super::*;
use std::sync::Barrier;

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

/// Goes on over there.
async fn to(lane: Lane) {
    poll_fn(|_| {
        if here() == Some(lane) {
            return Poll::Ready(());
        }
        leave();
        Poll::Pending
    })
    .await;
}

/// A runtime whose threads are called `ordinary`, and lanes of it.
fn lanes() -> (Runtime, Lanes) {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("ordinary");
    let runtime = builder.enable_all().build().unwrap();
    let lanes = Lanes::start(runtime.handle().clone(), 1).unwrap();
    (runtime, lanes)
}

#[test]
fn a_task_goes_to_and_fro_and_what_it_starts_is_done_elsewhere() {
    let (runtime, lanes) = lanes();
    let task = lanes.spawn(async {
        let mut seen = Vec::new();
        for lane in [Lane::Ordinary, Lane::Idle, Lane::Idle, Lane::Ordinary] {
            to(lane).await;
            let started = tokio::spawn(async { thread_name() });
            tokio::time::sleep(Duration::from_millis(1)).await;
            seen.push((thread_name(), started.await.unwrap()));
        }
        seen
    });
    let seen = runtime.block_on(task).unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(here, started)| (here.as_str(), started.as_str()))
        .collect();
    let idle = ("idle-guest", "outside");
    let ordinary = ("ordinary", "ordinary");
    assert_eq!(seen, [ordinary, idle, idle, ordinary]);
}

#[test]
fn outside_of_such_a_task_there_is_no_lane() {
    assert_eq!(here(), None);
    let (runtime, lanes) = lanes();
    let nested = lanes.spawn(async {
        let inner = tokio::spawn(async { here() }).await.unwrap();
        (here(), inner)
    });
    let nested = runtime.block_on(nested).unwrap();
    assert_eq!(nested, (Some(Lane::Ordinary), None));
}

/// Says on which thread it was dropped.
struct Dropped(Mutex<Option<oneshot::Sender<String>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let told = self.0.lock().unwrap().take().unwrap().send(thread_name());
        told.unwrap();
    }
}

#[test]
fn whoever_is_aborted_is_not_dropped_on_the_idle_lane() {
    let (runtime, lanes) = lanes();
    for (lane, thread) in [(Lane::Ordinary, "ordinary"), (Lane::Idle, "outside")] {
        let (dropped, drops) = oneshot::channel();
        let dropped = Dropped(Mutex::new(Some(dropped)));
        let (there, arrival) = oneshot::channel();
        let task = lanes.spawn(async move {
            let _dropped = dropped;
            to(lane).await;
            there.send(()).unwrap();
            pending::<()>().await;
        });
        runtime.block_on(async {
            arrival.await.unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(drops.await.unwrap(), thread);
        });
    }
}

#[test]
fn a_panic_over_there_is_one_here() {
    let (runtime, lanes) = lanes();
    let task = lanes.spawn(async {
        to(Lane::Idle).await;
        panic!("on purpose");
    });
    assert!(runtime.block_on(task).unwrap_err().is_panic());
}

#[test]
fn what_others_wait_for_is_done_in_order_by_an_ordinary_thread() {
    let (runtime, lanes) = lanes();
    let (done, doings) = std::sync::mpsc::channel();
    let task = lanes.spawn(async move {
        for number in 0..3_000 {
            // Not everything in one turn.
            if number % 1_000 == 0 {
                to(Lane::Ordinary).await;
                to(Lane::Idle).await;
            }
            let done = done.clone();
            properly(move || done.send((number, thread_name())).unwrap());
        }
    });
    runtime.block_on(task).unwrap();
    let done: Vec<_> = doings.iter().collect();
    assert!(done.iter().map(|(number, _)| *number).eq(0..3_000));
    assert!(done.iter().all(|(_, thread)| thread == "outside"));
}

/// The scheduling policy of this thread: the 41st field, see proc_pid_stat(5) and sched(7).
#[cfg(target_os = "linux")]
fn policy() -> u32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().nth(38).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn only_the_turns_are_taken_at_the_lowest_priority() {
    const OTHER: u32 = 0;
    const IDLE: u32 = 5;
    let (runtime, lanes) = lanes();
    let task = lanes.spawn(async {
        to(Lane::Idle).await;
        let here = policy();
        // More than there are threads for it, and each of these has some.
        let all = Arc::new(Barrier::new(OUTSIDE));
        let blocking: Vec<_> = (0..4 * OUTSIDE)
            .map(|_| {
                let all = Arc::clone(&all);
                tokio::task::spawn_blocking(move || {
                    all.wait();
                    policy()
                })
            })
            .collect();
        let mut outside = Vec::new();
        for call in blocking {
            outside.push(call.await.unwrap());
        }
        (here, outside)
    });
    let (here, outside) = runtime.block_on(task).unwrap();
    assert_eq!(here, IDLE);
    assert!(outside.iter().all(|policy| *policy == OTHER), "{outside:?}");
}

#[test]
fn the_threads_end_with_the_last_handle() {
    let (_runtime, lanes) = lanes();
    let threads = lanes.idle.metrics().num_workers();
    assert_eq!(threads, 1);
    let idle = Arc::downgrade(&lanes._threads);
    drop(lanes.clone());
    assert!(idle.upgrade().is_some());
    drop(lanes);
    assert!(idle.upgrade().is_none());
}
