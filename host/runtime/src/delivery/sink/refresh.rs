//! Queues that come and go while a sink works: flushed and told before they change hands.

use connect_record::Queue;
use connect_sandbox::CallError;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::assign::{self, Asked};
use super::task::Job;
use crate::delivery::TaskError;
use crate::guest::{Answer, Failed};
use crate::spec::{Flow, StartAt};

impl Job<'_> {
    /// Looks for queues that came or went.
    pub(super) async fn refresh(&mut self) -> Result<(), TaskError> {
        self.hands.refresh_due = Instant::now() + self.ctx.tuning.queue_refresh;
        let Flow::Sink { topics, .. } = &self.ctx.spec.flow else {
            return Ok(());
        };
        // all tasks of a topic share what one of them was told
        let age = self.ctx.tuning.queue_refresh / 2;
        let mut found = Vec::new();
        for topic in topics {
            let asked = tokio::select! {
                asked = self.ctx.broker.topic_queues_lately(topic, age) => asked,
                () = self.ctx.stop.cancelled() => return Ok(()),
            };
            match asked {
                Ok(Some(queues)) if !queues.is_empty() => found.extend(queues),
                // a topic that cannot be asked for now keeps its queues
                _ => return Ok(()),
            }
        }
        let mine = assign::share(found, self.ctx.task, self.ctx.tasks);
        let gone: Vec<Queue> = self
            .hands
            .seats
            .iter()
            .filter(|seat| !mine.contains(&seat.queue))
            .map(|seat| seat.queue.clone())
            .collect();
        let come: Vec<Queue> = mine
            .into_iter()
            .filter(|queue| !self.hands.seats.iter().any(|seat| seat.queue == *queue))
            .collect();
        if gone.is_empty() && come.is_empty() {
            return Ok(());
        }
        self.flush().await?;
        if self.ctx.stop.is_cancelled() {
            return Ok(());
        }
        if self.exchange.is_some() {
            // the next plugin has them told at once
            self.hands.refresh_due = Instant::now();
            return Ok(());
        }
        if !gone.is_empty() {
            let guest = self.guest;
            let told = self.answered(|| guest.revoked(gone.clone(), false)).await?;
            if told.is_none() {
                return Ok(());
            }
            self.hands.seats.retain(|seat| !gone.contains(&seat.queue));
        }
        // a queue that is new to a sink at work is read from its first message
        let start = if self.start == StartAt::Latest {
            StartAt::Earliest
        } else {
            self.start
        };
        let Asked::Answer(offsets) = assign::begin(self.ctx, come, start).await? else {
            return Ok(());
        };
        if !offsets.is_empty() {
            // they are its own already in this call, in which it may move in them
            let new = offsets.iter().map(|offset| offset.queue.clone());
            self.desk.with(|wishes| wishes.assignment.extend(new));
            let guest = self.guest;
            let told = self.answered(|| guest.assigned(offsets.clone())).await?;
            let Some(starts) = told else { return Ok(()) };
            self.hands.seat(offsets, &starts);
        }
        let assignment = self
            .hands
            .seats
            .iter()
            .map(|seat| seat.queue.clone())
            .collect();
        self.desk.with(|wishes| wishes.assignment = assignment);
        self.ctx.report.running(None);
        self.wish().await
    }

    /// Repeats a call until it is answered; none when the task was stopped meanwhile.
    async fn answered<T>(
        &mut self,
        call: impl Fn() -> BoxFuture<'static, Answer<T>>,
    ) -> Result<Option<T>, TaskError> {
        loop {
            match call().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                    self.ctx
                        .report
                        .running(Some(format!("the sink waits: {reason}")));
                    if self.ctx.stopped_within(after).await {
                        return Ok(None);
                    }
                }
                Err(failed) => return Err(failed.at(self.ctx.who())),
            }
        }
    }
}
