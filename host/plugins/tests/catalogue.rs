//! The catalogue over directories of real plugins, good and bad ones side by side.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code; the lints spare only the test functions themselves"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connect_plugins::{Catalogue, ScanProblem};
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

    let (catalogue, problems) =
        Catalogue::scan(&sandbox(), &[directory.clone(), missing.clone()]).await;
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
        catalogue.path(&digest),
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
    let (catalogue, problems) = Catalogue::scan(&sandbox(), &[keep.path().to_owned()]).await;
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

    let (catalogue, problems) = Catalogue::scan(&sandbox(), &[first.clone(), second.clone()]).await;
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
