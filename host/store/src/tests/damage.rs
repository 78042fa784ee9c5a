//! A store file that is not what the worker left: named, refused, untouched.

use super::basics::{connector, offset};
use crate::{Inspection, Store, StoreError};
use std::path::Path;

/// A store with enough rows for trees of several pages; returns its file's bytes.
async fn filled(directory: &Path) -> Vec<u8> {
    let store = Store::open(directory).unwrap();
    for number in 0..40 {
        let name = format!("connector-{number}");
        store.put_connector(connector(&name)).await.unwrap();
        let points: Vec<_> = (0..20)
            .map(|part| {
                (
                    format!("partition-{part}"),
                    format!("{number}-{part}").into(),
                )
            })
            .collect();
        store.commit_positions(&name, &points, &[]).await.unwrap();
        store
            .commit_offsets(&name, &[offset("t", 0, number)])
            .await
            .unwrap();
    }
    drop(store);
    std::fs::read(directory.join("store.redb")).unwrap()
}

/// Everything readable, to compare what two files mean.
fn meaning(directory: &Path) -> Result<serde_json::Value, StoreError> {
    Inspection::open(directory)?.dump()
}

fn refused(directory: &Path, bytes: &[u8], what: &str) {
    let file = directory.join("store.redb");
    std::fs::write(&file, bytes).unwrap();
    for error in [
        Store::open(directory).unwrap_err(),
        Inspection::open(directory).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            matches!(error, StoreError::Corrupted { .. }),
            "{what}: {text}"
        );
        assert!(
            text.contains("store.redb") && text.contains("backup"),
            "{text}"
        );
    }
    assert!(
        std::fs::read(&file).unwrap() == bytes,
        "{what}: the file was changed"
    );
}

#[tokio::test]
async fn files_of_other_kinds_are_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let good = filled(directory.path()).await;
    refused(directory.path(), b"", "zero length");
    refused(directory.path(), b"hello\n", "a text");
    refused(directory.path(), &vec![0; good.len()], "zeroes");
    let mut noise = vec![0; good.len()];
    getrandom::fill(&mut noise).unwrap();
    refused(directory.path(), &noise, "noise");

    // A database of the same library that someone else wrote.
    let foreign = tempfile::tempdir().unwrap();
    let path = foreign.path().join("store.redb");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    const OTHER: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("meta");
    transaction.open_table(OTHER).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    refused(directory.path(), &std::fs::read(&path).unwrap(), "foreign");
}

#[tokio::test]
async fn truncated_files_are_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let good = filled(directory.path()).await;
    let mut cut = 1;
    while cut < good.len() {
        refused(directory.path(), &good[..cut], &format!("cut at {cut}"));
        cut += 1 + cut / 3;
    }
    refused(directory.path(), &good[..good.len() - 1], "one byte short");
}

#[tokio::test]
async fn flipped_bytes_are_refused_or_mean_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let good = filled(directory.path()).await;
    let file = directory.path().join("store.redb");
    let truth = meaning(directory.path()).unwrap();
    // Every byte of the header, then a byte here and there in every page.
    let spots = (0..320).chain((320..good.len()).step_by(509));
    let (mut refused, mut harmless) = (0, 0);
    for spot in spots {
        let mut bytes = good.clone();
        bytes[spot] ^= 1 << (spot % 8);
        std::fs::write(&file, &bytes).unwrap();
        match Store::open(directory.path()) {
            Ok(store) => {
                drop(store);
                assert_eq!(meaning(directory.path()).unwrap(), truth, "byte {spot}");
                harmless += 1;
            }
            Err(StoreError::Corrupted { .. }) => {
                assert!(
                    std::fs::read(&file).unwrap() == bytes,
                    "byte {spot}: changed"
                );
                refused += 1;
            }
            Err(error) => panic!("byte {spot}: {error}"),
        }
    }
    assert!(refused > 100, "{refused} refused, {harmless} harmless");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let file = directory.path().join("store.redb");
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    crate::tables::set_meta(&transaction, "format", "2").unwrap();
    crate::tables::set_meta(&transaction, "created-by", "rocketmq-connect 9.9").unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = std::fs::read(&file).unwrap();
    for error in [
        Store::open(directory.path()).unwrap_err(),
        Inspection::open(directory.path()).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, StoreError::NewerFormat { .. }), "{text}");
        assert!(text.contains("format 2") && text.contains("9.9"), "{text}");
    }
    assert!(std::fs::read(&file).unwrap() == before);
}

#[tokio::test]
async fn rows_nobody_could_have_written_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let file = directory.path().join("store.redb");
    let database = redb::Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    crate::tables::put_connector(&transaction, "connector-7", b"{\"created\":1}").unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("connector-7"), "{error}");
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("store.redb.new"), b"half").unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.put_connector(connector("one")).await.unwrap();
    drop(store);
    assert!(!directory.path().join("store.redb.new").exists());
    assert_eq!(
        Store::open(directory.path())
            .unwrap()
            .connectors()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("below")).unwrap_err();
    assert!(error.to_string().contains("file/below"), "{error}");
}
