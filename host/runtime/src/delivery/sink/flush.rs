//! Flush and commit: first the plugin, then the store, then the broker's mirror.

use connect_record::QueueOffset;
use connect_sandbox::{CallError, Flushed};
use tokio::time::Instant;

use super::seat::Seat;
use super::task::Job;
use crate::delivery::TaskError;
use crate::failpoint::{self, Point};
use crate::guest::Failed;

/// What comes after a plugin's answer to a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Its offsets become durable while more is put: the plugin need not wait for the store.
    GoOn,
    /// Everything waits until they are durable.
    Commit,
    /// This instance is closed meanwhile: it has nothing more to say about them.
    Leave,
}

impl Job<'_> {
    /// Makes what was put durable in the plugin, then the offsets durable in the store. Without an
    /// answer from the plugin, as when the task is stopped while a sink asks to be called again,
    /// nothing is committed and everything counts as unflushed still.
    pub(super) async fn flush(&mut self) -> Result<(), TaskError> {
        self.flush_and(Then::Commit).await
    }

    /// [`Self::flush`], and what comes after the plugin's answer.
    pub(super) async fn flush_and(&mut self, then: Then) -> Result<(), TaskError> {
        self.flush_due = None;
        // a sink that paused a queue is called all the same, or it could never resume it
        let ask = self.unflushed > 0 || self.hands.seats.iter().any(|seat| seat.paused);
        let (mut asked, mut late) = (None, Vec::new());
        if ask {
            let Some(flushed) = self.ask_flush().await? else {
                // what was flushed before is on its way to the store all the same, and whoever goes on
                // from here must know
                return self.finish_commit().await;
            };
            self.unflushed = 0;
            self.confirmed = Instant::now();
            asked = Some(flushed);
        }
        // what is durable already is known then, and offsets become durable in their order
        self.finish_commit().await?;
        let mut ends: Vec<QueueOffset> = self
            .hands
            .seats
            .iter()
            .filter_map(Seat::flushable)
            .collect();
        if let Some(flushed) = asked {
            if self.ctx.spec.skip_bad_records {
                for rejection in &flushed.rejected {
                    let mut seats = self.hands.seats.iter_mut();
                    // it may name any place
                    let given = |seat: &&mut Seat| {
                        seat.queue == rejection.queue && rejection.offset < seat.put
                    };
                    if let Some(seat) = seats.find(given) {
                        seat.pass(rejection.offset);
                    }
                }
            }
            if let Some(upto) = flushed.upto {
                for end in &mut ends {
                    let covered = upto.iter().find(|known| known.queue == end.queue);
                    let covered = covered.map_or(0, |known| known.next);
                    let seat = self.hands.seats.iter().find(|seat| seat.queue == end.queue);
                    let covered = seat.map_or(covered, |seat| seat.reach(covered));
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
            match then {
                // one that has not made everything durable may be asked again before it goes
                Then::Leave if self.unflushed == 0 => {
                    self.closed = true;
                    let (ctx, guest) = (self.ctx, self.guest);
                    let closing = ctx.closes(guest.close());
                    let (committed, ()) = tokio::join!(self.commit(ends), closing);
                    committed?;
                }
                Then::GoOn => self.begin_commit(ends),
                Then::Commit | Then::Leave => self.commit(ends).await?,
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
                Err(failed) => {
                    // so that it names what this flush was about
                    self.finish_commit().await?;
                    return Err(self.flush_failed(failed));
                }
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
}
