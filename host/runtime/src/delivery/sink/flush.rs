//! Flush and commit: first the plugin, then the store, then the broker's mirror.

use connect_record::QueueOffset;
use connect_sandbox::{CallError, Flushed};
use connect_store::StoredOffset;
use tokio::time::Instant;

use super::seat::Seat;
use super::task::Job;
use crate::delivery::TaskError;
use crate::failpoint::{self, Point};
use crate::guest::Failed;

impl Job<'_> {
    /// Makes what was put durable in the plugin, then the offsets durable in the store. Without an
    /// answer from the plugin, as when the task is stopped while a sink asks to be called again,
    /// nothing is committed and everything counts as unflushed still.
    pub(super) async fn flush(&mut self) -> Result<(), TaskError> {
        self.flush_and(false).await
    }

    /// [`Self::flush`], and where this instance is `leaving` it is closed while its last offsets
    /// become durable: it has nothing more to say about them.
    pub(super) async fn flush_and(&mut self, leaving: bool) -> Result<(), TaskError> {
        self.flush_due = None;
        let mut ends: Vec<QueueOffset> = self
            .hands
            .seats
            .iter()
            .filter_map(Seat::flushable)
            .collect();
        // a sink that paused a queue is called all the same, or it could never resume it
        let ask = self.unflushed > 0 || self.hands.seats.iter().any(|seat| seat.paused);
        let mut late = Vec::new();
        if ask {
            let Some(flushed) = self.ask_flush().await? else {
                return Ok(());
            };
            self.unflushed = 0;
            self.confirmed = Instant::now();
            if let Some(upto) = flushed.upto {
                for end in &mut ends {
                    let covered = upto.iter().find(|known| known.queue == end.queue);
                    let covered = covered.map_or(0, |known| known.next);
                    if covered < end.next {
                        end.next = covered;
                        // the rest is asked for again, records or not
                        self.unflushed = 1;
                    }
                }
            }
            late = flushed.rejected;
        }
        if self.unflushed > 0 {
            self.flush_due = Some(Instant::now() + self.flush_interval());
        }
        if !self.ctx.spec.skip_bad_records {
            for rejection in &late {
                for end in ends.iter_mut().filter(|end| end.queue == rejection.queue) {
                    end.next = end.next.min(rejection.offset);
                }
            }
        }
        let durable = |end: &QueueOffset| {
            let seat = self.hands.seats.iter().find(|seat| seat.queue == end.queue);
            seat.map_or(0, |seat| seat.durable)
        };
        ends.retain(|end| end.next > durable(end));
        if !ends.is_empty() {
            failpoint::pass(Point::FlushOffset);
            // one that has not made everything durable may be asked again before it goes
            if leaving && self.unflushed == 0 {
                self.closed = true;
                let (ctx, guest) = (self.ctx, self.guest);
                let (committed, ()) = tokio::join!(self.commit(ends), ctx.closes(guest.close()));
                committed?;
            } else {
                self.commit(ends).await?;
            }
        }
        self.ctx.metrics.durable_but(self.in_flight());
        self.wish().await?;
        for rejection in late {
            let place = format!(
                "{}, queue {}, offset {}",
                self.ctx.who(),
                rejection.queue,
                rejection.offset
            );
            if !self.ctx.spec.skip_bad_records {
                return Err(TaskError::Rejected {
                    place,
                    reason: rejection.reason,
                });
            }
            tracing::warn!(
                place,
                reason = rejection.reason,
                "a record the sink rejects late is skipped"
            );
        }
        Ok(())
    }

    /// Asks until the plugin has answered; none when the task was stopped meanwhile, or when another
    /// plugin is to take over and this one does not get ready.
    async fn ask_flush(&mut self) -> Result<Option<Flushed>, TaskError> {
        let mut waiting = false;
        loop {
            match self.guest.flush().await {
                Ok(flushed) => {
                    if waiting {
                        self.ctx.report.running(None);
                    }
                    return Ok(Some(flushed));
                }
                Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                    waiting = true;
                    let reason = format!("the sink waits to flush: {reason}");
                    self.ctx.report.running(Some(reason));
                    if !self.again_after(after).await {
                        return Ok(None);
                    }
                }
                Err(failed) => return Err(self.flush_failed(failed)),
            }
        }
    }

    fn flush_failed(&self, failed: Failed) -> TaskError {
        let ends = self.unflushed_ends();
        match failed {
            Failed::Call(source) if source.poisoned() && self.unflushed > 1 => TaskError::Suspect {
                place: format!("{}, flush", self.ctx.who()),
                careful: ends,
                source: Box::new(source),
            },
            failed => {
                let open = self.hands.seats.iter().find(|seat| seat.put > seat.durable);
                let at =
                    open.map(|seat| format!(", queue {}, offset {}", seat.queue, seat.durable));
                failed.at(format!(
                    "{}, flush{}",
                    self.ctx.who(),
                    at.unwrap_or_default()
                ))
            }
        }
    }

    pub(super) async fn commit(&mut self, ends: Vec<QueueOffset>) -> Result<(), TaskError> {
        let offsets: Vec<StoredOffset> = ends
            .iter()
            .map(|end| StoredOffset {
                topic: end.queue.topic.to_string(),
                broker: end.queue.broker.to_string(),
                id: end.queue.id,
                next: end.next,
            })
            .collect();
        self.ctx
            .store
            .commit_offsets(&self.ctx.spec.name, &offsets)
            .await
            .map_err(|source| TaskError::Store {
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
                seat.durable = end.next;
            }
            if self
                .careful
                .get(&end.queue)
                .is_some_and(|until| end.next >= *until)
            {
                self.careful.remove(&end.queue);
            }
        }
        Ok(())
    }
}
