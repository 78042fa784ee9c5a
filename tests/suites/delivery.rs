//! Content and order, when nothing goes wrong: what arrives is what was sent, byte for byte.

use connect_tests::folder::alone;
use connect_tests::kills::{Plan, run};
use connect_tests::scenario::Shape;

/// Per shape; `cargo xtask torture --kills 0` sends a million.
const LINES: u64 = 50_000;

fn content_is_identical(shape: Shape) -> anyhow::Result<()> {
    alone(|folder| {
        let plan = Plan {
            shape,
            lines: LINES,
            kills: 0,
            seed: 1,
            fail_points: true,
        };
        run(&plan, folder).map(drop)
    })
}

#[test]
fn one_file_to_one_file() -> anyhow::Result<()> {
    content_is_identical(Shape::One)
}

#[test]
fn sixteen_files_through_eight_queues_by_key() -> anyhow::Result<()> {
    content_is_identical(Shape::ManyKey)
}

#[test]
fn sixteen_files_through_eight_queues_by_partition() -> anyhow::Result<()> {
    content_is_identical(Shape::ManyPartition)
}
