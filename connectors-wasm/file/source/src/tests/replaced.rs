//! Files that are renamed, deleted, truncated, missing, written anew.

use super::{Driver, Folder, said, texts};

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let folder = Folder::new();
    folder.write("a.log", "1\n2\n");
    let mut source = folder.open("a.log");
    assert_eq!(texts(&mut source), ["1", "2"]);
    folder.append("a.log", "3\n");
    folder.rename("a.log", "a.log.1");
    folder.append("a.log.1", "4\n5 without end");
    folder.write("a.log", "6\n");
    assert_eq!(texts(&mut source), ["3", "4", "5 without end", "6"]);
    folder.append("a.log", "7\n");
    assert_eq!(texts(&mut source), ["7"]);
}

#[test]
fn the_old_file_must_be_quiet_before_the_new_one_is_read() {
    let folder = Folder::new();
    folder.write("a.log", "1\n");
    let mut source = Driver::open(folder.settings("a.log").with("rotate.wait", "3600000")).unwrap();
    texts(&mut source);
    folder.rename("a.log", "a.log.1");
    folder.write("a.log", "3\n");
    assert_eq!(texts(&mut source), [""; 0]);
    folder.append("a.log.1", "2\n");
    assert_eq!(texts(&mut source), ["2"]);
    assert_eq!(said(&source, "was rotated"), 1);
}

#[test]
fn several_rotations_are_followed_in_order() {
    let folder = Folder::new();
    folder.write("a.log", "1\n");
    let mut source = Driver::open(folder.settings("a.log").with("rotate.wait", "50")).unwrap();
    let mut seen = texts(&mut source);
    for number in 2..6 {
        folder.rename("a.log", &format!("a.log.{number}"));
        folder.write("a.log", format!("{number}\n"));
        seen.extend(texts(&mut source));
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while seen.len() < 5 && std::time::Instant::now() < deadline {
        seen.extend(texts(&mut source));
    }
    assert_eq!(seen, ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_file_replaced_by_rename_is_a_new_one() {
    let folder = Folder::new();
    folder.write("a", "old\n");
    let mut source = folder.open("a");
    assert_eq!(texts(&mut source), ["old"]);
    folder.write("b", "new\n");
    folder.rename("b", "a");
    assert_eq!(texts(&mut source), ["new"]);
}

#[test]
fn a_truncated_file_begins_anew_with_a_warning() {
    let folder = Folder::new();
    folder.write("a", "one\ntwo\nunfini");
    let mut source = folder.open("a");
    assert_eq!(texts(&mut source), ["one", "two"]);
    folder.write("a", "three\n");
    assert_eq!(texts(&mut source), ["three"]);
    assert_eq!(
        said(
            &source,
            "was truncated to 6 bytes after 14 were read (6 of them in an unfinished line"
        ),
        1
    );
}

#[test]
fn a_file_written_anew_and_longer_is_noticed() {
    let folder = Folder::new();
    folder.write("a", "one\n");
    let mut source = folder.open("a");
    assert_eq!(texts(&mut source), ["one"]);
    folder.write("a", "another\nand another\n");
    assert_eq!(texts(&mut source), ["another", "and another"]);
}

#[test]
fn after_truncation_a_restart_does_not_skip_the_beginning() {
    let folder = Folder::new();
    folder.write("a", "one\ntwo\n");
    let mut source = folder.open("a");
    texts(&mut source);
    source.commit().unwrap();
    folder.write("a", "");
    assert_eq!(texts(&mut source), [""; 0]);
    source.commit().unwrap();
    // With the old position, a file that has grown again beyond it might be taken for the old one.
    assert_eq!(
        source.stored()[0].position,
        b"offset=0 head=0:cbf29ce484222325"
    );
    folder.write("a", "one\ntwo\nthree\n");
    assert_eq!(texts(&mut source.crash().unwrap()), ["one", "two", "three"]);
}

#[test]
fn a_missing_file_is_waited_for() {
    let folder = Folder::new();
    let mut source = folder.open("a");
    assert_eq!(texts(&mut source), [""; 0]);
    assert_eq!(texts(&mut source), [""; 0]);
    assert_eq!(said(&source, "is not there, waiting"), 1);
    folder.write("a", "here\n");
    assert_eq!(texts(&mut source), ["here"]);
}

#[test]
fn a_deleted_file_is_finished_and_its_position_forgotten() {
    let folder = Folder::new();
    folder.write("a", "one\n");
    let mut source = folder.open("a");
    texts(&mut source);
    source.commit().unwrap();
    folder.append("a", "rest");
    std::fs::remove_file(folder.path("a")).unwrap();
    assert_eq!(texts(&mut source), ["rest"]);
    source.commit().unwrap();
    assert_eq!(source.stored(), []);
    folder.write("a", "one\nagain\n");
    assert_eq!(texts(&mut source), ["one", "again"]);
}

#[test]
fn a_file_that_is_never_read_to_its_end_is_still_checked_for_newer_ones() {
    let folder = Folder::new();
    folder.write("a", "1\n2\n3\n4\n");
    let mut source = folder.open("a");
    let mut seen = Vec::new();
    for newer in ["5\n", "6\n"] {
        seen.extend(source.poll_at_most(1, 1000).unwrap().texts());
        folder.rename("a", &format!("a.{}", seen.len()));
        folder.write("a", newer);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    seen.extend(texts(&mut source));
    assert_eq!(seen, ["1", "2", "3", "4", "5", "6"]);
}
