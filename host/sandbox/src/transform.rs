//! A transform's instance: a batch in, a batch out, and for each input either outputs, a refusal, or
//! neither when it was dropped on purpose.

use std::collections::BTreeSet;

use connect_record::{Batch, Limits, Origin};
use connect_rows::Parts;

use crate::bindings::v0_1::{self, Lent, exports::rocketmq::connect::transform};
use crate::call::Guest;
use crate::error::CallError;
use crate::rejects::{Rejected, rejected};

/// One transform's instance. Owned by one task; all calls go one after the other.
#[derive(Debug)]
pub struct TransformInstance {
    guest: Guest<transform::Guest>,
    batch: Limits,
}

/// What a transform made of a batch.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The outputs; each names the input it comes from.
    pub batch: Batch,
    /// Inputs that can never succeed, in order. None of them has an output.
    pub rejected: Vec<Rejected>,
}

impl TransformInstance {
    pub(crate) fn new(guest: Guest<transform::Guest>, batch: Limits) -> Self {
        Self { guest, batch }
    }

    /// Starts the transform.
    ///
    /// # Errors
    /// What a call can end with. After a [`CallError::Retriable`] it may be called again.
    pub async fn open(&mut self, settings: &[(String, String)]) -> Result<(), CallError> {
        let given = v0_1::settings(settings);
        self.guest
            .ask("open", async |exports, store| {
                exports.call_open(store, &given).await
            })
            .await
    }

    /// Lends the transform a batch and takes what it made of it.
    ///
    /// # Errors
    /// What a call can end with: [`CallError::Batch`] and [`CallError::Answer`] when the answer
    /// breaks the interface. After a [`CallError::Retriable`] the same batch may be given again.
    pub async fn apply(&mut self, batch: &Parts) -> Result<Applied, CallError> {
        const CALL: &str = "apply";
        let inputs = batch.records();
        let lent = Lent::new(batch);
        let applied = self
            .guest
            .ask(CALL, async |exports, store| {
                exports.call_apply(store, lent.batch()).await
            })
            .await?;
        let rejected = rejected(applied.rejected, inputs)
            .map_err(|reason| self.guest.answer(CALL, &reason))?;
        let origin = Origin::Transform {
            inputs: u32::try_from(inputs).unwrap_or(u32::MAX),
        };
        let batch = Batch::check(applied.batch.into(), origin, &self.batch)
            .map_err(|source| self.guest.bad_batch(CALL, source))?;
        let refused: BTreeSet<u32> = rejected.iter().map(|one| one.index).collect();
        let both = if refused.is_empty() {
            None
        } else {
            batch.records().find(|r| refused.contains(&r.origin()))
        };
        if let Some(record) = both {
            let reason = format!(
                "record {} is rejected and has an output too",
                record.origin()
            );
            return Err(self.guest.answer(CALL, &reason));
        }
        Ok(Applied { batch, rejected })
    }

    /// Ends the transform. Unless it answers [`CallError::Retriable`], the instance is of no use
    /// afterwards.
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
}
