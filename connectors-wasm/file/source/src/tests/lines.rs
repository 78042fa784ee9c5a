//! Where lines end, and what becomes of the last one.

use super::{Folder, drain, texts};
use connect_sdk::Failure;
use connect_sdk::testing::SourceDriver;

#[test]
fn every_line_end_of_java_ends_a_line() {
    let folder = Folder::new();
    folder.write("a", "plain\n\nafter empty\r\nlone\rcr\r\r\nlast\n");
    assert_eq!(
        texts(&mut folder.open("a")),
        ["plain", "", "after empty", "lone", "cr", "", "last"]
    );
}

#[test]
fn with_lf_every_other_byte_is_kept() {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    folder.write("a", [&bytes[..], b"\nx\r\n\r\n"].concat());
    let mut source =
        SourceDriver::<crate::FileSource>::open(folder.settings("a").with("line.end", "lf"))
            .unwrap();
    let values: Vec<_> = drain(&mut source)
        .unwrap()
        .into_iter()
        .map(|record| record.value.unwrap())
        .collect();
    assert_eq!(values, [bytes, b"x\r".to_vec(), b"\r".to_vec()]);
}

#[test]
fn a_return_at_the_end_waits_for_the_next_byte() {
    let folder = Folder::new();
    let mut source = folder.open("a");
    folder.append("a", "one\r");
    assert_eq!(texts(&mut source), [""; 0]);
    folder.append("a", "\ntwo\r");
    assert_eq!(texts(&mut source), ["one"]);
    folder.append("a", "three\n");
    assert_eq!(texts(&mut source), ["two", "three"]);
}

#[test]
fn growth_is_followed_byte_by_byte() {
    let folder = Folder::new();
    let mut source = folder.open("a");
    let mut seen = Vec::new();
    for byte in "ä one\r\ntwo\n\rthree\n".bytes() {
        folder.append("a", [byte]);
        seen.extend(texts(&mut source));
    }
    assert_eq!(seen, ["ä one", "two", "", "three"]);
}

#[test]
fn a_last_line_is_held_by_default() {
    let folder = Folder::new();
    folder.write("a", "one\ntwo");
    let mut source = folder.open("a");
    assert_eq!(texts(&mut source), ["one"]);
    assert_eq!(texts(&mut source), [""; 0]);
    folder.append("a", " and more\n");
    assert_eq!(texts(&mut source), ["two and more"]);
}

#[test]
fn an_emitted_last_line_goes_on_as_a_record_of_its_own() {
    let folder = Folder::new();
    let settings = folder.settings("a").with("last.line", "emit");
    let open = || SourceDriver::<crate::FileSource>::open(settings.clone()).unwrap();
    folder.write("a", "one\ntwo");
    let mut source = open();
    assert_eq!(texts(&mut source), ["one", "two"]);
    folder.append("a", "\nthree");
    assert_eq!(
        texts(&mut source),
        ["three"],
        "the line end of an emitted line is no line"
    );
    folder.append("a", " and");
    assert_eq!(texts(&mut source), [" and"]);
    folder.append("a", " more\r");
    assert_eq!(texts(&mut source), [" more"]);
    folder.append("a", "\n");
    assert_eq!(
        texts(&mut source),
        [""; 0],
        "the second half of a line end is no line"
    );
    folder.append("a", "\n");
    assert_eq!(texts(&mut source), [""]);
}

#[test]
fn the_position_of_an_emitted_last_line_survives_restarts() {
    let folder = Folder::new();
    let settings = folder.settings("a").with("last.line", "emit");
    let mut source = SourceDriver::<crate::FileSource>::open(settings).unwrap();
    let mut seen = Vec::new();
    for piece in [
        "one", "\n", "two", "\r", "\n", "three", " more", "\r", "four", "\n", "\n",
    ] {
        folder.append("a", piece);
        seen.extend(texts(&mut source));
        source.commit().unwrap();
        source = source.crash().unwrap();
        assert_eq!(texts(&mut source), [""; 0], "after {piece:?}");
    }
    assert_eq!(seen, ["one", "two", "three", " more", "four", ""]);
}

#[test]
fn an_emitted_last_line_waits_until_the_file_is_quiet() {
    let folder = Folder::new();
    folder.write("a", "one");
    let settings = folder
        .settings("a")
        .with("last.line", "emit")
        .with("last.line.wait", "3600000");
    let mut source = SourceDriver::<crate::FileSource>::open(settings).unwrap();
    assert_eq!(texts(&mut source), [""; 0]);
    assert_eq!(texts(&mut source), [""; 0]);
}

#[test]
fn a_line_too_long_stops_the_task_and_says_where() {
    let folder = Folder::new();
    let settings = folder.settings("a").with("max.line.bytes", "1000");
    folder.write("a", ["x".repeat(1000), "y".repeat(1001)].join("\n"));
    let mut source = SourceDriver::<crate::FileSource>::open(settings).unwrap();
    assert_eq!(
        source.poll().unwrap().texts(),
        ["x".repeat(1000)],
        "what came before is delivered"
    );
    let Err(Failure::Fatal(reason)) = source.poll() else {
        panic!("a line of 1001 bytes passed")
    };
    assert!(
        reason.contains("the line at byte 1001 is longer than max.line.bytes=1000"),
        "{reason}"
    );
}

#[test]
fn the_longest_line_passes_alone() {
    let folder = Folder::new();
    let longest = usize::try_from(crate::config::MAX_LINE).unwrap();
    folder.write("a", ["short", &"x".repeat(longest), "short\n"].join("\n"));
    let mut source = folder.open("a");
    let sizes: Vec<Vec<usize>> = (0..3)
        .map(|_| {
            source
                .poll()
                .unwrap()
                .records
                .iter()
                .map(|record| record.text().len())
                .collect()
        })
        .collect();
    assert_eq!(sizes, [vec![5], vec![longest], vec![5]]);
}
