//! Which file a path or handle stands for right now, and how long it is. An identity is good within
//! one run only: the sandbox derives it from device and inode, perhaps differently after an update.

use std::fs::File;
use std::io;

use rustix::fs::{FileType, Stat, fstat, stat};

/// Two handles or paths with the same identity are the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(u64, u64);

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Which file it is.
    pub identity: Identity,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it is a regular file, after following links.
    pub is_file: bool,
    /// Whether it has a name in any directory; one that was deleted while open has none.
    pub has_name: bool,
}

impl Look {
    /// Looks at an open file.
    ///
    /// # Errors
    /// What the system says.
    pub fn at_file(file: &File) -> io::Result<Self> {
        Ok(Self::from(fstat(file)?))
    }

    /// Looks at what has this path now; nothing when there is no such thing.
    ///
    /// # Errors
    /// What the system says otherwise.
    pub fn at_path(path: &str) -> io::Result<Option<Self>> {
        match stat(path) {
            Ok(found) => Ok(Some(Self::from(found))),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl From<Stat> for Look {
    fn from(stat: Stat) -> Self {
        Self {
            identity: Identity(stat.st_dev, stat.st_ino),
            length: u64::try_from(stat.st_size).unwrap_or(0),
            is_file: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
            has_name: stat.st_nlink > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_identity_follows_the_file_through_a_rename() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let at = |name: &str| Look::at_path(&path(name)).unwrap();
        fs::write(path("a"), "xyz").unwrap();
        let handle = File::open(path("a")).unwrap();
        let look = Look::at_file(&handle).unwrap();
        assert_eq!(
            (at("a"), look.length, look.is_file, look.has_name),
            (Some(look), 3, true, true)
        );
        fs::rename(path("a"), path("b")).unwrap();
        fs::write(path("a"), "xyz").unwrap();
        assert_ne!(at("a").unwrap().identity, look.identity);
        assert_eq!(at("b").unwrap().identity, look.identity);
        assert_eq!((at("c"), at("a/b")), (None, None));
        fs::remove_file(path("b")).unwrap();
        assert!(!Look::at_file(&handle).unwrap().has_name);
        assert!(
            !Look::at_path(folder.path().to_str().unwrap())
                .unwrap()
                .unwrap()
                .is_file
        );
    }
}
