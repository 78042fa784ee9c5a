//! A sink's records in flight: put and not yet durable. A sink that makes nothing durable gets no more
//! once they have reached their limit, and is asked to flush again until it has.

use super::task::Job;
use crate::delivery::{SHORTEST_RETRY, TaskError};

impl Job<'_> {
    /// By offsets, so that holes in a queue count as records until they are flushed over.
    pub(super) fn in_flight(&self) -> u64 {
        let open = |seat: &super::seat::Seat| seat.put.saturating_sub(seat.durable);
        self.hands.seats.iter().map(open).sum()
    }

    /// Whether nothing more may be put now. What is in the way is flushed first.
    pub(super) async fn is_crowded(&mut self) -> Result<bool, TaskError> {
        if self.in_flight() >= self.ctx.metrics.in_flight_limit() {
            self.flush().await?;
        }
        if self.ctx.may_take(self.in_flight()) {
            return Ok(false);
        }
        self.ctx.stopped_within(SHORTEST_RETRY).await;
        Ok(true)
    }
}
