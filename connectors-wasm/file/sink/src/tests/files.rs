//! What stands in a file, and what is found there at the start.

use std::fs;

use super::{Driver, Folder, records};
use connect_sdk::testing::{TestRecord, record};
use connect_sdk::{Connector, Failure};

#[test]
fn each_value_is_a_line_whatever_its_bytes() {
    let folder = Folder::new();
    let mut sink = folder.open("out");
    let any: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    sink.put(&[record("one"), record(""), record(any.clone())])
        .unwrap();
    sink.flush().unwrap();
    assert_eq!(
        fs::read(folder.path("out")).unwrap(),
        [b"one\n\n", &any[..], b"\n"].concat()
    );
}

#[test]
fn lines_are_added_to_what_is_there() {
    let folder = Folder::new();
    for text in ["one", "two"] {
        let mut sink = folder.open("out");
        sink.put(&records(&[text])).unwrap();
        sink.flush().unwrap();
        sink.close().unwrap();
    }
    assert_eq!(folder.read("out"), "one\ntwo\n");
}

#[test]
fn a_torn_last_line_is_cut_off_at_the_start() {
    let folder = Folder::new();
    fs::write(folder.path("out"), "whole\nto").unwrap();
    let mut sink = folder.open("out");
    assert_eq!(folder.read("out"), "whole\n");
    assert!(
        sink.messages()[0].1.contains("cut 2 bytes"),
        "{:?}",
        sink.messages()
    );
    sink.put(&records(&["torn"])).unwrap();
    sink.flush().unwrap();
    assert_eq!(folder.read("out"), "whole\ntorn\n");
}

#[test]
fn a_file_without_any_line_end_is_emptied() {
    let folder = Folder::new();
    fs::write(folder.path("out"), vec![b'x'; 200_000]).unwrap();
    folder.open("out");
    assert_eq!(folder.read("out"), "");
}

#[test]
fn a_whole_last_line_stays() {
    let folder = Folder::new();
    fs::write(folder.path("out"), "a\r\nb\n").unwrap();
    let sink = folder.open("out");
    assert_eq!(
        (folder.read("out").as_str(), sink.messages().len()),
        ("a\r\nb\n", 0)
    );
}

#[test]
fn what_was_not_flushed_is_not_there_after_a_crash() {
    let folder = Folder::new();
    let mut sink = folder.open("out");
    sink.put(&records(&["one"])).unwrap();
    sink.flush().unwrap();
    sink.put(&records(&["two"])).unwrap();
    let mut sink = sink.crash().unwrap();
    sink.put(&records(&["two"])).unwrap();
    sink.flush().unwrap();
    assert_eq!(folder.read("out"), "one\ntwo\n");
}

#[test]
fn records_without_value_are_passed_over_and_counted() {
    let folder = Folder::new();
    let mut sink = folder.open("out");
    let rejected = sink
        .put(&[record("a"), TestRecord::default(), record("b")])
        .unwrap();
    sink.flush().unwrap();
    assert_eq!((rejected.len(), folder.read("out").as_str()), (0, "a\nb\n"));
    assert!(
        sink.messages()[0].1.contains("passed over 1 records"),
        "{:?}",
        sink.messages()
    );
}

#[test]
fn structures_are_written_as_json_and_broken_ones_rejected() {
    let folder = Folder::new();
    let mut sink = folder.open("out");
    let schema = r#"{"type":"struct","fields":[{"field":"a","type":"int32"}]}"#;
    let good = record([0xa1, 0x61, b'a', 7]).value_schema(schema);
    let bad = record([0xa1]).value_schema(schema);
    let rejected = sink.put(&[good, bad]).unwrap();
    sink.flush().unwrap();
    assert_eq!(folder.read("out"), "{\"a\":7}\n");
    assert_eq!((rejected.len(), rejected[0].index), (1, 1));
}

#[test]
fn where_nothing_can_be_written_the_task_ends() {
    let folder = Folder::new();
    fs::create_dir(folder.path("dir")).unwrap();
    let failure = Driver::open(folder.settings("dir")).unwrap_err();
    assert!(matches!(failure, Failure::Fatal(_)), "{failure:?}");
}

#[test]
fn the_description_has_javas_name_and_needs_the_directory() {
    let description = crate::FileSink::describe();
    assert_eq!(
        (description.name.as_str(), description.version.as_str()),
        ("file-sink", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        description.aliases,
        ["org.apache.rocketmq.connect.file.FileSinkConnector"]
    );
    let needs = |name: &str| crate::FileSink::needs(&[("filename", name)].into());
    assert_eq!(
        needs("test-sink-file.txt"),
        [connect_sdk::Need::write_directory(".")]
    );
    assert_eq!(
        needs("out/${key}"),
        [connect_sdk::Need::write_directory("out")]
    );
    assert_eq!(needs("${nonsense}"), []);
}
