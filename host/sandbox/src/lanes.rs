//! Where guests run: on ordinary threads, and on threads that the system lets run only while nobody
//! else wants their core. A guest is moved between the two in the middle of a call, by moving the
//! whole task that called it, so that nobody has to wait on a thread.
//!
//! A thread of the idle lane can lose its core for as long as the machine is busy, wherever it is. So
//! it must never do the worker's work: it takes turns of guests and no more, what they start outside
//! (files, sockets, timers) is done by ordinary threads, and a call that is done returns to one
//! first. Nor must it ever start a thread, which would be as it is, for good. Which lane a guest
//! belongs to is decided in `share`.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Where a turn is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// As important as everything else on the machine.
    Ordinary,
    /// After everything else.
    Idle,
}

/// After so much of computing, a thread of the idle lane stops for a moment. The system moves a thread
/// that waits behind another one to a free core when that core falls idle, and a core that is busy for
/// ever with what gives way to everyone never does: without these pauses the median latency of
/// neighbours more than doubled, beside a guest as beside any other process of the idle policy.
const BUSY: Duration = Duration::from_micros(900);
const PAUSE: Duration = Duration::from_micros(100);

thread_local! {
    /// Where a thread of the idle lane puts what it must not do itself.
    static WORK: RefCell<Option<mpsc::UnboundedSender<Work>>> = const { RefCell::new(None) };
    /// How long this thread of the idle lane has computed since it last stopped.
    static COMPUTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// The lane of this thread, while it runs a task that can be moved.
    static HERE: Cell<Option<Lane>> = const { Cell::new(None) };
    /// That task wants to go on in the other lane.
    static LEAVES: Cell<bool> = const { Cell::new(false) };
}

/// Where the present task runs; none when it cannot be moved.
pub(crate) fn here() -> Option<Lane> {
    HERE.get()
}

/// Has the present task polled next on the other lane, at once. Whoever asks returns `Poll::Pending`.
pub(crate) fn leave() {
    LEAVES.set(true);
}

/// Something that is not to be done in the idle lane.
type Work = Box<dyn FnOnce() + Send>;

/// Does what others may have to wait for, like writing a line of the log: at once, or soon and in the
/// same order on an ordinary thread when the present task is in the idle lane.
pub(crate) fn properly(work: impl FnOnce() + Send + 'static) {
    if here() != Some(Lane::Idle) {
        return work();
    }
    let work: Work = Box::new(work);
    let unsent = WORK.with_borrow(|queue| match queue {
        Some(queue) => queue.send(work).err().map(|unsent| unsent.0),
        None => Some(work),
    });
    if let Some(work) = unsent {
        work();
    }
}

/// Threads for what guests of the idle lane start outside and that blocks: calls of the file system.
/// All of them are there from the beginning, see the module.
const OUTSIDE: usize = 8;
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);
/// How long each of them may take to be there.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The threads of both lanes. Clones are one; with the last one, those that were started here end.
#[derive(Clone, Debug)]
pub struct Lanes {
    ordinary: Handle,
    /// Takes the turns. Without time and I/O, since its threads may not get to them.
    idle: Handle,
    /// Has the timers and sockets of the idle lane, and makes its blocking calls.
    outside: Handle,
    _threads: Arc<Threads>,
}

/// The runtimes that were started here.
#[derive(Debug, Default)]
struct Threads(Vec<Runtime>);

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
        let mut threads = Threads::default();
        let outside = threads.keep(outside.build()?);
        summon(&outside)?;
        let (queue, mut works) = mpsc::unbounded_channel::<Work>();
        outside.spawn(async move {
            while let Some(work) = works.recv().await {
                work();
            }
        });
        let idle = idle.on_thread_start(move || {
            give_way();
            WORK.set(Some(queue.clone()));
        });
        let idle = threads.keep(idle.build()?);
        Ok(Self {
            ordinary,
            idle,
            outside,
            _threads: Arc::new(threads),
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
            let aside = self.idle.spawn(aside(task, back, self.outside.clone()));
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

impl Threads {
    fn keep(&mut self, runtime: Runtime) -> Handle {
        let handle = runtime.handle().clone();
        self.0.push(runtime);
        handle
    }
}

impl Drop for Threads {
    /// Without waiting, since the last one may go anywhere.
    fn drop(&mut self) {
        for runtime in self.0.drain(..) {
            runtime.shutdown_background();
        }
    }
}

/// Has all threads for blocking calls started, by this one.
fn summon(outside: &Handle) -> io::Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let _closed = gate.lock();
    let (here, arrivals) = std::sync::mpsc::channel();
    for _ in 0..OUTSIDE {
        let (gate, here) = (Arc::clone(&gate), here.clone());
        outside.spawn_blocking(move || {
            if here.send(()).is_ok() {
                drop(gate.lock());
            }
        });
    }
    // The runtime does not say so when it cannot start one.
    for _ in 0..OUTSIDE {
        let arrived = arrivals.recv_timeout(ARRIVAL);
        arrived.map_err(|_| io::Error::other("too few threads for the files of plugins"))?;
    }
    Ok(())
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
            let begun = Instant::now();
            let turn = {
                let _outside = outside.enter();
                stint.as_mut().poll(context)
            };
            // A call that is done is handed back first.
            if turn.is_pending() {
                stop_now_and_then(begun.elapsed());
            }
            turn
        })
        .await
    };
    if let Err(unclaimed) = back.send((task, output)) {
        // To let an instance go is the worker's work.
        outside.spawn(async move { drop(unclaimed) });
    }
}

/// After a turn on the idle lane that took so long.
#[expect(
    clippy::disallowed_methods,
    reason = "not a wait for a condition: to be off the core is all that the pause is for"
)]
fn stop_now_and_then(turn: Duration) {
    let computed = COMPUTED.get() + turn;
    if computed < BUSY {
        COMPUTED.set(computed);
    } else {
        std::thread::sleep(PAUSE);
        COMPUTED.set(Duration::ZERO);
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
    LEAVES.set(false);
    HERE.set(Some(lane));
    let polled = {
        let _leave = Leave;
        task.as_mut().poll(context)
    };
    match polled {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if LEAVES.get() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
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
mod tests;
