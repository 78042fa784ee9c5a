//! A sink's instance. It is lent batches and says what it refuses and how far everything is durable;
//! what it says is checked against what it was given.

use std::sync::Arc;

use connect_record::{Queue, QueueOffset};
use connect_rows::Parts;
use wasmtime::Store;

use crate::bindings::v0_1::rocketmq::connect::records;
use crate::bindings::v0_1::{self, Answer, Lent, exports::rocketmq::connect::sink};
use crate::call::Guest;
use crate::context::Context;
use crate::egress::Counters;
use crate::error::CallError;
use crate::progress::Progress;
use crate::rejects::{Rejected, rejected};
use crate::state::State;
use crate::text;

/// One sink task's instance. Owned by one task; all calls go one after the other.
#[derive(Debug)]
pub struct SinkInstance {
    guest: Guest<sink::Guest>,
    progress: Progress,
}

/// What a flush made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Durable up to these offsets; `None` for everything that was put.
    pub upto: Option<Vec<QueueOffset>>,
    /// Records that were put earlier and turned out to be bad.
    pub rejected: Vec<Late>,
}

/// A record that was put earlier and turned out to be bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// Its queue.
    pub queue: Queue,
    /// Its offset.
    pub offset: u64,
    /// The plugin's words.
    pub reason: String,
}

impl SinkInstance {
    pub(crate) fn new(guest: Guest<sink::Guest>) -> Self {
        Self {
            guest,
            progress: Progress::default(),
        }
    }

    /// What this instance did on the network and was kept from.
    pub fn egress(&self) -> Arc<Counters> {
        self.guest.egress()
    }

    /// Starts the sink with its queues and where each would begin. Answers where to begin instead,
    /// for sinks that keep their own offsets.
    ///
    /// # Errors
    /// What a call can end with; [`CallError::Answer`] for a queue that was not given. After a
    /// [`CallError::Retriable`] it may be called again.
    pub async fn open(
        &mut self,
        settings: &[(String, String)],
        queues: &[QueueOffset],
    ) -> Result<Vec<QueueOffset>, CallError> {
        const CALL: &str = "open";
        let (settings, offsets) = (v0_1::settings(settings), v0_1::offsets(queues));
        let answer = self
            .guest
            .call(CALL, async |exports, store| {
                exports.call_open(store, &settings, &offsets).await
            })
            .await?;
        self.starts(CALL, queues, answer)
    }

