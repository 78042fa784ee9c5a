//! Hearing that plugin files have changed. Says only that something changed and has come to rest;
//! what it was is the reload's business, so that nothing depends on how a file was written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;

/// So long without another change, and the files have come to rest.
const QUIET: Duration = Duration::from_millis(200);
/// A directory in which something changes all the time is looked at this often all the same.
const LONGEST: Duration = Duration::from_secs(2);

/// A directory cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("plugin directory `{}` cannot be watched", .path.display())]
pub struct WatchError {
    path: PathBuf,
    #[source]
    source: notify::Error,
}

/// Watches plugin directories until it is dropped.
#[derive(Debug)]
pub struct Watch {
    changed: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch. A change from here on is not missed.
    ///
    /// # Errors
    /// A directory is not there, or the system has no more watches to give.
    pub fn begin(directories: &[PathBuf]) -> Result<Self, WatchError> {
        let changed = Arc::new(Notify::new());
        let bell = Arc::clone(&changed);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WatchError { path, source }
        };
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // an error means that events were lost: then all files are looked at
            if event.map_or(true, |event| matters(&event)) {
                bell.notify_one();
            }
        });
        let first = directories.first().map_or(Path::new(""), PathBuf::as_path);
        let mut watcher = watcher.map_err(failed(first))?;
        for directory in directories {
            let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
            watched.map_err(failed(directory))?;
        }
        Ok(Self {
            changed,
            _watcher: watcher,
        })
    }

    /// Waits for a change, then until nothing has changed for 200 ms, but no longer than 2 s.
    pub async fn settled(&self) {
        self.changed.notified().await;
        let end = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(end);
            tokio::select! {
                () = tokio::time::sleep_until(quiet) => return,
                () = self.changed.notified() => {}
            }
        }
    }
}

/// Whether an event may change what is there: not when a file was only read, as a reload does.
fn matters(event: &Event) -> bool {
    let wasm = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    };
    !event.kind.is_access() && (event.need_rescan() || event.paths.iter().any(wasm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn changes_of_plugin_files_are_heard_once_and_reading_is_none() {
        let keep = tempfile::tempdir().unwrap();
        let watch = Watch::begin(&[keep.path().to_owned()]).unwrap();
        let file = keep.path().join("a.wasm");
        for part in 1..5 {
            fs::write(&file, vec![0; part]).unwrap();
        }
        tokio::time::timeout(SOON, watch.settled()).await.unwrap();
        fs::read(&file).unwrap();
        fs::write(keep.path().join("notes.txt"), "x").unwrap();
        let more = tokio::time::timeout(LONGEST, watch.settled()).await;
        assert!(more.is_err(), "nothing had changed");
        fs::rename(&file, keep.path().join("b.wasm")).unwrap();
        tokio::time::timeout(SOON, watch.settled()).await.unwrap();
        fs::remove_file(keep.path().join("b.wasm")).unwrap();
        tokio::time::timeout(SOON, watch.settled()).await.unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_an_error_that_names_it() {
        let error = Watch::begin(&["no/such/place".into()]).unwrap_err();
        assert!(error.to_string().contains("no/such/place"), "{error}");
    }
}
