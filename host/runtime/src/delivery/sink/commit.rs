//! Offsets on their way into the store, one commit at a time, and what is done once they are durable.
//! Must never count an offset as durable before the store has said so.

use connect_record::QueueOffset;
use connect_store::{StoreError, StoredOffset};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::task::Job;
use crate::delivery::TaskError;

/// Offsets and what became of storing them.
pub(super) type Stored = (Vec<QueueOffset>, Result<(), StoreError>);

impl Job<'_> {
    /// Makes offsets durable.
    pub(super) async fn commit(&mut self, ends: Vec<QueueOffset>) -> Result<(), TaskError> {
        self.finish_commit().await?;
        self.begin_commit(ends);
        self.finish_commit().await
    }

    /// Has offsets made durable while the task goes on. None may be under way.
    pub(super) fn begin_commit(&mut self, ends: Vec<QueueOffset>) {
        let offsets: Vec<StoredOffset> = ends
            .iter()
            .map(|end| StoredOffset {
                topic: end.queue.topic.to_string(),
                broker: end.queue.broker.to_string(),
                id: end.queue.id,
                next: end.next,
            })
            .collect();
        let (store, name) = (self.ctx.store.clone(), self.ctx.spec.name.clone());
        let mut committing: BoxFuture<'static, Stored> = Box::pin(async move {
            let stored = store.commit_offsets(&name, &offsets).await;
            (ends, stored)
        });
        // the store has it from here on, whenever the task looks again
        match (&mut committing).now_or_never() {
            Some(stored) => self.committing = Some(Box::pin(std::future::ready(stored))),
            None => self.committing = Some(committing),
        }
    }

    /// Waits until no commit is under way.
    pub(super) async fn finish_commit(&mut self) -> Result<(), TaskError> {
        match self.committing.take() {
            Some(committing) => self.stored(committing.await),
            None => Ok(()),
        }
    }

    /// Takes note of a commit that has ended, if one has.
    pub(super) fn look_at_commit(&mut self) -> Result<(), TaskError> {
        let ended = self.committing.as_mut().and_then(FutureExt::now_or_never);
        match ended {
            Some(stored) => {
                self.committing = None;
                self.stored(stored)
            }
            None => Ok(()),
        }
    }

    /// A commit has ended.
    pub(super) fn stored(&mut self, (ends, stored): Stored) -> Result<(), TaskError> {
        stored.map_err(|source| TaskError::Store {
            step: "storing sink offsets",
            source: Box::new(source),
        })?;
        self.committed = Instant::now();
        self.ctx.report.committed();
        self.hands
            .mirror
            .note(ends.iter().map(|end| (end.queue.clone(), end.next)));
        for end in ends {
            if let Some(seat) = self
                .hands
                .seats
                .iter_mut()
                .find(|seat| seat.queue == end.queue)
            {
                seat.is_durable(end.next);
            }
            if self
                .careful
                .get(&end.queue)
                .is_some_and(|until| end.next >= *until)
            {
                self.careful.remove(&end.queue);
            }
        }
        self.ctx.metrics.durable_but(self.in_flight());
        Ok(())
    }
}
