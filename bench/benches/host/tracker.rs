//! The tracker of source positions: a record entered, its send confirmed, what may be stored taken.

use std::hint::black_box;

use bytes::Bytes;
use connect_bench::Case;
use connect_tracker::Tracker;

use crate::Step;

/// Records of a batch, confirmed as one send.
const BATCH: usize = 512;

/// Batches of one partition, and of several in turn.
pub(crate) fn steps() -> Vec<Step<'static>> {
    let cases = [
        ("the tracker, one partition", 1),
        ("the tracker, 16 partitions in turn", 16),
    ];
    cases
        .into_iter()
        .map(|(name, partitions)| {
            let names: Vec<String> = (0..partitions)
                .map(|number| format!("shop-{number}/orders.log"))
                .collect();
            let position = Bytes::from_static(b"1234567890123456");
            let mut tracker = Tracker::default();
            let once = move || {
                let batch = tracker.begin();
                let enter = |name: &String| tracker.enter(batch, name, Some(position.clone()));
                let tickets: Vec<_> = names.iter().cycle().take(BATCH).map(enter).collect();
                tracker.end(batch, Vec::new(), Vec::new());
                tracker.confirm_all(&tickets);
                drop(black_box(tracker.take()));
            };
            Step {
                name,
                baseline: None,
                records: BATCH,
                case: Case::new(once),
            }
        })
        .collect()
}
