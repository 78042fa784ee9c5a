//! The ordinary life of a store: write, read, reopen, delete, inspect, share, refuse.

use crate::{Inspection, SECRET_MARK, Store, StoreError, StoredConnector, StoredOffset, Target};
use std::path::Path;

pub(super) fn connector(name: &str) -> StoredConnector {
    StoredConnector {
        name: name.to_owned(),
        config: [
            ("filename".to_owned(), "a.txt".to_owned()),
            ("password".to_owned(), "hunter2-in-clear".to_owned()),
        ]
        .into(),
        secret_keys: ["password".to_owned(), "token".to_owned()].into(),
        target: Target::Running,
        created: 1_700_000_000_123,
    }
}

pub(super) fn offset(topic: &str, id: i32, next: u64) -> StoredOffset {
    StoredOffset {
        topic: topic.to_owned(),
        broker: "broker-a".to_owned(),
        id,
        next,
    }
}

fn contains(directory: &Path, needle: &str) -> Vec<String> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let bytes = std::fs::read(path).unwrap();
            bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        })
        .map(|path| path.display().to_string())
        .collect()
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put_connector(connector("one")).await.unwrap();
    store.put_connector(connector("two")).await.unwrap();
    assert!(store.set_target("two", Target::Paused).await.unwrap());
    assert!(!store.set_target("three", Target::Paused).await.unwrap());
    let points = [
        ("a.txt".to_owned(), "17".into()),
        ("b.txt".to_owned(), (&[0_u8, 255][..]).into()),
    ];
    store.commit_positions("one", &points, &[]).await.unwrap();
    let forget = ["b.txt".to_owned()];
    store.commit_positions("one", &[], &forget).await.unwrap();
    let offsets = [
        offset("t", 1, 5),
        offset("t", 0, u64::MAX),
        offset("s", -1, 0),
    ];
    store.commit_offsets("two", &offsets).await.unwrap();
    drop(store);

    let store = Store::open(directory.path()).unwrap();
    let mut paused = connector("two");
    paused.target = Target::Paused;
    assert_eq!(store.connectors().unwrap(), [connector("one"), paused]);
    assert_eq!(
        store.positions("one").unwrap(),
        [("a.txt".to_owned(), "17".into())]
    );
    assert_eq!(store.positions("two").unwrap(), []);
    assert_eq!(
        store.offsets("two").unwrap(),
        [
            offset("s", -1, 0),
            offset("t", 0, u64::MAX),
            offset("t", 1, 5)
        ]
    );
}

#[tokio::test]
async fn deleting_keeps_progress_unless_purged() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    // Neighbours whose names could be mistaken for one another by a careless range.
    for name in ["a", "a\0b", "ab", "a ", ""] {
        store.put_connector(connector(name)).await.unwrap();
        let points = [(String::new(), "1".into()), ("p".to_owned(), "2".into())];
        store.commit_positions(name, &points, &[]).await.unwrap();
        let offsets = [offset("", i32::MIN, 1), offset("t", i32::MAX, 2)];
        store.commit_offsets(name, &offsets).await.unwrap();
    }
    assert!(store.delete_connector("a", false).await.unwrap());
    assert!(!store.delete_connector("a", false).await.unwrap());
    assert_eq!(store.positions("a").unwrap().len(), 2);
    assert!(!store.delete_connector("a", true).await.unwrap());
    assert_eq!(store.positions("a").unwrap(), []);
    assert_eq!(store.offsets("a").unwrap(), []);
    for name in ["a\0b", "ab", "a ", ""] {
        assert_eq!(store.positions(name).unwrap().len(), 2, "{name:?}");
        assert_eq!(store.offsets(name).unwrap().len(), 2, "{name:?}");
    }
}

#[tokio::test]
async fn no_secret_is_on_disk_or_in_any_text() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(!directory.path().join("secret.key").exists());
    store.put_connector(connector("one")).await.unwrap();
    let debug = format!("{:?} {store:?}", store.connectors().unwrap());
    assert!(debug.contains(SECRET_MARK) && debug.contains("a.txt"));
    assert!(!debug.contains("hunter2"));

    let inspection = Inspection::open(directory.path()).unwrap();
    let shown = &inspection.connectors().unwrap()[0];
    assert_eq!(shown.config["password"], SECRET_MARK);
    assert_eq!(shown.config["filename"], "a.txt");
    assert!(!shown.config.contains_key("token"));
    assert!(!inspection.dump().unwrap().to_string().contains("hunter2"));
    drop(store);
    assert_eq!(contains(directory.path(), "hunter2"), Vec::<String>::new());
    // The search itself works.
    assert_eq!(contains(directory.path(), "a.txt").len(), 1);
}

