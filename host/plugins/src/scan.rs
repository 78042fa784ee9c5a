//! Finding and reading plugin files. A file that cannot be used is a problem to report, never a
//! reason to stop: the others are read all the same.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use connect_sandbox::LoadError;
use tokio::io::AsyncReadExt as _;

/// Something in a plugin directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanProblem {
    /// A directory cannot be read.
    #[error("plugin directory `{}` cannot be read", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("plugin file `{}` cannot be read", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file changed while it was read.
    #[error("plugin file `{}` is being written; it is looked at again when it is whole", .path.display())]
    Unsettled {
        /// The file.
        path: PathBuf,
    },
    /// A file is no plugin that can be used here.
    #[error("plugin file `{}` is left out", .path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<LoadError>,
    },
    /// Two different files are the same version of the same plugin.
    #[error(
        "plugin file `{}` is left out: `{}` has another `{name}@{version}` already; give one of them another version",
        .path.display(),
        .kept.display()
    )]
    Duplicate {
        /// The file that is left out.
        path: PathBuf,
        /// The file that is used.
        kept: PathBuf,
        /// The plugin's name.
        name: String,
        /// The plugin's version.
        version: String,
    },
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            bytes: file.len(),
            inode: file.ino(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// A plugin file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
}

/// The `*.wasm` files of `directories`, in order of their names, so that every start finds the same.
pub(crate) async fn find(directories: &[PathBuf]) -> (Vec<Found>, Vec<ScanProblem>) {
    let directories = directories.to_vec();
    let listed = tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        (files(&directories, &mut problems), problems)
    });
    listed.await.unwrap_or_default()
}

fn files(directories: &[PathBuf], problems: &mut Vec<ScanProblem>) -> Vec<Found> {
    let mut files = Vec::new();
    for directory in directories {
        match wasm_files(directory) {
            Ok(mut found) => {
                found.sort_by(|a, b| a.path.cmp(&b.path));
                files.append(&mut found);
            }
            Err(source) => problems.push(ScanProblem::Directory {
                path: directory.clone(),
                source,
            }),
        }
    }
    files
}

fn wasm_files(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let wasm = path
            .extension()
            .is_some_and(|extension| extension == "wasm");
        // gone since it was listed, or a link to nothing: not there
        if wasm
            && let Ok(file) = path.metadata()
            && file.is_file()
        {
            let stamp = Stamp::of(&file);
            found.push(Found { path, stamp });
        }
    }
    Ok(found)
}

/// Reads one file. One over the limit is not read, one that changes meanwhile is not believed.
pub(crate) async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ScanProblem> {
    let unread = |source| ScanProblem::File {
        path: path.to_owned(),
        source,
    };
    let mut file = tokio::fs::File::open(path).await.map_err(unread)?;
    let before = file.metadata().await.map_err(unread)?;
    if before.len() > limit {
        return Err(ScanProblem::Load {
            path: path.to_owned(),
            source: Box::new(LoadError::TooLarge {
                file: path.to_string_lossy().into(),
                bytes: before.len(),
                limit,
            }),
        });
    }
    let mut content = Vec::new();
    // It may grow while it is read; one byte more than the limit is enough for it to be refused.
    (&mut file)
        .take(limit + 1)
        .read_to_end(&mut content)
        .await
        .map_err(unread)?;
    let after = file.metadata().await.map_err(unread)?;
    if Stamp::of(&before) != Stamp::of(&after) || content.len() as u64 != after.len() {
        return Err(ScanProblem::Unsettled {
            path: path.to_owned(),
        });
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_wasm_files_are_looked_at_in_order_and_a_missing_directory_is_a_problem() {
        let keep = tempfile::tempdir().unwrap();
        for name in ["b.wasm", "a.wasm", "c.txt", "d.wasm.bak", ".wasm"] {
            fs::write(keep.path().join(name), "").unwrap();
        }
        fs::create_dir(keep.path().join("e.wasm")).unwrap();
        let mut problems = Vec::new();
        let found = files(
            &[keep.path().join("missing"), keep.path().to_owned()],
            &mut problems,
        );
        let found: Vec<PathBuf> = found.into_iter().map(|found| found.path).collect();
        assert_eq!(
            found,
            [keep.path().join("a.wasm"), keep.path().join("b.wasm")]
        );
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].to_string().contains("missing"),
            "{}",
            problems[0]
        );
    }

    #[tokio::test]
    async fn a_file_over_the_limit_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let Err(ScanProblem::Load { source: error, .. }) = read(file.path(), 1 << 20).await else {
            panic!("read it")
        };
        assert!(error.to_string().contains("1099511627776 bytes"), "{error}");
        file.as_file().set_len(1 << 20).unwrap();
        assert!(
            read(file.path(), 1 << 20)
                .await
                .is_ok_and(|bytes| bytes.len() == 1 << 20)
        );
    }
}
