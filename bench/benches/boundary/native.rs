//! The same work without a wall: a stage behind a trait object, as a worker with native plugins would have it. Must
//! build, check and read with the very code that guest and sandbox use.

use anyhow::Result;
use connect_bench_shared::{Sample, build, read, rewrite, samples};
use connect_record::{Batch, Limits, Origin};
use connect_rows::{Builder, Parts, View};

/// A native plugin.
pub(crate) trait Stage {
    /// Reads a batch.
    fn put(&mut self, batch: &Parts) -> u64;

    /// Builds a batch.
    fn poll(&mut self) -> Result<Batch>;

    /// Takes a batch as it is lent to a guest, and answers it changed.
    fn apply(&mut self, batch: &Parts) -> Result<Batch>;
}

/// A stage that works on batches of this size.
pub(crate) fn stage(records: usize, value_bytes: usize) -> Box<dyn Stage> {
    Box::new(Native {
        samples: samples(records, value_bytes),
        limits: Limits::default(),
        last: (0, 0),
    })
}

struct Native {
    samples: Vec<Sample>,
    limits: Limits,
    /// Records and bytes of the last batch: room is set aside as the guest does it.
    last: (usize, usize),
}

impl Stage for Native {
    fn put(&mut self, batch: &Parts) -> u64 {
        read(&View::new(batch))
    }

    fn poll(&mut self) -> Result<Batch> {
        let parts = build(
            &self.samples,
            Builder::with_capacity(self.last.0, self.last.1),
        )?;
        self.last = (parts.records(), parts.arena.len());
        Ok(Batch::check(parts, Origin::Source, &self.limits)?)
    }

    fn apply(&mut self, batch: &Parts) -> Result<Batch> {
        let inputs = u32::try_from(batch.records())?;
        let parts = rewrite(batch.clone())?;
        Ok(Batch::check(
            parts,
            Origin::Transform { inputs },
            &self.limits,
        )?)
    }
}
