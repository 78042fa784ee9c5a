//! Chains of transforms: a batch through none, one and five plugins that rewrite a header, each an instance of
//! its own with every check on.

use std::hint::black_box;

use anyhow::{Result, ensure};
use connect_bench::Case;
use connect_bench_shared::{build, samples};
use connect_record::Batch;
use connect_rows::{Builder, Parts};
use connect_sandbox::{CallError, TransformInstance};
use tokio::runtime::Runtime;

use crate::Step;
use crate::guests::Guests;

/// Records of a batch, bytes of a value.
const BATCH: (usize, usize) = (512, 256);

/// Chains of three lengths.
pub(crate) fn steps<'a>(runtime: &'a Runtime, guests: &Guests) -> Result<Vec<Step<'a>>> {
    let (records, value_bytes) = BATCH;
    let parts = build(&samples(records, value_bytes), Builder::new())?;
    let mut steps = Vec::new();
    for (name, baseline, length) in [
        ("no transform", None, 0),
        ("one transform", None, 1),
        ("five transforms", Some("one transform"), 5),
    ] {
        let mut chain = Vec::new();
        for _ in 0..length {
            chain.push(runtime.block_on(guests.transform())?);
        }
        let parts = parts.clone();
        let through = runtime.block_on(pass(&mut chain, &parts))?;
        ensure!(
            through.is_none_or(|batch| batch.len() == records),
            "records are missing"
        );
        steps.push(Step {
            name,
            baseline,
            records,
            case: Case::sampled(move |times| {
                runtime.block_on(async {
                    for _ in 0..times {
                        let passed = pass(&mut chain, black_box(&parts)).await;
                        assert!(black_box(passed).is_ok(), "a transform fails");
                    }
                });
            }),
        });
    }
    Ok(steps)
}

/// Through each of them in turn; none where there is none.
async fn pass(chain: &mut [TransformInstance], parts: &Parts) -> Result<Option<Batch>, CallError> {
    let mut last: Option<Batch> = None;
    for transform in chain {
        let between = last.take().map(Batch::into_parts);
        let applied = transform.apply(between.as_ref().unwrap_or(parts)).await?;
        last = Some(applied.batch);
    }
    Ok(last)
}
