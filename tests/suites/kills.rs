//! Kills of the worker: nothing missing, order kept, repeats only from behind what was durable.
//!
//! Half of the kills land at fail points between two steps of a promise, the others at random. A
//! run in which nothing came twice hit nothing and fails.

use connect_tests::folder::alone;
use connect_tests::kills::{Plan, run};
use connect_tests::scenario::Shape;

/// Per shape: 36 in all. `cargo xtask torture --kills 300` does more.
const KILLS: u64 = 12;
const LINES: u64 = 17_000;

fn nothing_is_lost(shape: Shape) -> anyhow::Result<()> {
    alone(|folder| {
        let plan = Plan {
            shape,
            lines: LINES,
            kills: KILLS,
            seed: 2,
            fail_points: true,
        };
        run(&plan, folder).map(drop)
    })
}

#[test]
fn one_file_to_one_file() -> anyhow::Result<()> {
    nothing_is_lost(Shape::One)
}

#[test]
fn sixteen_files_through_eight_queues_by_key() -> anyhow::Result<()> {
    nothing_is_lost(Shape::ManyKey)
}

#[test]
fn sixteen_files_through_eight_queues_by_partition() -> anyhow::Result<()> {
    nothing_is_lost(Shape::ManyPartition)
}
