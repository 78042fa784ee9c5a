//! Random histories against plain maps: same rows, same order, nothing of a neighbour.

use crate::{Store, StoredOffset};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Positions(String, Vec<(String, Vec<u8>)>, Vec<String>),
    Offsets(String, Vec<StoredOffset>),
    Purge(String),
    Reopen,
}

/// Few names, many of them prefixes of each other or around a NUL byte.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab\0\u{1}é]{0,3}", Just("\u{10FFFF}".to_owned()),]
}

fn stored_offset() -> impl Strategy<Value = StoredOffset> {
    let id = prop_oneof![any::<i32>(), -1..2_i32];
    (name(), name(), id, any::<u64>()).prop_map(|(topic, broker, id, next)| StoredOffset {
        topic,
        broker,
        id,
        next,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let points = prop::collection::vec((name(), prop::collection::vec(any::<u8>(), 0..4)), 0..6);
    prop_oneof![
        4 => (name(), points, prop::collection::vec(name(), 0..3))
            .prop_map(|(connector, points, forget)| Step::Positions(connector, points, forget)),
        4 => (name(), prop::collection::vec(stored_offset(), 0..6))
            .prop_map(|(connector, offsets)| Step::Offsets(connector, offsets)),
        1 => name().prop_map(Step::Purge),
        1 => Just(Step::Reopen),
    ]
}

type Positions = BTreeMap<String, BTreeMap<String, Vec<u8>>>;
type Offsets = BTreeMap<String, BTreeMap<(String, String, i32), u64>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn behaves_like_maps(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        let (mut positions, mut offsets) = (Positions::new(), Offsets::new());
        for step in steps {
            match step {
                Step::Positions(connector, points, forget) => {
                    let known = positions.entry(connector.clone()).or_default();
                    for partition in &forget {
                        known.remove(partition);
                    }
                    known.extend(points.clone());
                    let points: Vec<_> =
                        points.into_iter().map(|(key, value)| (key, value.into())).collect();
                    runtime
                        .block_on(store.commit_positions(&connector, &points, &forget))
                        .unwrap();
                }
                Step::Offsets(connector, rows) => {
                    let known = offsets.entry(connector.clone()).or_default();
                    for row in &rows {
                        known.insert((row.topic.clone(), row.broker.clone(), row.id), row.next);
                    }
                    runtime.block_on(store.commit_offsets(&connector, &rows)).unwrap();
                }
                Step::Purge(connector) => {
                    positions.remove(&connector);
                    offsets.remove(&connector);
                    runtime.block_on(store.delete_connector(&connector, true)).unwrap();
                }
                Step::Reopen => {
                    drop(store);
                    store = Store::open(directory.path()).unwrap();
                }
            }
        }
        for (connector, known) in &positions {
            let rows: Vec<_> = store
                .positions(connector)
                .unwrap()
                .into_iter()
                .map(|(key, value)| (key, value.to_vec()))
                .collect();
            prop_assert_eq!(rows, known.clone().into_iter().collect::<Vec<_>>());
        }
        for (connector, known) in &offsets {
            let rows: Vec<_> = store
                .offsets(connector)
                .unwrap()
                .into_iter()
                .map(|row| ((row.topic, row.broker, row.id), row.next))
                .collect();
            prop_assert_eq!(rows, known.clone().into_iter().collect::<Vec<_>>());
        }
    }
}
