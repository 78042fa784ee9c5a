//! The catalogue over directories of real plugins, good and bad ones side by side.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code; the lints spare only the test functions themselves"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use connect_plugins::{Catalogue, Registry, ScanProblem};
use connect_sandbox::{Limits, LoadError, Role, Sandbox, SandboxSettings};

fn guest(name: &str) -> PathBuf {
    let built = std::env::var_os("CONNECT_GUESTS")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../target/guests/wasm32-wasip2/release")
        });
    let path = built.join(format!("{}.wasm", name.replace('-', "_")));
    assert!(
        path.is_file(),
        "fixture guest {} is missing; build the guests with `cargo xtask guests`",
        path.display()
    );
    path
}

fn sandbox() -> Sandbox {
    let defaults = Limits {
        call_cpu: Duration::from_millis(500),
        ..Limits::default()
    };
    let code_cache = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("plugins-code"));
    Sandbox::new(SandboxSettings {
        code_cache,
        defaults,
        ..SandboxSettings::default()
    })
    .unwrap()
}

fn copy(names: &[&str], to: &Path) {
    for name in names {
        fs::copy(guest(name), to.join(format!("{name}.wasm"))).unwrap();
    }
}

/// The same plugin with other bytes: an empty section behind its end.
fn with_other_digest(name: &str, to: &Path) {
    let mut bytes = fs::read(guest(name)).unwrap();
    bytes.extend([0, 2, 1, b'x']);
    fs::write(to, bytes).unwrap();
}

async fn scan(directories: Vec<PathBuf>) -> (Arc<Catalogue>, Vec<ScanProblem>) {
    let registry = Registry::new(sandbox(), directories);
    let problems = registry.reload().await.problems;
    (registry.catalogue(), problems)
}

