//! One size of batch, measured in every way. Must fail when a guest answers anything but what it was asked for.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use connect_bench::{Case, Effort, Figures, run};
use connect_bench_shared::{NAMES, build, samples};
use connect_record::{Batch, Limits, Origin};
use connect_rows::{Builder, Parts};
use connect_sandbox::{SinkInstance, SourceInstance, TransformInstance};
use tokio::runtime::Runtime;

use crate::guests::{Guests, NO_WAIT};
use crate::native::{Stage, stage};

/// Everything that one cell needs.
pub(crate) struct Cell<'a> {
    runtime: &'a Runtime,
    records: u32,
    parts: Parts,
    put: SinkInstance,
    read: SinkInstance,
    source: SourceInstance,
    transform: TransformInstance,
    native: [Box<dyn Stage>; 3],
}

/// The figures of one cell, for a whole batch.
pub(crate) struct Measured {
    pub(crate) copy: Figures,
    pub(crate) check: Figures,
    pub(crate) put: Figures,
    pub(crate) read: Figures,
    pub(crate) poll: Figures,
    pub(crate) apply: Figures,
    pub(crate) native_read: Figures,
    pub(crate) native_poll: Figures,
    pub(crate) native_apply: Figures,
}

impl<'a> Cell<'a> {
    pub(crate) fn new(
        runtime: &'a Runtime,
        guests: &Guests,
        records: usize,
        value_bytes: usize,
    ) -> Result<Self> {
        let parts = build(&samples(records, value_bytes), Builder::new())?;
        let native = || stage(records, value_bytes);
        let mut cell = runtime.block_on(async {
            Ok::<_, anyhow::Error>(Self {
                runtime,
                records: records.try_into()?,
                put: guests.sink(false).await?,
                read: guests.sink(true).await?,
                source: guests.source(records, value_bytes).await?,
                transform: guests.transform().await?,
                native: std::array::from_fn(|_| native()),
                parts,
            })
        })?;
        cell.verify()?;
        Ok(cell)
    }

    /// Both sides have to do the same, or the figures say nothing.
    fn verify(&mut self) -> Result<()> {
        let Self {
            runtime,
            records,
            parts,
            source,
            transform,
            native: [native, ..],
            ..
        } = self;
        let polled = runtime
            .block_on(source.poll(*records, u32::MAX, NO_WAIT))?
            .batch;
        ensure!(
            polled.into_parts() == *parts,
            "the guest's batch is another one than the host's"
        );
        ensure!(
            native.poll()?.into_parts() == *parts,
            "the native batch is another one"
        );
        let applied = runtime.block_on(transform.apply(parts))?.batch;
        let last = applied
            .len()
            .checked_sub(1)
            .and_then(|last| applied.record(last))
            .context("no record came back")?;
        let header = last.headers().find(|(name, _)| *name == NAMES[2]);
        let header = header.context("the header is gone")?.1;
        ensure!(header.starts_with(b"rewritten-"), "the header is as it was");
        ensure!(
            applied.into_parts() == native.apply(parts)?.into_parts(),
            "the changed batches differ"
        );
        Ok(())
    }

    /// Measures everything, sample by sample in turn.
    pub(crate) fn measure(self, effort: Effort) -> Measured {
        let Self {
            runtime,
            records,
            parts,
            mut put,
            mut read,
            mut source,
            mut transform,
            native,
        } = self;
        let [mut reader, mut poller, mut applier] = native;
        let parts = &parts;
        let limits = Limits::default();
        let mut copy = vec![0; parts.entries.len() + parts.headers.len() + parts.arena.len()];
        let mut cases = [
            Case::new(|| {
                let (entries, rest) = copy.split_at_mut(parts.entries.len());
                let (headers, arena) = rest.split_at_mut(parts.headers.len());
                entries.copy_from_slice(black_box(&parts.entries));
                headers.copy_from_slice(black_box(&parts.headers));
                arena.copy_from_slice(black_box(&parts.arena));
                black_box(&mut copy);
            }),
            // The check takes the parts, so they are given back for the next time.
            {
                let mut kept = Some(parts.clone());
                Case::new(move || {
                    let parts = kept.take().unwrap_or_default();
                    kept = Batch::check(black_box(parts), Origin::Source, &limits)
                        .ok()
                        .map(Batch::into_parts);
                })
            },
            Case::sampled(|times| {
                runtime.block_on(async {
                    for _ in 0..times {
                        stop_on(
                            put.put(black_box(parts))
                                .await
                                .map(|rejected| rejected.is_empty()),
                        );
                    }
                });
            }),
            Case::sampled(|times| {
                runtime.block_on(async {
                    for _ in 0..times {
                        stop_on(
                            read.put(black_box(parts))
                                .await
                                .map(|rejected| rejected.is_empty()),
                        );
                    }
                });
            }),
            Case::sampled(|times| {
                runtime.block_on(async {
                    for _ in 0..times {
                        let polled = source.poll(records, u32::MAX, NO_WAIT).await;
                        stop_on(polled.map(|polled| slices(&polled.batch) == records as usize));
                    }
                });
            }),
            Case::sampled(|times| {
                runtime.block_on(async {
                    for _ in 0..times {
                        let applied = transform.apply(black_box(parts)).await;
                        stop_on(applied.map(|applied| slices(&applied.batch) == records as usize));
                    }
                });
            }),
            Case::new(|| _ = black_box(reader.put(black_box(parts)))),
            Case::new(|| {
                stop_on(
                    poller
                        .poll()
                        .map(|batch| slices(&batch) == records as usize),
                )
            }),
            Case::new(|| {
                let applied = applier.apply(black_box(parts));
                stop_on(applied.map(|batch| slices(&batch) == records as usize));
            }),
        ];
        let mut figures = run(&mut cases, effort).into_iter();
        let mut next = || {
            figures
                .next()
                .unwrap_or_else(|| unreachable!("one for each case"))
        };
        Measured {
            copy: next(),
            check: next(),
            put: next(),
            read: next(),
            poll: next(),
            apply: next(),
            native_read: next(),
            native_poll: next(),
            native_apply: next(),
        }
    }
}

/// Takes every key and value of a batch, as the worker does on the way to a message; answers how many records there
/// were.
fn slices(batch: &Batch) -> usize {
    let records = batch.records();
    records
        .map(|record| _ = black_box((record.key(), record.value())))
        .count()
}

/// A wrong answer makes all figures worthless.
#[track_caller]
fn stop_on<E: std::fmt::Display>(outcome: Result<bool, E>) {
    match outcome {
        Ok(right) => assert!(right, "a guest answers something else"),
        Err(error) => unreachable!("a call that worked before fails: {error}"),
    }
}