#[tokio::test]
async fn a_missing_or_foreign_key_is_refused_and_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("secret.key");
    let aside = directory.path().join("aside");
    let store = Store::open(directory.path()).unwrap();
    store.put_connector(connector("one")).await.unwrap();
    drop(store);

    std::fs::rename(&key, &aside).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::KeyMissing { .. }), "{error}");
    assert!(!key.exists(), "a new key would have hidden the loss");

    let other = tempfile::tempdir().unwrap();
    let store = Store::open(other.path()).unwrap();
    store.put_connector(connector("one")).await.unwrap();
    drop(store);
    std::fs::copy(other.path().join("secret.key"), &key).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::KeyWrong { .. }), "{error}");

    std::fs::rename(&aside, &key).unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.connectors().unwrap(), [connector("one")]);
    // Without secrets nobody needs the key.
    store.delete_connector("one", true).await.unwrap();
    drop(store);
    std::fs::remove_file(&key).unwrap();
    Store::open(directory.path()).unwrap();
}

#[tokio::test]
async fn one_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::InUse { .. }), "{text}");
    assert!(
        text.contains(&directory.path().display().to_string()),
        "{text}"
    );
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    let clone = store.clone();
    drop(store);
    assert!(Store::open(directory.path()).is_err());
    drop(clone);
    Store::open(directory.path()).unwrap();
}

#[tokio::test]
async fn too_large_is_refused_and_the_store_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let large = "x".repeat(16 * 1024 * 1024 + 1);
    let points = [("p".to_owned(), large.clone().into())];
    let error = store.commit_positions("c", &points, &[]).await.unwrap_err();
    assert!(error.to_string().contains("16777217"), "{error}");
    let mut wide = connector("c");
    wide.config.insert("k".to_owned(), large);
    assert!(store.put_connector(wide).await.is_err());
    store.put_connector(connector("c")).await.unwrap();
}

#[tokio::test]
async fn inspection_beside_a_busy_worker_sees_whole_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put_connector(connector("one")).await.unwrap();
    let writing = tokio::spawn(async move {
        for number in 0..400_u32 {
            let text = number.to_string();
            let points: Vec<_> = (0..50)
                .map(|partition| (format!("p{partition}"), text.clone().into()))
                .collect();
            store.commit_positions("one", &points, &[]).await.unwrap();
        }
    });
    let path = directory.path().to_owned();
    let seen = tokio::task::spawn_blocking(move || {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            // Under this load a copy may fail to come out whole; it must never come out wrong.
            let positions = match Inspection::open(&path) {
                Ok(inspection) => inspection.positions("one").unwrap(),
                Err(StoreError::Busy { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            let distinct: std::collections::BTreeSet<_> =
                positions.into_iter().map(|row| row.position).collect();
            assert!(distinct.len() <= 1, "half a commit: {distinct:?}");
            seen.extend(distinct);
        }
        seen.len()
    })
    .await
    .unwrap();
    writing.await.unwrap();
    assert!(seen > 1, "the worker was never seen at work ({seen})");
}

#[test]
fn inspecting_nothing_says_so_and_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let error = Inspection::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_dump_shows_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put_connector(connector("one")).await.unwrap();
    let points = [
        ("a".to_owned(), r#"{"offset":17}"#.into()),
        ("b".to_owned(), (&[0_u8, 255][..]).into()),
    ];
    store.commit_positions("one", &points, &[]).await.unwrap();
    store
        .commit_offsets("gone", &[offset("t", 3, 9)])
        .await
        .unwrap();
    let dump = Inspection::open(directory.path()).unwrap().dump().unwrap();
    assert_eq!(dump["format"], 1);
    assert_eq!(dump["connectors"][0]["target"], "running");
    assert_eq!(dump["positions"]["one"][0]["position"], r#"{"offset":17}"#);
    assert_eq!(dump["positions"]["one"][1]["position-base64"], "AP8=");
    assert_eq!(
        dump["offsets"]["gone"][0],
        serde_json::json!({"topic": "t", "broker": "broker-a", "id": 3, "next": 9})
    );
}
