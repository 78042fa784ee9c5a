//! A sink's instance. It is lent batches and says what it refuses and how far everything is durable;
//! what it says is checked against what it was given.

use connect_record::{Queue, QueueOffset};
use connect_rows::Parts;

use crate::bindings::v0_1::rocketmq::connect::records;
use crate::bindings::v0_1::{self, Lent, exports::rocketmq::connect::sink};
use crate::call::Guest;
use crate::context::Context;
use crate::error::CallError;
use crate::progress::Progress;
use crate::rejects::{Rejected, rejected};
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
        let call = self.guest.begin(CALL)?;
        let (settings, offsets) = (v0_1::settings(settings), v0_1::offsets(queues));
        let outcome = call
            .run(
                self.guest
                    .exports
                    .call_open(&mut self.guest.store, &settings, &offsets),
            )
            .await;
        let answer = self.guest.end(&call, outcome)?;
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
        let call = self.guest.begin(CALL)?;
        let given = v0_1::offsets(queues);
        let outcome = call
            .run(
                self.guest
                    .exports
                    .call_assigned(&mut self.guest.store, &given),
            )
            .await;
        let answer = self.guest.end(&call, outcome)?;
        self.starts(CALL, queues, answer)
    }

    /// Takes queues from the sink, after a flush, or with `lost` when there was no time for one.
    ///
    /// # Errors
    /// What a call can end with.
    pub async fn revoked(&mut self, queues: &[Queue], lost: bool) -> Result<(), CallError> {
        const CALL: &str = "revoked";
        let call = self.guest.begin(CALL)?;
        let gone: Vec<_> = queues.iter().map(v0_1::queue).collect();
        let outcome = call
            .run(
                self.guest
                    .exports
                    .call_revoked(&mut self.guest.store, &gone, lost),
            )
            .await;
        let answer = self.guest.end(&call, outcome)?;
        self.settle();
        answer.map_err(|failure| v0_1::failure(&self.guest, CALL, failure))?;
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
        let call = self.guest.begin(CALL)?;
        let lent = Lent::new(batch);
        let outcome = call
            .run(
                self.guest
                    .exports
                    .call_put(&mut self.guest.store, lent.batch()),
            )
            .await;
        let answer = self.guest.end(&call, outcome)?;
        self.settle();
        let refused = answer.map_err(|failure| v0_1::failure(&self.guest, CALL, failure))?;
        self.progress.given(batch);
        let records = batch.records();
        rejected(refused, records).map_err(|reason| self.guest.answer(CALL, reason))
    }

    /// Makes everything durable that was put.
    ///
    /// # Errors
    /// What a call can end with; [`CallError::Answer`] for a queue that is not the sink's or an
    /// offset that it was never given.
    pub async fn flush(&mut self) -> Result<Flushed, CallError> {
        const CALL: &str = "flush";
        let call = self.guest.begin(CALL)?;
        let outcome = call
            .run(self.guest.exports.call_flush(&mut self.guest.store))
            .await;
        let answer = self.guest.end(&call, outcome)?;
        self.settle();
        let flushed = answer.map_err(|failure| v0_1::failure(&self.guest, CALL, failure))?;
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
        checked.map_err(|reason| self.guest.answer(CALL, reason))?;
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
        const CALL: &str = "close";
        let call = self.guest.begin(CALL)?;
        let outcome = call
            .run(self.guest.exports.call_close(&mut self.guest.store))
            .await;
        let answer = self.guest.end(&call, outcome)?;
        let answer = answer.map_err(|failure| v0_1::failure(&self.guest, CALL, failure));
        if !matches!(answer, Err(CallError::Retriable { .. })) {
            self.guest.retire();
        }
        answer
    }

    /// Linear memory the instance uses, in bytes. It never shrinks.
    pub fn memory_bytes(&self) -> u64 {
        self.guest.memory_bytes()
    }

    /// What `open` and `assigned` have in common.
    fn starts(
        &mut self,
        call: &'static str,
        asked: &[QueueOffset],
        answer: Result<Vec<records::QueueOffsetResult>, records::Failure>,
    ) -> Result<Vec<QueueOffset>, CallError> {
        let starts = match answer {
            Ok(starts) => own_offsets(starts),
            Err(failure) => {
                // The queues did not become the sink's, so it cannot have moved in them.
                self.guest.store.data_mut().context.take_seeks();
                return Err(v0_1::failure(&self.guest, call, failure));
            }
        };
        self.progress
            .start(asked, &starts)
            .map_err(|reason| self.guest.answer(call, reason))?;
        self.settle();
        Ok(starts)
    }

    /// Hands on the seeks of the call that has just returned, which is when they take effect.
    fn settle(&mut self) {
        let state = self.guest.store.data_mut();
        let seeks = state.context.take_seeks();
        for (queue, offset) in seeks {
            if !self.progress.moved(&queue, offset) {
                tracing::warn!(plugin = %self.guest.plugin(), %queue, "a seek in a queue of another task is ignored");
            } else if let Context::Sink(sink, _) = &self.guest.store.data().context {
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
