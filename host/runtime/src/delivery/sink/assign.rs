//! Which queues are a task's, and where each begins.

use std::collections::HashMap;

use connect_broker::{BoxFuture, BrokerError};
use connect_record::{Queue, QueueOffset};
use connect_store::StoredOffset;

use crate::delivery::{TaskContext, TaskError};
use crate::fixed_hash::hash;
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
    let mut waiting = false;
    loop {
        let asked = tokio::select! {
            asked = ask() => asked,
            () = ctx.stop.cancelled() => return Ok(Asked::Stopped),
        };
        match asked {
            Ok(answer) => {
                if waiting {
                    ctx.report.running(None);
                }
                return Ok(Asked::Answer(answer));
            }
            Err(error) if error.retriable() => {
                waiting = true;
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

/// The share of this task. A queue's task depends on nothing but its own name and the number of
/// tasks, so that queues that come or go never move another one between tasks at work.
pub(crate) fn share(mut queues: Vec<Queue>, task: u32, tasks: u32) -> Vec<Queue> {
    queues.sort();
    queues.dedup();
    let tasks = u64::from(tasks.max(1));
    queues.retain(|queue| {
        let name = hash(format!("{}\t{}", queue.topic, queue.broker).as_bytes());
        let number = u64::try_from(queue.id).unwrap_or(0);
        name.wrapping_add(number) % tasks == u64::from(task)
    });
    queues
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
    // a queue that came while this sink was away is read from its first message
    let start = match start {
        StartAt::Latest if !stored.is_empty() => StartAt::Earliest,
        start => start,
    };
    let mut offsets = Vec::with_capacity(queues.len());
    let mut chosen = Vec::new();
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
            Asked::Answer(next) => {
                chosen.push(StoredOffset {
                    topic: queue.topic.to_string(),
                    broker: queue.broker.to_string(),
                    id: queue.id,
                    next,
                });
                offsets.push(QueueOffset { queue, next });
            }
            Asked::Stopped => return Ok(Asked::Stopped),
        }
    }
    if start != StartAt::Earliest && !chosen.is_empty() {
        // where a sink began by time or at the end is a decision that must outlive it
        let stored = ctx.store.commit_offsets(&ctx.spec.name, &chosen).await;
        stored.map_err(|source| TaskError::Store {
            step: "storing where the sink begins",
            source: Box::new(source),
        })?;
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
        let most = (0..3)
            .map(|task| share(queues.clone(), task, 3).len())
            .max();
        assert_eq!(most, Some(3));
        let more: Vec<Queue> = (0..9).map(|id| Queue::new("t", "b", id)).collect();
        for task in 0..3 {
            let before = share(queues.clone(), task, 3);
            let after = share(more.clone(), task, 3);
            assert!(
                before.iter().all(|queue| after.contains(queue)),
                "a queue moved"
            );
        }
        all.sort();
        assert_eq!(all, queues);
    }
}
