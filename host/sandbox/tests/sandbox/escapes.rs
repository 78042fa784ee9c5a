//! Ways out of a granted directory, and ways to change what was granted for reading: none works, and
//! nothing outside is touched by trying.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connect_sandbox::{CallError, Grant, Grants, Limits, Polled, TaskScope};

use crate::confinement::{Tree, tree};
use crate::fixtures::{Stored, plugin, poll, scope, settings, short, values};

/// What the guest says of doing `act` with `path` and `to`, both below the directory that it has for
/// reading, or for reading and writing.
async fn act(tree: &Tree, write: bool, act: &str, path: &str, to: &str) -> String {
    let polled = try_act(tree, write, act, path, to, short()).await;
    values(&polled.unwrap()).remove(0)
}

async fn try_act(
    tree: &Tree,
    write: bool,
    act: &str,
    path: &str,
    to: &str,
    limits: Limits,
) -> Result<Polled, CallError> {
    let plugin = plugin("needs-dir").await;
    let below = |path: &str| tree.granted.join(path).to_str().unwrap().to_owned();
    let (path, to, write_text) = (below(path), below(to), write.to_string());
    let settings = settings(
        &plugin,
        &[
            ("directory", tree.granted.to_str().unwrap()),
            ("write", &write_text),
            ("act", act),
            ("path", &path),
            ("to", &to),
        ],
    );
    let needs = plugin.needs(&settings).await.unwrap();
    let directories = vec![tree.granted.clone()];
    let mut grant = Grant {
        plugin: "*".into(),
        ..Grant::default()
    };
    *(if write {
        &mut grant.write_directory
    } else {
        &mut grant.read_directory
    }) = directories;
    let access = Grants::from(vec![grant])
        .allow("needs-dir", &needs)
        .unwrap();
    let scope = TaskScope {
        access,
        ..scope(limits)
    };
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope, context).await.unwrap();
    source.open(&settings).await.unwrap();
    poll(&mut source).await
}

/// Every file and directory below, with its content or target.
fn content(of: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let what = if kind.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if kind.is_dir() {
            content(&path).join(",")
        } else {
            fs::read_to_string(&path).unwrap()
        };
        all.push(format!("{}={what}", path.display()));
    }
    all.sort();
    all
}

#[tokio::test]
async fn what_is_granted_for_reading_cannot_be_changed_in_any_way() {
    let tree = tree();
    let before = content(tree.granted.parent().unwrap());
    for (what, path, to) in [
        ("truncate", "open.txt", ""),
        ("truncate", "open.txt/", ""),
        ("truncate", "inner.txt", ""),
        ("append", "open.txt", ""),
        ("make", "new", ""),
        ("remove", "open.txt", ""),
        ("remove", "link.txt", ""),
        ("rename", "open.txt", "moved.txt"),
        ("hard-link", "open.txt", "second.txt"),
    ] {
        let said = act(&tree, false, what, path, to).await;
        assert!(said.starts_with("error: "), "{what} {path}: {said}");
    }
    assert_eq!(content(tree.granted.parent().unwrap()), before);
    // The guest can do all of it where it may.
    for (what, path, to) in [
        ("append", "open.txt", ""),
        ("truncate", "open.txt", ""),
        ("make", "new", ""),
        ("hard-link", "open.txt", "second.txt"),
        ("rename", "open.txt", "moved.txt"),
        ("remove", "moved.txt", ""),
    ] {
        assert_eq!(act(&tree, true, what, path, to).await, "done", "{what}");
    }
}

#[tokio::test]
async fn nothing_is_moved_linked_or_changed_across_the_border() {
    let tree = tree();
    // A link to a directory outside, one to itself, and one that goes out and in again.
    std::os::unix::fs::symlink("/", tree.granted.join("top")).unwrap();
    std::os::unix::fs::symlink("turns", tree.granted.join("turns")).unwrap();
    let inside = format!("{}/open.txt", tree.granted.display());
    std::os::unix::fs::symlink(inside, tree.granted.join("absolute.txt")).unwrap();
    let before = content(tree.granted.parent().unwrap());
    for (what, path, to) in [
        ("rename", "open.txt", "../beside/out.txt"),
        ("rename", "open.txt", "way/out.txt"),
        ("rename", "open.txt", "/tmp/out.txt"),
        ("rename", "../beside/secret.txt", "in.txt"),
        ("rename", "way/secret.txt", "in.txt"),
        ("hard-link", "../beside/secret.txt", "in.txt"),
        ("hard-link", "way/secret.txt", "in.txt"),
        ("hard-link", "open.txt", "../beside/out.txt"),
        ("hard-link", "open.txt", "way/out.txt"),
        ("hard-link", "/etc/passwd", "in.txt"),
        ("truncate", "link.txt", ""),
        ("truncate", "link.txt/", ""),
        ("truncate", "way/secret.txt", ""),
        ("append", "link.txt", ""),
        ("append", "way//secret.txt", ""),
        ("remove", "way/secret.txt", ""),
        ("remove", "way/../../beside/secret.txt", ""),
        ("make", "way/new", ""),
        ("make", "../new", ""),
        ("list", "way", ""),
        ("list", "way/", ""),
        ("list", "way/.", ""),
        ("list", "..", ""),
        ("list", "../", ""),
        ("list", "top", ""),
        ("list", "top/", ""),
        ("list", "top/proc/self/fd", ""),
        ("list", "turns", ""),
        ("list", "/proc/self", ""),
        ("list", "/proc/self/root/etc", ""),
        ("list", "/dev/fd", ""),
        ("", "absolute.txt", ""),
        ("", "top/etc/passwd", ""),
        ("", "link.txt/", ""),
        ("", "./way/./secret.txt", ""),
    ] {
        for write in [true, false] {
            let said = act(&tree, write, what, path, to).await;
            assert!(said.starts_with("error: "), "{what} {path} {to}: {said}");
        }
    }
    assert_eq!(content(tree.granted.parent().unwrap()), before);
}

/// A name that has a NUL, no end, or nothing in it is an error like any other.
#[tokio::test]
async fn names_that_are_none_do_no_harm() {
    let tree = tree();
    let long = "n".repeat(100_000);
    let deep = "d/".repeat(50_000);
    for path in ["nul\0byte", &long, &deep, "//", "./../.."] {
        for what in ["", "make", "list", "remove"] {
            let said = act(&tree, true, what, path, "").await;
            assert!(said.starts_with("error: "), "{what} {path:.20}: {said}");
        }
    }
    assert_eq!(fs::read_dir(&tree.secret).unwrap().count(), 1);
}

/// Opening one waits for its other end, on a thread that cannot be called back. The guest is stopped
/// all the same.
#[tokio::test]
async fn a_pipe_planted_in_a_granted_directory_costs_one_call() {
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
    let tree = tree();
    let pipe = tree.granted.join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let limits = Limits {
        call_wall: Duration::from_secs(1),
        ..short()
    };
    for _ in 0..2 {
        let error = try_act(&tree, false, "", "pipe", "", limits.clone())
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Wall { .. }), "{error:?}");
    }
    // Both ends, so that the threads of this test can end too.
    drop(open(&pipe, OFlags::RDWR, Mode::empty()).unwrap());
}
