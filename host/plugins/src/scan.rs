//! Finding and loading plugin files. A file that cannot be used is a problem to report, never a
//! reason to stop: the others are loaded all the same.

use std::io;
use std::path::{Path, PathBuf};

use connect_sandbox::{LoadError, Sandbox};
use tokio::io::AsyncReadExt as _;

use crate::catalogue::Entry;

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

/// The `*.wasm` files of `directories`, in order of their names, so that every start finds the same.
pub(crate) fn files(directories: &[PathBuf], problems: &mut Vec<ScanProblem>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for directory in directories {
        match wasm_files(directory) {
            Ok(mut found) => {
                found.sort();
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

fn wasm_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && path.is_file()
        {
            found.push(path);
        }
    }
    Ok(found)
}

/// Loads one file. A file over the limit is not read.
pub(crate) async fn load(sandbox: &Sandbox, path: PathBuf) -> Result<Entry, ScanProblem> {
    let bytes = match read(&path, sandbox.max_component_bytes()).await {
        Ok(bytes) => bytes,
        Err(Unread::File(source)) => return Err(ScanProblem::File { path, source }),
        Err(Unread::TooLarge(source)) => {
            return Err(ScanProblem::Load {
                path,
                source: Box::new(source),
            });
        }
    };
    match sandbox.load(&path.to_string_lossy(), bytes).await {
        Ok(plugin) => Ok(Entry { plugin, path }),
        Err(source) => Err(ScanProblem::Load {
            path,
            source: Box::new(source),
        }),
    }
}

enum Unread {
    File(io::Error),
    TooLarge(LoadError),
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    let file = tokio::fs::File::open(path).await.map_err(Unread::File)?;
    let bytes = file.metadata().await.map_err(Unread::File)?.len();
    if bytes > limit {
        return Err(Unread::TooLarge(LoadError::TooLarge {
            file: path.to_string_lossy().into(),
            bytes,
            limit,
        }));
    }
    let mut content = Vec::new();
    // It may grow while it is read; one byte more than the limit is enough for it to be refused.
    file.take(limit + 1)
        .read_to_end(&mut content)
        .await
        .map_err(Unread::File)?;
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
        let Err(Unread::TooLarge(error)) = read(file.path(), 1 << 20).await else {
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
