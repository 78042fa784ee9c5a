//! What a record holds, and how full a batch gets.

use super::{Driver, Folder, drain};
use connect_sdk::{Connector, Failure};

#[test]
fn a_record_names_its_file_as_asked() {
    let folder = Folder::new();
    folder.write("a.txt", "line\n");
    let plain = drain(&mut folder.open("a.txt")).unwrap().remove(0);
    let path = folder.name("a.txt");
    assert_eq!(
        (plain.partition.as_str(), plain.topic.as_str()),
        (path.as_str(), "")
    );
    assert_eq!((plain.key, plain.headers.len()), (None, 0));
    assert!(plain.timestamp > 1_700_000_000_000);

    for (key, expected) in [("filename", "a.txt"), ("path", path.as_str())] {
        let settings = folder
            .settings("a.txt")
            .with("key", key)
            .with("file.header", "file");
        let record = drain(&mut Driver::open(settings).unwrap())
            .unwrap()
            .remove(0);
        assert_eq!(record.key.as_deref(), Some(expected.as_bytes()));
        assert_eq!(record.headers, [("file".to_owned(), b"a.txt".to_vec())]);
    }
}

#[test]
fn lines_that_are_utf_8_have_javas_schema_and_others_have_none() {
    let folder = Folder::new();
    folder.write("a\".txt", b"g\xc3\xbcltig\nung\xfcltig\n");
    let records = drain(&mut folder.open("a\".txt")).unwrap();
    let schema = records[0].value_schema.as_deref().unwrap();
    assert!(
        schema.starts_with(r#"{"type":"string","optional":false,"name":""#),
        "{schema}"
    );
    assert!(schema.ends_with(r#"/a\".txt_line"}"#), "{schema}");
    assert_eq!(records[1].value_schema, None);
    let none = folder.settings("a\".txt").with("line.schema", "none");
    assert_eq!(
        drain(&mut Driver::open(none).unwrap()).unwrap()[0].value_schema,
        None
    );
}

#[test]
fn a_batch_keeps_to_what_was_asked_for() {
    let folder = Folder::new();
    folder.write("a", "0123456789\n".repeat(5000));
    let mut source = folder.open("a");
    assert_eq!(source.poll_at_most(7, 1_000_000).unwrap().records.len(), 7);
    let polled = source.poll_at_most(1_000_000, 10_000).unwrap();
    assert!(
        polled.bytes <= 10_000 && polled.bytes > 8_000,
        "{}",
        polled.bytes
    );
    assert!(polled.wait.is_zero());
    let mut count = 7 + polled.records.len();
    loop {
        let polled = source.poll().unwrap();
        count += polled.records.len();
        assert!(polled.records.len() <= 1000);
        if !polled.wait.is_zero() {
            break;
        }
    }
    assert_eq!(count, 5000);
}

#[test]
fn files_take_turns() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        folder.write(name, "x\n".repeat(20_000));
    }
    let settings = folder.settings("a").with(
        "filename",
        ["a", "b", "c"].map(|name| folder.name(name)).join(";"),
    );
    let mut source = Driver::open(settings).unwrap();
    let mut partitions = Vec::new();
    for _ in 0..24 {
        partitions.extend(
            source
                .poll()
                .unwrap()
                .records
                .first()
                .map(|record| record.partition.clone()),
        );
    }
    partitions.dedup();
    assert_eq!(partitions, ["a", "b", "c"].map(|name| folder.name(name)));
    let rest = drain(&mut source).unwrap().len();
    assert_eq!(rest, 60_000 - 24_000);
}

#[test]
fn very_many_files_are_read_with_few_handles() {
    let folder = Folder::new();
    let names: Vec<String> = (0..700).map(|number| format!("f{number:03}")).collect();
    names
        .iter()
        .for_each(|name| folder.write(name, format!("{name}\n")));
    let settings = folder.settings("f*");
    let mut source = Driver::open(settings).unwrap();
    let handles = || {
        std::fs::read_dir("/proc/self/fd")
            .map(Iterator::count)
            .unwrap_or(0)
    };
    let before = handles();
    let mut seen = [drain(&mut source).unwrap(), drain(&mut source).unwrap()].concat();
    assert!(
        handles() < before + 100,
        "{} handles more",
        handles() - before
    );
    assert_eq!(seen.len(), 700);
    for name in &names {
        folder.append(name, "more");
        folder.append(name, "\n");
    }
    seen = [drain(&mut source).unwrap(), drain(&mut source).unwrap()].concat();
    assert_eq!(
        seen.iter().filter(|record| record.text() == "more").count(),
        700
    );
}

#[test]
fn an_idle_source_says_how_long_to_wait() {
    let folder = Folder::new();
    folder.write("a", "x\n");
    let mut source = Driver::open(folder.settings("a").with("poll.interval", "250")).unwrap();
    let polled = source.poll().unwrap();
    assert_eq!((polled.records.len(), polled.wait.as_millis()), (1, 250));
}

#[test]
fn what_cannot_be_read_ends_the_task() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("dir")).unwrap();
    let failure = folder.open("dir").poll().unwrap_err();
    assert!(
        matches!(&failure, Failure::Fatal(reason) if reason.contains("is not a regular file")),
        "{failure:?}"
    );

    let missing = folder.settings("none").with("missing.file", "fail");
    let failure = Driver::open(missing).unwrap_err();
    assert!(
        matches!(&failure, Failure::Invalid(problems) if problems[0].key == "filename"),
        "{failure:?}"
    );
}

#[test]
fn the_description_has_javas_name_and_the_crates_version() {
    let description = crate::FileSource::describe();
    assert_eq!(description.name, "file-source");
    assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(
        description.aliases,
        ["org.apache.rocketmq.connect.file.FileSourceConnector"]
    );
    let required: Vec<_> = description
        .options
        .iter()
        .filter(|option| option.required)
        .collect();
    assert_eq!(required.len(), 1);
    assert!(
        description
            .options
            .iter()
            .all(|option| !option.doc.is_empty())
    );
}
