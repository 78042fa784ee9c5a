//! What is left when the power goes: only what was synced. And what a failing disk does.

use super::basics::{connector, offset};
use crate::{Inspection, Store, StoreError, format, lock, secrets};
use redb::StorageBackend;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A disk that remembers what was synced, can be told to fail, and counts.
#[derive(Debug, Default, Clone)]
struct Disk(Arc<DiskState>);

#[derive(Debug, Default)]
struct DiskState {
    written: Mutex<Vec<u8>>,
    synced: Mutex<Vec<u8>>,
    full: AtomicBool,
    syncs: AtomicU32,
}

impl Disk {
    fn usable(&self) -> io::Result<()> {
        match self.0.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    /// Puts what was synced into a directory, as if the machine had been switched off now.
    fn switch_off(&self, directory: &Path) {
        let bytes = self.0.synced.lock().unwrap().clone();
        std::fs::write(directory.join(format::FILE_NAME), bytes).unwrap();
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.written.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.0.written.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.usable()?;
        self.0.written.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.usable()?;
        self.0.syncs.fetch_add(1, Ordering::Relaxed);
        *self.0.synced.lock().unwrap() = self.0.written.lock().unwrap().clone();
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.usable()?;
        let mut written = self.0.written.lock().unwrap();
        let start = offset as usize;
        if written.len() < start + data.len() {
            written.resize(start + data.len(), 0);
        }
        written[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn store_on(disk: &Disk, directory: &Path) -> Store {
    let database = redb::Database::builder()
        .create_with_backend(disk.clone())
        .unwrap();
    format::initialise(&database).unwrap();
    Store::start(
        directory.join(format::FILE_NAME),
        database,
        secrets::Secrets::new(directory),
        lock::DirectoryLock::take(directory).unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn what_was_answered_survives_the_power() {
    let directory = tempfile::tempdir().unwrap();
    let after = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let store = store_on(&disk, directory.path());
    for number in 1..60_u64 {
        let points = [("p".to_owned(), number.to_string().into())];
        store.commit_positions("c", &points, &[]).await.unwrap();
        store
            .commit_offsets("c", &[offset("t", 0, number)])
            .await
            .unwrap();
        disk.switch_off(after.path());
        let left = Inspection::open(after.path()).unwrap();
        assert_eq!(left.offsets("c").unwrap(), [offset("t", 0, number)]);
        assert_eq!(left.positions("c").unwrap()[0].text(), number.to_string());
    }
}

#[tokio::test]
async fn callers_share_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let store = store_on(&disk, directory.path());
    let before = disk.0.syncs.load(Ordering::Relaxed);
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..500 {
        let store = store.clone();
        callers.spawn(async move {
            let rows = [offset("t", number, 1)];
            store.commit_offsets("c", &rows).await.unwrap();
        });
    }
    callers.join_all().await;
    let syncs = disk.0.syncs.load(Ordering::Relaxed) - before;
    assert!(syncs < 100, "500 commits took {syncs} syncs");
    assert_eq!(store.offsets("c").unwrap().len(), 500);
}

#[tokio::test]
async fn after_a_failed_write_every_call_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let after = tempfile::tempdir().unwrap();
    let disk = Disk::default();
    let store = store_on(&disk, directory.path());
    store.put_connector(connector("one")).await.unwrap();
    store
        .commit_offsets("one", &[offset("t", 0, 1)])
        .await
        .unwrap();
    disk.0.full.store(true, Ordering::Relaxed);
    let error = store
        .commit_offsets("one", &[offset("t", 0, 2)])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    let first = error.to_string();
    assert!(first.contains("restart the worker"), "{first}");
    // Also once the disk has room again: nobody knows what the failed commit left behind.
    disk.0.full.store(false, Ordering::Relaxed);
    for error in [
        store.put_connector(connector("two")).await.unwrap_err(),
        store.commit_offsets("one", &[]).await.unwrap_err(),
        store.delete_connector("one", true).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), first);
    }
    drop(store);
    disk.switch_off(after.path());
    let left = Inspection::open(after.path()).unwrap();
    assert_eq!(left.offsets("one").unwrap(), [offset("t", 0, 1)]);
    assert_eq!(left.connectors().unwrap().len(), 1);
}
