//! Keeps a second process out of the store's directory.
//!
//! The system releases the lock when the process ends, however it ends; a file that stays behind
//! means nothing. Must never be deleted while held: two processes could then hold "the" lock.

use crate::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Name of the lock file in the store's directory.
const LOCK_FILE: &str = "store.lock";

/// Held as long as the store is open.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    pub(crate) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("cannot create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    directory: directory.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io("cannot lock", &path)(error));
            }
        }
        // Only for the message above, so a failure to write it is none to start.
        let note = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = note {
            tracing::debug!(path = %path.display(), %error, "cannot note the process in the lock file");
        }
        Ok(Self { file })
    }
}

impl Drop for DirectoryLock {
    /// Closing alone would not do: a child process that is just starting has the file open as well,
    /// until it runs its program.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "cannot release the store's lock before the file is closed");
        }
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(_) => text
            .trim()
            .parse::<u32>()
            .map(|process| format!(" by process {process}"))
            .unwrap_or_default(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::DirectoryLock;

    #[test]
    fn is_released_though_a_starting_child_has_the_file_open() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        let child = lock.file.try_clone().unwrap();
        assert!(DirectoryLock::take(directory.path()).is_err());
        drop(lock);
        DirectoryLock::take(directory.path()).unwrap();
        drop(child);
    }
}
