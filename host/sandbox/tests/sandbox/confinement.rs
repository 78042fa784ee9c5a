//! What a guest can reach: nothing, and then exactly the directory that was granted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect_sandbox::{CallError, Grant, Grants, TaskScope};

use crate::fixtures::{Stored, plugin, poll, scope, settings, short, source, values};

/// A directory to grant with a file, a directory beside it with a secret, and links between them.
pub(crate) struct Tree {
    _keep: tempfile::TempDir,
    pub(crate) granted: PathBuf,
    pub(crate) secret: PathBuf,
}

pub(crate) fn tree() -> Tree {
    let keep = tempfile::tempdir().unwrap();
    let root = keep.path().canonicalize().unwrap();
    let (granted, secret) = (root.join("granted"), root.join("beside"));
    fs::create_dir(&granted).unwrap();
    fs::create_dir(&secret).unwrap();
    fs::write(granted.join("open.txt"), "public").unwrap();
    fs::write(secret.join("secret.txt"), "SECRET").unwrap();
    symlink(secret.join("secret.txt"), granted.join("link.txt")).unwrap();
    symlink("../beside", granted.join("way")).unwrap();
    symlink("open.txt", granted.join("inner.txt")).unwrap();
    Tree {
        _keep: keep,
        granted,
        secret,
    }
}

/// What the guest says of touching `path` with access to `directory`.
async fn touch(directory: Option<&Path>, write: bool, path: &Path) -> String {
    let plugin = plugin("needs-dir").await;
    let write_text = write.to_string();
    let mut given = vec![
        ("path", path.to_str().unwrap()),
        ("write", write_text.as_str()),
    ];
    given.extend(directory.map(|directory| ("directory", directory.to_str().unwrap())));
    let settings = settings(&plugin, &given);
    let needs = plugin.needs(&settings).await.unwrap();
    let directories: Vec<PathBuf> = directory.map(Path::to_owned).into_iter().collect();
    let mut grant = Grant {
        plugin: "needs-dir".into(),
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
        ..scope(short())
    };
    let mut source = plugin
        .source(scope, Arc::new(Stored::default()))
        .await
        .unwrap();
    source.open(&settings).await.unwrap();
    values(&poll(&mut source).await.unwrap()).remove(0)
}

#[tokio::test]
async fn a_granted_directory_can_be_read_and_written_as_granted() {
    let tree = tree();
    let granted = Some(tree.granted.as_path());
    assert_eq!(
        touch(granted, false, &tree.granted.join("open.txt")).await,
        "read: public"
    );
    assert_eq!(
        touch(granted, false, &tree.granted.join("inner.txt")).await,
        "read: public"
    );
    assert_eq!(
        touch(granted, true, &tree.granted.join("new.txt")).await,
        "wrote"
    );
    assert_eq!(
        fs::read_to_string(tree.granted.join("new.txt")).unwrap(),
        "written by a guest\n"
    );
}

#[tokio::test]
async fn no_path_leads_out_of_it() {
    let tree = tree();
    let paths = [
        tree.secret.join("secret.txt"),
        tree.granted.join("link.txt"),
        tree.granted.join("way/secret.txt"),
        tree.granted.join("../beside/secret.txt"),
        tree.granted.join("way/../beside/secret.txt"),
        PathBuf::from("/etc/passwd"),
        PathBuf::from("../etc/passwd"),
        PathBuf::from("/proc/self/environ"),
        PathBuf::from("Cargo.toml"),
    ];
    for path in &paths {
        for write in [false, true] {
            let said = touch(Some(&tree.granted), write, path).await;
            assert!(
                said.starts_with("error: "),
                "{} with write {write}: {said}",
                path.display()
            );
        }
    }
    assert_eq!(
        fs::read_to_string(tree.secret.join("secret.txt")).unwrap(),
        "SECRET"
    );
    assert_eq!(fs::read_dir(&tree.secret).unwrap().count(), 1);
}

#[tokio::test]
async fn without_a_grant_there_is_nothing() {
    let tree = tree();
    for path in [
        tree.granted.join("open.txt"),
        PathBuf::from("/"),
        PathBuf::from("."),
        PathBuf::from("Cargo.toml"),
    ] {
        let said = touch(None, false, &path).await;
        assert!(said.starts_with("error: "), "{}: {said}", path.display());
    }
}

#[tokio::test]
async fn reading_does_not_let_write() {
    let tree = tree();
    let plugin = plugin("needs-dir").await;
    let file = tree.granted.join("open.txt");
    // Asks for reading, is given reading, and writes all the same.
    let asked = settings(
        &plugin,
        &[("path", "x"), ("directory", tree.granted.to_str().unwrap())],
    );
    let needs = plugin.needs(&asked).await.unwrap();
    let grant = Grant {
        plugin: "*".into(),
        read_directory: vec![tree.granted.clone()],
        ..Grant::default()
    };
    let access = Grants::from(vec![grant])
        .allow("needs-dir", &needs)
        .unwrap();
    let scope = TaskScope {
        access,
        ..scope(short())
    };
    let mut source = plugin
        .source(scope, Arc::new(Stored::default()))
        .await
        .unwrap();
    source
        .open(&settings(
            &plugin,
            &[("path", file.to_str().unwrap()), ("write", "true")],
        ))
        .await
        .unwrap();
    let said = values(&poll(&mut source).await.unwrap()).remove(0);
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(fs::read_to_string(file).unwrap(), "public");
}

#[tokio::test]
async fn a_directory_that_became_a_link_since_it_was_granted_is_not_followed() {
    let tree = tree();
    let plugin = plugin("needs-dir").await;
    let asked = settings(
        &plugin,
        &[("path", "x"), ("directory", tree.granted.to_str().unwrap())],
    );
    let needs = plugin.needs(&asked).await.unwrap();
    let grant = Grant {
        plugin: "*".into(),
        read_directory: vec![tree.granted.clone()],
        ..Grant::default()
    };
    let access = Grants::from(vec![grant])
        .allow("needs-dir", &needs)
        .unwrap();
    fs::remove_dir_all(&tree.granted).unwrap();
    symlink(&tree.secret, &tree.granted).unwrap();
    let scope = TaskScope {
        access,
        ..scope(short())
    };
    let error = plugin
        .source(scope, Arc::new(Stored::default()))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Host { .. }), "{error:?}");
}

#[tokio::test]
async fn a_guest_that_looks_around_sees_nothing() {
    let mut source = source("probe-source", &[]).await;
    let seen = values(&poll(&mut source).await.unwrap());
    assert!(seen.len() >= 8, "{seen:?}");
    for thing in &seen {
        let (name, what) = thing.split_once('=').unwrap();
        assert!(what == "0" || what.starts_with("error: "), "{name}: {what}");
    }
}
