//! A sink's instance and what it may ask of its host: its queues, a seek, a pause.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use connect_record::{Queue, QueueOffset};
use connect_sandbox::{Access, CallError, Plugin, Role, SinkContext, SinkInstance};
use tokio::task::JoinHandle;

use crate::delivery::{Orders, TaskContext, TaskError};
use crate::guest::{Failed, SinkGuest};

/// What a plugin asked for during a call; carried out when the call has returned.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(super) assignment: BTreeSet<Queue>,
    pub(super) seeks: HashMap<Queue, u64>,
    /// Queue and whether it is to be paused.
    pub(super) pauses: HashMap<Queue, bool>,
}

/// The host's side of a sink's requests.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Wishes>>);

impl Desk {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Wishes) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SinkContext for Desk {
    fn assignment(&self) -> Vec<Queue> {
        self.with(|wishes| wishes.assignment.iter().cloned().collect())
    }

    fn owns(&self, queue: &Queue) -> bool {
        self.with(|wishes| wishes.assignment.contains(queue))
    }

    fn seek(&self, queue: Queue, offset: u64) {
        self.with(|wishes| {
            if wishes.assignment.contains(&queue) {
                wishes.seeks.insert(queue, offset);
            }
        });
    }

    fn pause(&self, queues: Vec<Queue>) {
        self.with(|wishes| wishes.set_paused(queues, true));
    }

    fn resume(&self, queues: Vec<Queue>) {
        self.with(|wishes| wishes.set_paused(queues, false));
    }
}

impl Wishes {
    /// Only for queues of this task, so that a plugin cannot fill the worker's memory with wishes.
    fn set_paused(&mut self, queues: Vec<Queue>, paused: bool) {
        for queue in queues {
            if self.assignment.contains(&queue) {
                self.pauses.insert(queue, paused);
            }
        }
    }
}

/// A sink's instance that is being made, and the desk it will ask.
pub(crate) struct Making {
    pub(super) desk: Desk,
    made: JoinHandle<Result<SinkInstance, CallError>>,
}

/// Begins to make a sink's instance.
pub(crate) fn make(ctx: &TaskContext, plugin: &Plugin, access: Access) -> Making {
    let desk = Desk::default();
    let scope = ctx.scope(Role::Sink, access);
    let (plugin, context) = (plugin.clone(), Arc::new(desk.clone()));
    let made = ctx
        .guests
        .spawn(async move { plugin.sink(scope, context).await });
    Making { desk, made }
}

/// Opens a sink's instance; none when the task is to end instead, see [`TaskContext::ends_within`].
pub(crate) async fn open(
    ctx: &TaskContext,
    making: Making,
    settings: &[(String, String)],
    queues: &[QueueOffset],
    mut orders: Option<&mut Orders>,
) -> Result<Option<(SinkGuest, Vec<QueueOffset>)>, TaskError> {
    making.desk.with(|wishes| {
        wishes.assignment = queues.iter().map(|offset| offset.queue.clone()).collect()
    });
    let instance = match making.made.await {
        Ok(made) => made.map_err(|source| TaskError::Plugin {
            place: ctx.who(),
            source: Box::new(source),
        })?,
        Err(_) => {
            return Err(TaskError::Gone {
                call: "instantiate",
            });
        }
    };
    let guest = SinkGuest::new(&ctx.guests, instance);
    loop {
        let opened = tokio::select! {
            opened = guest.open(settings.to_vec(), queues.to_vec()) => opened,
            () = ctx.stop.cancelled() => return Ok(None),
        };
        match opened {
            Ok(starts) => return Ok(Some((guest, starts))),
            Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                ctx.report.puts_off_opening();
                ctx.report
                    .running(Some(format!("waiting to open: {reason}")));
                if ctx.ends_within(after, orders.as_deref_mut()).await {
                    return Ok(None);
                }
            }
            Err(failed) => return Err(failed.at(ctx.who())),
        }
    }
}
