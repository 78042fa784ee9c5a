//! Whatever a crash leaves of a write: flushed lines stay, and every line is whole.

use std::io::Write;

use super::Folder;
use connect_sdk::testing::{TestRecord, record};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Put(Vec<Vec<u8>>),
    Flush,
    /// Dies when so much of what waits was written, and goes on from the last flush.
    Crash(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let byte = any::<u8>().prop_map(|byte| if byte == b'\n' { b'\r' } else { byte });
    let line = prop::collection::vec(byte, 0..30);
    prop_oneof![
        4 => prop::collection::vec(line, 1..5).prop_map(Step::Put),
        2 => Just(Step::Flush),
        2 => any::<prop::sample::Index>().prop_map(Step::Crash),
    ]
}

fn bytes(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line, &b"\n"[..]].concat())
        .collect()
}

proptest! {
    #[test]
    fn flushed_lines_stay_and_every_line_is_whole(steps in prop::collection::vec(step(), 1..30)) {
        let folder = Folder::new();
        let mut sink = folder.open("out");
        // What must stand in the file: all that was flushed, and whole lines of crashed writes.
        let mut content: Vec<u8> = Vec::new();
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for step in steps {
            match step {
                Step::Put(lines) => {
                    let records: Vec<TestRecord> = lines.iter().cloned().map(record).collect();
                    prop_assert_eq!(sink.put(&records).unwrap(), []);
                    waiting.extend(lines);
                }
                Step::Flush => {
                    sink.flush().unwrap();
                    content.extend(bytes(&std::mem::take(&mut waiting)));
                }
                Step::Crash(at) => {
                    let torn = bytes(&waiting);
                    let torn = &torn[..at.index(torn.len() + 1)];
                    let mut file = std::fs::OpenOptions::new().append(true).open(folder.path("out")).unwrap();
                    file.write_all(torn).unwrap();
                    let whole = torn.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    content.extend(&torn[..whole]);
                    sink = sink.crash().unwrap();
                    let again: Vec<TestRecord> = waiting.iter().cloned().map(record).collect();
                    sink.put(&again).unwrap();
                }
            }
            if waiting.is_empty() {
                prop_assert!(std::fs::read(folder.path("out")).unwrap() == content);
            }
        }
        sink.flush().unwrap();
        content.extend(bytes(&waiting));
        prop_assert!(std::fs::read(folder.path("out")).unwrap() == content);
    }
}