    /// Gives the sink more queues; as [`Self::open`] otherwise.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn assigned(
        &mut self,
        queues: &[QueueOffset],
    ) -> Result<Vec<QueueOffset>, CallError> {
        const CALL: &str = "assigned";
        let given = v0_1::offsets(queues);
        let answer = self
            .guest
            .call(CALL, async |exports, store| {
                exports.call_assigned(store, &given).await
            })
            .await?;
        self.starts(CALL, queues, answer)
    }

    /// Takes queues from the sink, after a flush, or with `lost` when there was no time for one.
    ///
    /// # Errors
    /// What a call can end with.
    pub async fn revoked(&mut self, queues: &[Queue], lost: bool) -> Result<(), CallError> {
        let gone: Vec<_> = queues.iter().map(v0_1::queue).collect();
        self.ask("revoked", async |exports, store| {
            exports.call_revoked(store, &gone, lost).await
        })
        .await?;
        self.progress.revoke(queues);
        Ok(())
    }

    /// Lends the sink a batch, whose partitions are named as [`Queue::partition_name`] does.
    /// Answers the records it refuses, in order. The others are accepted, and durable only after a
    /// [`Self::flush`].
    ///
    /// # Errors
    /// What a call can end with; [`CallError::Answer`] for a record that is not in the batch. After
    /// a [`CallError::Retriable`] the same batch may be put again.
    pub async fn put(&mut self, batch: &Parts) -> Result<Vec<Rejected>, CallError> {
        const CALL: &str = "put";
        let lent = Lent::new(batch);
        let refused = self
            .ask(CALL, async |exports, store| {
                exports.call_put(store, lent.batch()).await
            })
            .await?;
        self.progress.given(batch);
        let records = batch.records();
        rejected(refused, records).map_err(|reason| self.guest.answer(CALL, &reason))
    }

    /// Makes everything durable that was put.
    ///
    /// # Errors
    /// What a call can end with; [`CallError::Answer`] for a queue that is not the sink's or an
    /// offset that it was never given.
    pub async fn flush(&mut self) -> Result<Flushed, CallError> {
        const CALL: &str = "flush";
        let flushed = self
            .ask(CALL, async |exports, store| exports.call_flush(store).await)
            .await?;
        let upto = flushed.upto.map(own_offsets);
        let late: Vec<Late> = flushed
            .rejected
            .into_iter()
            .map(|late| Late {
                queue: v0_1::own_queue(&late.queue),
                offset: late.offset,
                reason: text::reason(&late.reason),
            })
            .collect();
        let checked = self.progress.flushed(upto.as_deref().unwrap_or_default());
        let checked = checked.and_then(|()| {
            late.iter()
                .try_for_each(|one| self.progress.had(&one.queue, one.offset))
        });
        checked.map_err(|reason| self.guest.answer(CALL, &reason))?;
        Ok(Flushed {
            upto,
            rejected: late,
        })
    }

    /// Ends the sink. Unless it answers [`CallError::Retriable`], the instance is of no use
    /// afterwards. Not a flush.
    ///
    /// # Errors
    /// What a call can end with.
    pub async fn close(&mut self) -> Result<(), CallError> {
        self.guest
            .close(async |exports, store| exports.call_close(store).await)
            .await
    }

    /// Linear memory the instance uses, in bytes. It never shrinks.
    pub fn memory_bytes(&self) -> u64 {
        self.guest.memory_bytes()
    }

    /// Whether the instance uses more memory than its high-water mark, and so is to be closed and
    /// made again between two batches.
    pub fn above_high_water(&self) -> bool {
        self.guest.above_high_water()
    }

    /// What the other calls have in common: whatever the sink answers, its seeks hold.
    async fn ask<R>(
        &mut self,
        call: &'static str,
        body: impl AsyncFnOnce(&sink::Guest, &mut Store<State>) -> wasmtime::Result<Answer<R>>,
    ) -> Result<R, CallError> {
        let answer = self.guest.call(call, body).await?;
        self.settle();
        answer.map_err(|failure| v0_1::failure(&self.guest, call, failure))
    }

    /// What `open` and `assigned` have in common.
    fn starts(
        &mut self,
        call: &'static str,
        asked: &[QueueOffset],
        answer: Answer<Vec<records::QueueOffsetResult>>,
    ) -> Result<Vec<QueueOffset>, CallError> {
        let starts = match answer {
            Ok(starts) => own_offsets(starts),
            Err(failure) => {
                // The queues did not become the sink's, so it cannot have moved in them.
                self.guest.context().take_seeks();
                return Err(v0_1::failure(&self.guest, call, failure));
            }
        };
        self.progress
            .start(asked, &starts)
            .map_err(|reason| self.guest.answer(call, &reason))?;
        self.settle();
        Ok(starts)
    }

    /// Hands on the seeks of the call that has just returned, which is when they take effect.
    fn settle(&mut self) {
        let seeks = self.guest.context().take_seeks();
        for (queue, offset) in seeks {
            // it may have gone since, with the very call that moved in it
            if self.progress.moved(&queue, offset)
                && let Context::Sink(sink, _) = self.guest.context()
            {
                sink.seek(queue, offset);
            }
        }
    }
}

fn own_offsets(of: Vec<records::QueueOffsetResult>) -> Vec<QueueOffset> {
    of.iter()
        .map(|offset| QueueOffset {
            queue: v0_1::own_queue(&offset.queue),
            next: offset.next,
        })
        .collect()
}
