//! Writes that fail: nothing swallowed, nothing torn, nothing doubled. A file size limit of the
//! process stands in for a full disk; such tests run in a process of their own.

use std::process::Command;

use super::{Driver, Folder, records};
use connect_sdk::testing::record;
use connect_sdk::{Failure, Queue, QueueOffset};

/// Runs the ignored test `name` of this binary with files limited to `blocks` of 1 KiB.
fn limited(name: &str, blocks: u32) {
    let test = std::env::current_exe().unwrap();
    // SIGXFSZ is ignored, so that writing beyond the limit is an error and no end of the process.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --ignored --exact {name}");
    let output = Command::new("bash")
        .args(["-c", &script])
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_write_that_fails_half_way_is_undone_and_done_again() {
    limited("tests::writes::beyond_the_limit", 64);
}

#[test]
#[ignore = "needs a limit of 64 KiB a file; run by the test above"]
fn beyond_the_limit() {
    let folder = Folder::new();
    let mut sink = folder.open("out");
    let line = "x".repeat(999);
    sink.put(&vec![record(line.clone()); 50]).unwrap();
    sink.flush().unwrap();
    sink.put(&vec![record(line.clone()); 50]).unwrap();
    for _ in 0..3 {
        let failure = sink.flush().unwrap_err();
        assert!(failure.to_string().contains("writing to "), "{failure}");
        assert_eq!(
            folder.read("out").len(),
            50_000,
            "a part of a failed write is left"
        );
    }
    // Room again: what was put is written once.
    std::fs::write(folder.path("out"), "").unwrap();
    sink.flush().unwrap();
    assert_eq!(folder.read("out"), format!("{line}\n").repeat(50));
}

#[test]
fn a_full_device_is_an_answer_and_the_batch_may_come_again() {
    // Every write to this device fails for lack of space.
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full");
    let error = full
        .and_then(|mut file| std::io::Write::write_all(&mut file, b"x"))
        .unwrap_err();
    let failure = Failure::from(error);
    assert!(
        matches!(failure, Failure::Retriable { after, .. } if after.as_millis() == 1000),
        "{failure:?}"
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_a_failure() {
    let folder = Folder::new();
    std::fs::write(folder.path("file"), "").unwrap();
    let mut sink = folder.open("file/${key}");
    sink.put(&[record("a").key("k")]).unwrap();
    let failure = sink.flush().unwrap_err();
    assert!(
        matches!(&failure, Failure::Fatal(reason) if reason.contains("opening ")),
        "{failure:?}"
    );
}

#[test]
fn much_that_waits_is_written_before_the_flush() {
    let folder = Folder::new();
    let mut sink = Driver::open(folder.settings("out").with("fsync", "never")).unwrap();
    let line = "x".repeat(9_999);
    for _ in 0..20 {
        sink.put(&vec![record(line.clone()); 30]).unwrap();
    }
    let written = folder.read("out").len();
    assert!(
        written > 4_000_000 && written.is_multiple_of(10_000),
        "{written}"
    );
    sink.flush().unwrap();
    assert_eq!(folder.read("out").len(), 6_000_000);
}

#[test]
fn lines_of_lost_queues_are_not_written() {
    let folder = Folder::new();
    let queues = [0, 1].map(|id| QueueOffset {
        queue: Queue::new("t", "broker-a", id),
        next: 0,
    });
    let (mut sink, _) = Driver::open_with(folder.settings("out"), &queues).unwrap();
    sink.put(&[
        super::from("t", 0, "a"),
        super::from("t", 1, "b"),
        super::from("t", 0, "c"),
    ])
    .unwrap();
    sink.revoke(&[queues[0].queue.clone()], true).unwrap();
    sink.flush().unwrap();
    assert_eq!(folder.read("out"), "b\n");
}

#[test]
fn a_file_shortened_by_someone_else_keeps_whole_lines() {
    let folder = Folder::new();
    let mut sink = folder.open("out");
    sink.put(&records(&["one", "two"])).unwrap();
    sink.flush().unwrap();
    std::fs::write(folder.path("out"), "").unwrap();
    sink.put(&records(&["three"])).unwrap();
    sink.flush().unwrap();
    std::fs::write(folder.path("out"), "three\nfour by someone el").unwrap();
    sink.put(&records(&["five"])).unwrap();
    sink.flush().unwrap();
    assert_eq!(folder.read("out"), "three\nfive\n");
}
