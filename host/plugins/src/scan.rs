//! Finding and loading plugin files. A file that cannot be used is a problem to report, never a
//! reason to stop: the others are loaded all the same.

use std::io;
use std::path::{Path, PathBuf};

use connect_sandbox::{LoadError, Sandbox};

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

/// Loads one file.
pub(crate) async fn load(sandbox: &Sandbox, path: PathBuf) -> Result<Entry, ScanProblem> {
    let bytes = match tokio::fs::read(&path).await {
        Ok(bytes) => bytes,
        Err(source) => return Err(ScanProblem::File { path, source }),
    };
    match sandbox.load(&path.to_string_lossy(), bytes).await {
        Ok(plugin) => Ok(Entry { plugin, path }),
        Err(source) => Err(ScanProblem::Load {
            path,
            source: Box::new(source),
        }),
    }
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
}
