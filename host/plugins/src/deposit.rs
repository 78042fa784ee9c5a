//! Writing and removing plugin files: whole or not at all, and under no name that leads elsewhere.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::DepositError;

/// Longest file name that is made of a plugin's name and version.
const LONGEST: usize = 200;

/// The file of a plugin. Names and versions are the plugin's own words, so nothing but letters,
/// digits, `.`, `-`, `_` and `+` may be in them, and no `.` at the front.
pub(crate) fn path(directory: &Path, name: &str, version: &str) -> Result<PathBuf, DepositError> {
    let file = format!("{name}-{version}.wasm");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    if file.len() > LONGEST || file.starts_with('.') || !file.chars().all(plain) {
        return Err(DepositError::Name { file });
    }
    Ok(directory.join(file))
}

/// Writes a file in one step: it is there whole, on disk, or not at all. One that is there already
/// stays.
pub(crate) async fn write(path: PathBuf, bytes: Vec<u8>) -> Result<(), DepositError> {
    let written = {
        let path = path.clone();
        off_thread(move || write_now(&path, &bytes)).await
    };
    written.map_err(|source| DepositError::Disk {
        step: "written",
        path,
        source,
    })
}

fn write_now(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".upload-")
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

/// Removes a file.
pub(crate) async fn remove(path: PathBuf) -> Result<(), DepositError> {
    let removed = {
        let path = path.clone();
        off_thread(move || fs::remove_file(path)).await
    };
    removed.map_err(|source| DepositError::Disk {
        step: "removed",
        path,
        source,
    })
}

async fn off_thread(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_s_words_cannot_lead_out_of_the_directory() {
        let directory = Path::new("plugins");
        assert_eq!(
            path(directory, "file-source", "1.0.0+a").unwrap(),
            Path::new("plugins/file-source-1.0.0+a.wasm")
        );
        for (name, version) in [
            ("../x", "1"),
            ("a/b", "1"),
            ("a", "1/../../b"),
            (".hidden", "1"),
            ("a\0", "1"),
            ("é", "1"),
        ] {
            assert!(path(directory, name, version).is_err(), "{name} {version}");
        }
        assert!(path(directory, &"n".repeat(LONGEST), "1").is_err());
    }

    #[tokio::test]
    async fn what_is_there_is_not_written_over() {
        let keep = tempfile::tempdir().unwrap();
        let file = keep.path().join("a.wasm");
        write(file.clone(), b"one".to_vec()).await.unwrap();
        write(file.clone(), b"two".to_vec()).await.unwrap_err();
        assert_eq!(fs::read(&file).unwrap(), b"one");
        assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 1);
        remove(file.clone()).await.unwrap();
        remove(file).await.unwrap_err();
    }
}
