//! Names with parts of the record in them.

use super::{Driver, Folder, from};
use connect_sdk::Connector;
use connect_sdk::testing::{TestRecord, record};

#[test]
fn records_go_to_the_file_of_their_topic_and_queue() {
    let folder = Folder::new();
    let mut sink = folder.open("${topic}/${broker}-${queue}.txt");
    let batch = [
        from("t", 0, "a"),
        from("t", 1, "b"),
        from("u", 0, "c"),
        from("t", 0, "d"),
    ];
    assert_eq!(sink.put(&batch).unwrap(), []);
    sink.flush().unwrap();
    let read = |name| folder.read(name);
    assert_eq!(
        [
            read("t/broker-a-0.txt"),
            read("t/broker-a-1.txt"),
            read("u/broker-a-0.txt")
        ],
        ["a\nd\n", "b\n", "c\n"]
    );
}

#[test]
fn records_go_to_the_file_of_their_key_or_header() {
    let folder = Folder::new();
    let mut sink = folder.open("${key}.${header.kind}");
    let one = |text: &str, key: &str, kind: &str| record(text).key(key).header("kind", kind);
    sink.put(&[
        one("a", "x", "log"),
        one("b", "y", "log"),
        one("c", "x", "log"),
    ])
    .unwrap();
    sink.flush().unwrap();
    assert_eq!(
        [folder.read("x.log"), folder.read("y.log")],
        ["a\nc\n", "b\n"]
    );
}

#[test]
fn what_is_no_plain_name_is_rejected_with_its_reason() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("out")).unwrap();
    let mut sink = folder.open("out/${key}");
    let keys: [&[u8]; 9] = [
        b"../escape",
        b"..",
        b".",
        b"",
        b"a/b",
        b"a\\b",
        b"nul\0",
        b"\xff",
        "x".repeat(300).leak().as_bytes(),
    ];
    let mut batch: Vec<TestRecord> = keys.iter().map(|key| record("bad").key(*key)).collect();
    batch.push(record("no key"));
    batch.push(record("good").key("good"));
    let rejected = sink.put(&batch).unwrap();
    sink.flush().unwrap();
    assert_eq!(
        rejected
            .iter()
            .map(|rejected| rejected.index)
            .collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert!(
        rejected[0]
            .reason
            .contains("key \"../escape\" cannot be part of a file name"),
        "{rejected:?}"
    );
    assert!(
        rejected[9].reason.contains("key, which it does not have"),
        "{rejected:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1);
}

#[test]
fn only_queues_that_cannot_meet_are_spread_over_tasks() {
    let tasks = |name: &str| {
        let settings = connect_sdk::Settings::from([("filename", name)]);
        let settings = settings.with_defaults(&crate::FileSink::describe());
        crate::FileSink::task_settings(&settings, 4)
            .unwrap()
            .tasks
            .len()
    };
    assert_eq!(tasks("one.txt"), 1);
    assert_eq!(tasks("${key}"), 1);
    assert_eq!(tasks("${topic}-${broker}-${queue}"), 4);
}

#[test]
fn more_files_than_may_be_open_are_written_all_the_same() {
    let folder = Folder::new();
    let settings = folder.settings("${key}").with("max.open.files", "3");
    let mut sink = Driver::open(settings).unwrap();
    for round in 0..4 {
        let batch: Vec<_> = (0..20)
            .map(|key| record(format!("{round}")).key(format!("{key}")))
            .collect();
        sink.put(&batch).unwrap();
        sink.flush().unwrap();
        let open = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| {
                std::fs::read_link(entry.ok()?.path())
                    .ok()
                    .filter(|path| path.starts_with(folder.0.path()))
            });
        assert!(open.count() <= 3);
    }
    for key in 0..20 {
        assert_eq!(folder.read(&format!("{key}")), "0\n1\n2\n3\n");
    }
}
