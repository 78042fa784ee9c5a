//! Directories that a guest reads, a few entries at a time. The original reads all of a directory at
//! once and keeps it for as long as the guest keeps the stream, however many of them it opens: memory
//! of the worker that no limit counts. Here a stream is an open file, counted as one, with a small
//! buffer. Reads what the guest could open anyway; where that is, is decided elsewhere.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use crate::state::State;

/// Entries that are read in one go.
const ENTRIES: usize = 64;

type Entry = Result<DirectoryEntry, ErrorCode>;

/// A stream of the entries of one directory.
struct Listing {
    directory: Arc<Mutex<Dir>>,
    ready: VecDeque<Entry>,
}

/// Opens the directory once more, from its beginning, whatever else reads it.
fn open(directory: &File) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(Dir::new(openat(directory, ".", flags, Mode::empty())?)?)
}

/// The next few entries; none at the end, and after an error of the directory itself.
fn read(directory: &mut Dir) -> VecDeque<Entry> {
    let mut entries = VecDeque::new();
    while entries.len() < ENTRIES
        && let Some(found) = directory.read()
    {
        let entry = found.map_err(io::Error::from).and_then(|found| {
            let name = std::ffi::OsStr::from_bytes(found.file_name().to_bytes());
            if name == "." || name == ".." {
                return Ok(None);
            }
            // Not every file system says it with the name.
            let kind = match found.file_type() {
                FileType::Unknown => {
                    let stat = statat(directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                known => known,
            };
            Ok(Some((kind, name.to_str().map(str::to_owned))))
        });
        entries.extend(match entry {
            Ok(None) => None,
            Ok(Some((_, None))) => Some(Err(ErrorCode::IllegalByteSequence)),
            Ok(Some((kind, Some(name)))) => Some(Ok(DirectoryEntry {
                type_: type_of(kind),
                name,
            })),
            Err(error) => Some(Err(error.into())),
        });
    }
    entries
}

fn type_of(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

/// On a thread that may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> wasmtime::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

impl State {
    async fn list(
        &mut self,
        at: &Resource<Descriptor>,
    ) -> wasmtime::Result<Result<Resource<Listing>, ErrorCode>> {
        self.files.room()?;
        let Descriptor::Dir(directory) = self.table.get(at)? else {
            return Ok(Err(ErrorCode::NotDirectory));
        };
        let directory = Arc::clone(&directory.dir);
        let directory = match blocking(move || open(&directory)).await? {
            Ok(directory) => Arc::new(Mutex::new(directory)),
            Err(error) => return Ok(Err(error.into())),
        };
        self.files.opened(&directory);
        let ready = VecDeque::new();
        Ok(Ok(self.table.push(Listing { directory, ready })?))
    }

    async fn entry(
        &mut self,
        stream: &Resource<Listing>,
    ) -> wasmtime::Result<Result<Option<DirectoryEntry>, ErrorCode>> {
        let listing = self.table.get_mut(stream)?;
        if listing.ready.is_empty() {
            let directory = Arc::clone(&listing.directory);
            let more = blocking(move || {
                let mut directory = directory.lock().unwrap_or_else(PoisonError::into_inner);
                read(&mut directory)
            });
            listing.ready = more.await?;
        }
        Ok(listing.ready.pop_front().transpose())
    }
}

/// Puts these streams in the place of the original ones.
pub(super) fn link(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;

    types.resource(
        "directory-entry-stream",
        ResourceType::host::<Listing>(),
        |mut store, rep| {
            let own = Resource::<Listing>::new_own(rep);
            store.data_mut().table.delete(own)?;
            Ok(())
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: Store<'_>, (at,): (Resource<Descriptor>,)| {
            Box::new(async move { Ok((store.data_mut().list(&at).await?,)) })
        },
    )?;
    types.func_wrap_async(
        "[method]directory-entry-stream.read-directory-entry",
        |mut store: Store<'_>, (stream,): (Resource<Listing>,)| {
            Box::new(async move { Ok((store.data_mut().entry(&stream).await?,)) })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn all_entries_come_a_few_at_a_time_and_each_time_from_the_beginning() {
        let keep = tempfile::tempdir().unwrap();
        let mut expected = BTreeMap::new();
        for number in 0..3 * ENTRIES {
            let name = format!("{number}.txt");
            fs::write(keep.path().join(&name), "").unwrap();
            expected.insert(name, DescriptorType::RegularFile);
        }
        fs::create_dir(keep.path().join("inner")).unwrap();
        expected.insert("inner".to_owned(), DescriptorType::Directory);
        symlink("nowhere", keep.path().join("link")).unwrap();
        expected.insert("link".to_owned(), DescriptorType::SymbolicLink);
        let base = File::open(keep.path()).unwrap();
        for _ in 0..2 {
            let mut directory = open(&base).unwrap();
            let mut found = BTreeMap::new();
            loop {
                let some = read(&mut directory);
                assert!(some.len() <= ENTRIES);
                if some.is_empty() {
                    break;
                }
                for entry in some {
                    let entry = entry.unwrap();
                    assert!(found.insert(entry.name, entry.type_).is_none());
                }
            }
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_an_error_and_the_others_follow() {
        let keep = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe");
        if fs::write(keep.path().join(name), "").is_err() {
            return;
        }
        fs::write(keep.path().join("text"), "").unwrap();
        let found = read(&mut open(&File::open(keep.path()).unwrap()).unwrap());
        assert_eq!(found.len(), 2);
        assert_eq!(found.iter().filter(|entry| entry.is_ok()).count(), 1);
    }
}
