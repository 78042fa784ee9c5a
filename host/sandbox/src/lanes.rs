//! Where guests run: on ordinary threads, and on threads that the system lets run only while nobody
//! else wants their core. A guest is moved between the two in the middle of a call, by moving the
//! whole task that called it, so that nobody has to wait on a thread.
//!
//! A thread of the idle lane can lose its core for as long as the machine is busy, wherever it is. So
//! it must never do the worker's work: it takes turns of guests and no more, what they start outside
//! (files, sockets, timers) is done by ordinary threads, and a call that is done returns to one
//! first. Nor must it ever start a thread, which would be as it is, for good. Which lane a guest
//! belongs to is decided in `share`.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Where a turn is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// As important as everything else on the machine.
    Ordinary,
    /// After everything else.
    Idle,
}

thread_local! {
    /// The lane of this thread, while it runs a task that can be moved.
    static HERE: Cell<Option<Lane>> = const { Cell::new(None) };
    /// Where that task wants to go on.
    static WISH: Cell<Option<Lane>> = const { Cell::new(None) };
}

/// Where the present task runs; none when it cannot be moved.
pub(crate) fn here() -> Option<Lane> {
    HERE.get()
}

/// Has the present task polled next on that lane, at once. Whoever asks returns `Poll::Pending`.
pub(crate) fn go_on(lane: Lane) {
    WISH.set(Some(lane));
}

/// Threads for what guests of the idle lane start outside and that blocks: calls of the file system.
/// All of them are there from the beginning, see the module.
const OUTSIDE: usize = 8;
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Does what others may have to wait for, like writing a line of the log: at once, or soon and in the
/// same order on an ordinary thread when the present task is in the idle lane.
pub(crate) fn properly(work: impl FnOnce() + Send + 'static) {
    if here() == Some(Lane::Idle) {
        // The turn was begun with the ordinary threads as what tokio takes for its own.
        drop(tokio::spawn(async move { work() }));
    } else {
        work();
    }
}

/// The threads of both lanes. Clones are one; with the last one, those that were started here end.
#[derive(Clone, Debug)]
pub struct Lanes {
    ordinary: Handle,
    aside: Arc<Aside>,
}

/// What the idle lane needs.
#[derive(Debug)]
struct Aside {
    /// Takes the turns. Without time and I/O, since its threads may not get to them.
    idle: Option<Runtime>,
    /// Has the timers and sockets, and makes the blocking calls.
    outside: Option<Runtime>,
}

/// A task between two lanes.
type Task<F> = Pin<Box<F>>;

impl Lanes {
    /// With the caller's runtime for ordinary threads, which needs time and I/O, and `threads` threads
    /// `idle-guest` of the idle lane.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(ordinary: Handle, threads: usize) -> io::Result<Self> {
        let mut idle = Builder::new_multi_thread();
        idle.worker_threads(threads).thread_name("idle-guest");
        let mut outside = Builder::new_multi_thread();
        outside
            .worker_threads(1)
            .max_blocking_threads(OUTSIDE)
            .thread_keep_alive(FOR_EVER)
            .thread_name("outside")
            .enable_all();
        let aside = Aside {
            idle: Some(idle.on_thread_start(give_way).build()?),
            outside: Some(outside.build()?),
        };
        aside.summon();
        Ok(Self {
            ordinary,
            aside: Arc::new(aside),
        })
    }

    /// Runs a task that calls guests. It begins on an ordinary thread. When it is aborted on the idle
    /// lane, it is dropped at the end of the guest's turn there, a little after its handle is done.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.ordinary.spawn(self.clone().drive(Box::pin(task)))
    }

    async fn drive<F>(self, mut task: Task<F>) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        loop {
            if let Some(output) = stint(&mut task, Lane::Ordinary).await {
                return output;
            }
            let (back, returned) = oneshot::channel();
            let (Some(idle), Some(outside)) = (&self.aside.idle, &self.aside.outside) else {
                return pending().await;
            };
            let outside = outside.handle().clone();
            let aside = idle.spawn(aside(task, back, outside));
            match returned.await {
                Ok((_, Some(output))) => return output,
                Ok((returned, None)) => task = returned,
                Err(_) => match aside.await {
                    Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                    // Its threads are going down, and so will these.
                    _ => return pending().await,
                },
            }
        }
    }
}