#[tokio::test]
async fn good_plugins_are_listed_and_bad_files_reported() {
    let keep = tempfile::tempdir().unwrap();
    let directory = keep.path().to_owned();
    copy(
        &["seq-source", "counting-sink", "keep-transform"],
        &directory,
    );
    copy(
        &[
            "not-a-plugin",
            "old-version",
            "two-roles",
            "unknown-import",
            "spin-describe",
        ],
        &directory,
    );
    fs::write(directory.join("text.wasm"), "hello").unwrap();
    fs::write(directory.join("readme.txt"), "no plugin").unwrap();
    let missing = directory.join("missing");

    let (catalogue, problems) = scan(vec![directory.clone(), missing.clone()]).await;
    let listed: Vec<_> = catalogue
        .list()
        .iter()
        .map(|entry| {
            (
                entry.plugin.description().name.clone(),
                entry.plugin.role(),
                entry.path.clone(),
            )
        })
        .collect();
    let expected = [
        ("counting-sink", Role::Sink),
        ("keep-transform", Role::Transform),
        ("seq-source", Role::Source),
    ]
    .map(|(name, role)| {
        (
            name.to_owned(),
            role,
            directory.join(format!("{name}.wasm")),
        )
    });
    assert_eq!(listed, expected);
    let digest = catalogue.list()[0].plugin.digest().to_owned();
    assert_eq!(
        catalogue.by_digest(&digest).map(|entry| &*entry.path),
        Some(directory.join("counting-sink.wasm").as_path())
    );

    assert_eq!(problems.len(), 7, "{problems:#?}");
    for problem in &problems {
        match problem {
            ScanProblem::Directory { path, .. } => assert_eq!(path, &missing),
            ScanProblem::Load { path, source } => {
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let right = match stem {
                    "not-a-plugin" | "two-roles" => {
                        matches!(**source, LoadError::NotAConnector { .. })
                    }
                    "old-version" => matches!(**source, LoadError::Version { .. }),
                    "unknown-import" => matches!(**source, LoadError::Import { .. }),
                    "spin-describe" => matches!(**source, LoadError::Describe { .. }),
                    "text" => matches!(**source, LoadError::NotWasm { .. }),
                    other => panic!("{other} should have been loaded: {source}"),
                };
                assert!(right, "{stem}: {source}");
                assert!(problem.to_string().contains(stem) && source.to_string().contains(stem));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_class_is_resolved_by_name_and_version_or_answered_with_the_nearest() {
    let keep = tempfile::tempdir().unwrap();
    copy(&["seq-source", "counting-sink"], keep.path());
    let (catalogue, problems) = scan(vec![keep.path().to_owned()]).await;
    assert!(problems.is_empty(), "{problems:?}");

    for class in ["seq-source", "seq-source@0.1.0", " seq-source "] {
        assert_eq!(
            catalogue.resolve(class).unwrap().description().name,
            "seq-source",
            "{class}"
        );
    }
    for (class, nearest) in [
        ("seq-sorce", Some("seq-source")),
        ("Counting-Sink", Some("counting-sink")),
        ("seq-source@0.1.1", Some("seq-source@0.1.0")),
        ("kafka", None),
        ("", None),
    ] {
        let error = catalogue.resolve(class).unwrap_err();
        assert_eq!(error.nearest.as_deref(), nearest, "{class}");
        assert!(error.to_string().contains(&format!("`{class}`")), "{error}");
    }
}

#[tokio::test]
async fn the_same_file_twice_is_one_plugin_and_another_one_of_the_same_name_is_reported() {
    let keep = tempfile::tempdir().unwrap();
    let (first, second) = (keep.path().join("first"), keep.path().join("second"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    copy(&["seq-source"], &first);
    copy(&["seq-source"], &second);
    with_other_digest("seq-source", &second.join("another.wasm"));

    let (catalogue, problems) = scan(vec![first.clone(), second.clone()]).await;
    assert_eq!(catalogue.list().len(), 1);
    assert_eq!(catalogue.list()[0].path, first.join("seq-source.wasm"));
    let [
        ScanProblem::Duplicate {
            path,
            kept,
            name,
            version,
        },
    ] = problems.as_slice()
    else {
        panic!("{problems:?}")
    };
    assert_eq!(path, &second.join("another.wasm"));
    assert_eq!(kept, &first.join("seq-source.wasm"));
    assert_eq!((name.as_str(), version.as_str()), ("seq-source", "0.1.0"));
}

/// What a reload must not do to a worker: lose a plugin for a file that is broken or being written,
/// load one again that has only moved, or forget what is in use.
#[tokio::test]
async fn a_reload_takes_what_changed_and_keeps_the_last_good_plugin_of_a_file() {
    let keep = tempfile::tempdir().unwrap();
    let file = keep.path().join("source.wasm");
    let registry = Registry::new(sandbox(), vec![keep.path().to_owned()]);
    assert!(registry.reload().await.added.is_empty());
    fs::copy(guest("seq-source"), &file).unwrap();
    let first = registry.reload().await;
    assert_eq!((first.added.len(), first.removed.len()), (1, 0));
    let digest = first.added[0].digest().to_owned();
    let since = registry.catalogue().by_digest(&digest).unwrap().since;
    let again = registry.reload().await;
    assert_eq!((again.added.len(), again.removed.len()), (0, 0));

    fs::rename(&file, keep.path().join("moved.wasm")).unwrap();
    let moved = registry.reload().await;
    assert_eq!((moved.added.len(), moved.removed.len()), (0, 0));
    let catalogue = registry.catalogue();
    assert_eq!(catalogue.by_digest(&digest).unwrap().since, since);
    assert!(
        catalogue
            .by_digest(&digest)
            .unwrap()
            .path
            .ends_with("moved.wasm")
    );

    let file = keep.path().join("moved.wasm");
    for round in 0..2 {
        fs::write(&file, "broken").unwrap();
        let broken = registry.reload().await;
        assert_eq!(broken.problems.len(), 1, "round {round}");
        assert_eq!((broken.added.len(), broken.removed.len()), (0, 0));
        assert!(registry.catalogue().resolve("seq-source").is_ok());
    }
    with_other_digest("seq-source", &file);
    let replaced = registry.reload().await;
    assert_eq!((replaced.added.len(), replaced.removed.len()), (1, 1));
    fs::remove_file(&file).unwrap();
    assert_eq!(registry.reload().await.removed.len(), 1);
    assert!(registry.catalogue().list().is_empty());
    // who holds the old catalogue goes on with it
    assert!(catalogue.resolve("seq-source").is_ok());
}

#[tokio::test]
async fn plugins_are_deposited_once_and_withdrawn() {
    let keep = tempfile::tempdir().unwrap();
    let registry = Registry::new(sandbox(), vec![keep.path().to_owned()]);
    let bytes = fs::read(guest("seq-source")).unwrap();
    let plugin = registry.deposit(bytes.clone()).await.unwrap();
    registry.reload().await;
    let same = registry.deposit(bytes.clone()).await.unwrap();
    assert_eq!(same.digest(), plugin.digest());
    let other = [bytes, vec![0, 2, 1, b'x']].concat();
    let taken = registry.deposit(other).await.unwrap_err();
    assert!(taken.to_string().contains("another version"), "{taken}");
    registry.deposit(b"nonsense".to_vec()).await.unwrap_err();
    let version = plugin.description().version.clone();
    registry.withdraw("seq-source", "9.9.9").await.unwrap_err();
    registry.withdraw("seq-source", &version).await.unwrap();
    registry.reload().await;
    assert!(registry.catalogue().list().is_empty());
    assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 0);
}
