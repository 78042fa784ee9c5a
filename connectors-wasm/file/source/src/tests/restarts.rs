//! What comes after a crash is what comes after the last durable record.

use super::{Driver, Folder, drain, said, texts};
use proptest::prelude::*;

#[test]
fn reading_goes_on_after_the_last_durable_record() {
    let folder = Folder::new();
    folder.write("a", "ä1\nö2\nü3\n");
    let mut source = folder.open("a");
    assert_eq!(texts(&mut source).len(), 3);
    source.commit_first(1).unwrap();
    let mut source = source.crash().unwrap();
    assert_eq!(texts(&mut source), ["ö2", "ü3"]);
    source.commit().unwrap();
    let mut source = source.restart().unwrap();
    folder.append("a", "4\n");
    assert_eq!(texts(&mut source), ["4"]);
}

#[test]
fn a_file_rotated_while_nobody_looked_is_finished_first() {
    let folder = Folder::new();
    folder.write("app.log", "1\n2\n");
    let mut source = folder.open("app.log");
    texts(&mut source);
    source.commit().unwrap();
    folder.append("app.log", "3\n");
    folder.rename("app.log", "app.log.1");
    folder.write("app.log", "4\n");
    folder.write("other.log", "1\n2\nno\n");
    let mut source = source.crash().unwrap();
    assert_eq!(texts(&mut source), ["3", "4"]);
    assert_eq!(said(&source, "whose rest comes first"), 1);
}

#[test]
fn a_file_rotated_without_a_new_one_yet_is_finished() {
    let folder = Folder::new();
    folder.write("app.log", "1\n2\n");
    let mut source = folder.open("app.log");
    texts(&mut source);
    source.commit_first(1).unwrap();
    folder.rename("app.log", "app.2026.log");
    let mut source = source.crash().unwrap();
    assert_eq!(texts(&mut source), ["2"]);
    folder.write("app.log", "3\n");
    assert_eq!(texts(&mut source), ["3"]);
}

#[test]
fn after_a_rotation_was_followed_a_restart_stays_with_the_new_file() {
    let folder = Folder::new();
    folder.write("app.log", "1\n");
    let mut source = folder.open("app.log");
    texts(&mut source);
    folder.rename("app.log", "app.log.1");
    folder.write("app.log", "");
    assert_eq!(texts(&mut source), [""; 0]);
    source.commit().unwrap();
    folder.append("app.log", "2\n");
    assert_eq!(texts(&mut source.crash().unwrap()), ["2"]);
}

#[test]
fn another_file_under_the_name_is_read_from_its_beginning() {
    let folder = Folder::new();
    for (then, now) in [
        ("one\ntwo\n", "uno\ndos\ntres\n"),
        ("one\ntwo\n", "one\n"),
        ("one\ntwo\n", "one\ntwoo\n"),
    ] {
        folder.write("a", then);
        let mut source = folder.open("a");
        texts(&mut source);
        source.commit().unwrap();
        std::fs::remove_file(folder.path("a")).unwrap();
        folder.write("a", now);
        let mut source = source.crash().unwrap();
        assert_eq!(texts(&mut source).join("\n") + "\n", now);
        assert_eq!(said(&source, "is not the file that was read"), 1, "{now:?}");
    }
}

#[test]
fn the_mark_covers_the_first_kilobyte_only() {
    let folder = Folder::new();
    let header = "h".repeat(2000) + "\n";
    folder.write("a", header.clone() + "1\n2\n");
    let mut source = folder.open("a");
    texts(&mut source);
    source.commit_first(2).unwrap();
    folder.write("a", header + "1\n3\n");
    assert_eq!(texts(&mut source.crash().unwrap()), ["3"]);
}

#[test]
fn a_position_that_cannot_be_read_is_refused_by_name() {
    let folder = Folder::new();
    let point = connect_sdk::ResumePoint {
        partition: folder.name("a"),
        position: b"12".to_vec(),
    };
    let failure = Driver::open_at(folder.settings("a"), vec![point])
        .unwrap_err()
        .to_string();
    assert!(
        failure.contains(&folder.name("a")) && failure.contains("\"12\""),
        "{failure}"
    );
}

/// Splits as the contract says, one byte after the other, with nothing in common with the code.
fn reference(bytes: &[u8], any: bool) -> Vec<Vec<u8>> {
    let (mut lines, mut line, mut returned) = (Vec::new(), Vec::new(), false);
    for byte in bytes {
        if std::mem::take(&mut returned) {
            lines.push(std::mem::take(&mut line));
            if *byte == b'\n' {
                continue;
            }
        }
        match byte {
            b'\n' => lines.push(std::mem::take(&mut line)),
            b'\r' if any => returned = true,
            _ => line.push(*byte),
        }
    }
    lines
}

/// What happens between two looks at the file.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    Poll { records: u32, bytes: u32 },
    Commit(usize),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let byte = prop_oneof![3 => Just(b'\n'), 3 => Just(b'\r'), 4 => any::<u8>()];
    prop_oneof![
        3 => prop::collection::vec(byte, 0..200).prop_map(Step::Append),
        1 => (1usize..400_000, any::<u8>()).prop_map(|(length, byte)| Step::Append(vec![byte; length])),
        4 => (1u32..50, 1u32..5000).prop_map(|(records, bytes)| Step::Poll { records, bytes }),
        2 => (0usize..60).prop_map(Step::Commit),
        2 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// However a file grows, is polled, committed and lost sight of: what was durable when the task
    /// crashed and what came after it are the lines of the file, each exactly once.
    #[test]
    fn any_bytes_any_batches_any_crashes(steps in prop::collection::vec(step(), 1..40), any: bool) {
        let folder = Folder::new();
        folder.write("a", "");
        let settings = folder.settings("a").with("line.end", if any { "any" } else { "lf" });
        let mut source = Driver::open(settings).unwrap();
        let mut content = Vec::new();
        let mut durable: Vec<Vec<u8>> = Vec::new();
        let mut pending: Vec<Vec<u8>> = Vec::new();
        for step in steps {
            match step {
                Step::Append(bytes) => {
                    folder.append("a", &bytes);
                    content.extend(bytes);
                }
                Step::Poll { records, bytes } => {
                    let polled = source.poll_at_most(records, bytes).unwrap();
                    prop_assert!(polled.records.len() <= records as usize);
                    prop_assert!(polled.records.len() <= 1 || polled.bytes <= bytes as usize);
                    pending.extend(polled.records.into_iter().map(|record| record.value.unwrap()));
                }
                Step::Commit(count) => {
                    source.commit_first(count).unwrap();
                    durable.extend(pending.drain(..count.min(pending.len())));
                }
                Step::Crash => {
                    source = source.crash().unwrap();
                    pending.clear();
                }
            }
        }
        durable.extend(pending);
        durable.extend(drain(&mut source).unwrap().into_iter().map(|record| record.value.unwrap()));
        prop_assert!(durable == reference(&content, any));
    }
}