impl Aside {
    /// Has all threads for blocking calls started, by this one.
    fn summon(&self) {
        let Some(outside) = &self.outside else { return };
        let all = Arc::new(Barrier::new(OUTSIDE));
        for _ in 0..OUTSIDE {
            let all = Arc::clone(&all);
            outside.spawn_blocking(move || all.wait());
        }
    }
}

impl Drop for Aside {
    /// Without waiting, since the last one may go anywhere.
    fn drop(&mut self) {
        for runtime in [self.idle.take(), self.outside.take()]
            .into_iter()
            .flatten()
        {
            runtime.shutdown_background();
        }
    }
}

/// Runs a task on the idle lane until it is done, wants to go back or nobody waits for it any more.
async fn aside<F>(
    mut task: Task<F>,
    mut back: oneshot::Sender<(Task<F>, Option<F::Output>)>,
    outside: Handle,
) where
    F: Future<Output: Send> + Send + 'static,
{
    let output = {
        let mut stint = pin!(stint(&mut task, Lane::Idle));
        poll_fn(|context| {
            if back.poll_closed(context).is_ready() {
                return Poll::Ready(None);
            }
            let _outside = outside.enter();
            stint.as_mut().poll(context)
        })
        .await
    };
    if let Err(unclaimed) = back.send((task, output)) {
        // To let an instance go is the worker's work.
        outside.spawn(async move { drop(unclaimed) });
    }
}

/// The task's output; none when it wants to go on elsewhere.
async fn stint<F: Future>(task: &mut Task<F>, lane: Lane) -> Option<F::Output> {
    poll_fn(|context| take(task, lane, context)).await
}

fn take<F: Future>(
    task: &mut Task<F>,
    lane: Lane,
    context: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    /// Also when the task panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            HERE.set(None);
        }
    }
    WISH.set(None);
    HERE.set(Some(lane));
    let polled = {
        let _leave = Leave;
        task.as_mut().poll(context)
    };
    match (polled, WISH.take()) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(elsewhere)) if elsewhere != lane => Poll::Ready(None),
        // It may have wished for where it is: then it is polled again, as it was promised.
        (Poll::Pending, Some(_)) => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        (Poll::Pending, None) => Poll::Pending,
    }
}

/// Makes the calling thread one that runs only while nobody else wants its core, for good. Where the
/// system refuses, guests get as much over their share as within it, which is no reason not to work.
fn give_way() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
    if let Err(error) = done {
        tracing::warn!(
            ?error,
            "no thread of the lowest priority: CPU shares will not hold guests back"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn thread_name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// Goes on over there.
    async fn to(lane: Lane) {
        poll_fn(|_| {
            if here() == Some(lane) {
                return Poll::Ready(());
            }
            go_on(lane);
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
            // More at once than there are threads for it.
            let blocking: Vec<_> = (0..4 * OUTSIDE)
                .map(|_| {
                    tokio::task::spawn_blocking(|| {
                        (policy(), std::thread::sleep(Duration::from_millis(1)))
                    })
                })
                .collect();
            let mut outside = Vec::new();
            for call in blocking {
                outside.push(call.await.unwrap().0);
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
        let threads = lanes.aside.idle.as_ref().unwrap().metrics().num_workers();
        assert_eq!(threads, 1);
        let idle = Arc::downgrade(&lanes.aside);
        drop(lanes.clone());
        assert!(idle.upgrade().is_some());
        drop(lanes);
        assert!(idle.upgrade().is_none());
    }
}
