//! Which queues are a task's, and where each begins.

use std::collections::HashMap;

use connect_broker::{BoxFuture, BrokerError};
use connect_record::{Queue, QueueOffset};

use crate::delivery::{TaskContext, TaskError};
use crate::spec::StartAt;

/// What became of asking the broker: an answer, or the order to stop.
pub(crate) enum Asked<T> {
    Answer(T),
    Stopped,
}

/// Repeats `ask` until the broker answers, the task is stopped, or the broker refuses for good.
pub(crate) async fn patiently<'a, T>(
    ctx: &TaskContext,
    what: &str,
    mut ask: impl FnMut() -> BoxFuture<'a, Result<T, BrokerError>> + Send,
) -> Result<Asked<T>, TaskError> {
    let mut pause = ctx.tuning.broker_retry.0;
    loop {
        let asked = tokio::select! {
            asked = ask() => asked,
            () = ctx.stop.cancelled() => return Ok(Asked::Stopped),
        };
        match asked {
            Ok(answer) => return Ok(Asked::Answer(answer)),
            Err(error) if error.retriable() => {
                ctx.report
                    .running(Some(format!("waiting for {what}: {error}")));
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = ctx.stop.cancelled() => return Ok(Asked::Stopped),
                }
                pause = (pause * 2).min(ctx.tuning.broker_retry.1);
            }
            Err(source) => {
                return Err(TaskError::Broker {
                    place: format!("{}, {what}", ctx.who()),
                    source: Box::new(source),
                });
            }
        }
    }
}

/// The share of this task: of all queues in the order of topic, broker and number, every one
/// whose place modulo the number of tasks is the task's own number.
pub(crate) fn share(mut queues: Vec<Queue>, task: u32, tasks: u32) -> Vec<Queue> {
    queues.sort();
    queues.dedup();
    let tasks = usize::try_from(tasks.max(1)).unwrap_or(1);
    let task = usize::try_from(task).unwrap_or(0);
    queues
        .into_iter()
        .enumerate()
        .filter(|(place, _)| place % tasks == task)
        .map(|(_, queue)| queue)
        .collect()
}

/// Where each of `queues` begins: where the store says, else as the connector asks.
pub(crate) async fn begin(
    ctx: &TaskContext,
    queues: Vec<Queue>,
    start: StartAt,
) -> Result<Asked<Vec<QueueOffset>>, TaskError> {
    let stored = ctx
        .store
        .offsets(&ctx.spec.name)
        .map_err(|source| TaskError::Store {
            step: "reading sink offsets",
            source: Box::new(source),
        })?;
    let stored: HashMap<Queue, u64> = stored
        .into_iter()
        .map(|known| {
            (
                Queue::new(&known.topic, &known.broker, known.id),
                known.next,
            )
        })
        .collect();
    let mut offsets = Vec::with_capacity(queues.len());
    for queue in queues {
        if let Some(next) = stored.get(&queue) {
            offsets.push(QueueOffset { queue, next: *next });
            continue;
        }
        let asked = patiently(ctx, &format!("queue {queue}"), || {
            let (broker, queue) = (ctx.broker.clone(), queue.clone());
            Box::pin(async move {
                match start {
                    StartAt::Earliest => broker.bounds(&queue).await.map(|(min, _)| min),
                    StartAt::Latest => broker.bounds(&queue).await.map(|(_, max)| max),
                    StartAt::Time(at) => broker.offset_at(&queue, at).await,
                }
            })
        })
        .await?;
        match asked {
            Asked::Answer(next) => offsets.push(QueueOffset { queue, next }),
            Asked::Stopped => return Ok(Asked::Stopped),
        }
    }
    Ok(Asked::Answer(offsets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_share_all_queues_and_none_twice() {
        let queues: Vec<Queue> = (0..7).map(|id| Queue::new("t", "b", id)).collect();
        let mut all: Vec<Queue> = (0..3)
            .flat_map(|task| share(queues.clone(), task, 3))
            .collect();
        assert_eq!(share(queues.clone(), 0, 3).len(), 3);
        all.sort();
        assert_eq!(all, queues);
    }
}
