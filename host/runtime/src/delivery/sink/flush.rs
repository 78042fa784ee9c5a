//! Flush and commit: first the plugin, then the store, then the broker's mirror.

use connect_record::QueueOffset;
use connect_store::StoredOffset;

use super::desk::SHORTEST_RETRY;
use super::seat::Seat;
use super::task::Job;
use crate::delivery::TaskError;
use crate::failpoint::{self, Point};
use crate::guest::Failed;
use connect_sandbox::CallError;

impl Job<'_> {
    /// Makes what was put durable in the plugin, then the offsets durable in the store.
    pub(super) async fn flush(&mut self) -> Result<(), TaskError> {
        self.flush_due = None;
        let any_records = std::mem::take(&mut self.unflushed) > 0;
        let mut ends: Vec<QueueOffset> = self.seats.iter().filter_map(Seat::flushable).collect();
        if ends.is_empty() {
            return Ok(());
        }
        let mut late = Vec::new();
        if any_records {
            let flushed = loop {
                match self.guest.flush().await {
                    Ok(flushed) => break flushed,
                    Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                        self.ctx
                            .report
                            .running(Some(format!("the sink waits to flush: {reason}")));
                        tokio::select! {
                            () = tokio::time::sleep(after.max(SHORTEST_RETRY)) => {}
                            () = self.ctx.stop.cancelled() => return Ok(()),
                        }
                    }
                    Err(failed) => return Err(self.flush_failed(failed)),
                }
            };
            if let Some(upto) = flushed.upto {
                for end in &mut ends {
                    let covered = upto
                        .iter()
                        .find(|known| known.queue == end.queue)
                        .map_or(0, |known| known.next);
                    end.next = end.next.min(covered);
                }
            }
            late = flushed.rejected;
        }
        for rejection in &late {
            for end in ends.iter_mut().filter(|end| end.queue == rejection.queue) {
                if !self.ctx.spec.skip_bad_records {
                    end.next = end.next.min(rejection.offset);
                }
            }
        }
        failpoint::pass(Point::FlushOffset);
        self.commit(ends).await?;
        self.wish();
        match late.into_iter().next() {
            Some(first) if !self.ctx.spec.skip_bad_records => {
                let place = format!(
                    "{}, queue {}, offset {}",
                    self.ctx.who(),
                    first.queue,
                    first.offset
                );
                Err(TaskError::Rejected {
                    place,
                    reason: first.reason,
                })
            }
            _ => Ok(()),
        }
    }

    fn flush_failed(&self, failed: Failed) -> TaskError {
        let ends = self.unflushed_ends();
        let records: u64 = self
            .seats
            .iter()
            .map(|seat| seat.put.saturating_sub(seat.durable))
            .sum();
        match failed {
            Failed::Call(source) if source.poisoned() && records > 1 => TaskError::Suspect {
                place: format!("{}, flush", self.ctx.who()),
                careful: ends,
                source: Box::new(source),
            },
            failed => {
                let open = self.seats.iter().find(|seat| seat.put > seat.durable);
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
        self.mirror
            .note(ends.iter().map(|end| (end.queue.clone(), end.next)));
        for end in ends {
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.queue == end.queue) {
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
