//! Reading a file from some place on. What the system has in memory is read at once, by the guest's own
//! thread; only what it has to fetch is waited for, elsewhere. The original goes elsewhere for each
//! piece, which on a busy machine takes longer than all the reading.
//!
//! Must never wait for a disk on the guest's thread: others need it.

use std::fs::File;
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{AtFlags, StatxFlags, statx};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn_blocking};

use crate::lanes::{self, Lane};

/// Most bytes of one read, whatever the guest asks for.
const MOST: usize = 256 * 1024;
/// Read when a guest only asks whether there is anything.
const SOME: usize = 4 * 1024;

/// A stream of a file's bytes.
pub(super) struct FileReader {
    file: Arc<File>,
    position: u64,
    state: State,
}

enum State {
    Idle,
    Waiting(AbortOnDropJoinHandle<State>),
    Available(Bytes),
    Failed(io::Error),
    /// At the end of the file, or after a failure.
    Closed,
}

impl FileReader {
    pub(super) fn new(file: Arc<File>, position: u64) -> Self {
        Self {
            file,
            position,
            state: State::Idle,
        }
    }

    /// Begins to read; done already when the bytes are in memory.
    fn begin(&mut self, size: usize) {
        let (size, position) = (size.min(MOST), self.position);
        self.state = at_once(&self.file, position, size).unwrap_or_else(|| {
            let file = Arc::clone(&self.file);
            State::Waiting(spawn_blocking(move || wait_for(&file, position, size)))
        });
    }

    async fn settle(&mut self) {
        if let State::Waiting(read) = &mut self.state {
            self.state = read.await;
        }
    }
}

impl State {
    fn of(mut buffer: BytesMut, read: io::Result<usize>) -> Self {
        match read {
            Ok(0) => Self::Closed,
            Ok(count) => {
                buffer.truncate(count);
                Self::Available(buffer.freeze())
            }
            Err(error) => Self::Failed(error),
        }
    }
}

/// None when the bytes are not in memory, or the file system cannot tell. The idle lane does not read: it
/// might lose its core while it holds what belongs to the file.
fn at_once(file: &File, position: u64, size: usize) -> Option<State> {
    // A place that no file has would mean the place of the descriptor itself.
    if lanes::here() == Some(Lane::Idle) || i64::try_from(position).is_err() {
        return None;
    }
    let mut buffer = BytesMut::zeroed(size);
    loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        match preadv2(file, &mut slices, position, ReadWriteFlags::NOWAIT) {
            // Linux 5.9 and 5.10 may say so in the middle of a file.
            Ok(0) if !ends(file, position) => return None,
            Ok(count) => return Some(State::of(buffer, Ok(count))),
            Err(Errno::INTR) => {}
            // why it fails is found out where it may take its time
            Err(_) => return None,
        }
    }
}

/// Whether the file ends at or before this place, as far as is known without asking anybody.
fn ends(file: &File, position: u64) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    statx(file, "", flags, StatxFlags::SIZE).is_ok_and(|known| known.stx_size <= position)
}

fn wait_for(file: &File, position: u64, size: usize) -> State {
    let mut buffer = BytesMut::zeroed(size);
    loop {
        match file.read_at(&mut buffer, position) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return State::of(buffer, read),
        }
    }
}

#[async_trait]
impl InputStream for FileReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if matches!(self.state, State::Idle) && size > 0 {
            self.begin(size);
        }
        match &mut self.state {
            State::Idle | State::Waiting(_) => Ok(Bytes::new()),
            State::Available(bytes) => {
                let chunk = bytes.split_to(bytes.len().min(size));
                if bytes.is_empty() {
                    self.state = State::Idle;
                }
                self.position = self.position.saturating_add(chunk.len() as u64);
                Ok(chunk)
            }
            State::Closed => Err(StreamError::Closed),
            State::Failed(_) => match mem::replace(&mut self.state, State::Closed) {
                State::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
                _ => Err(StreamError::Closed),
            },
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.settle().await;
        if matches!(self.state, State::Idle) && size > 0 {
            self.begin(size);
            self.settle().await;
        }
        self.read(size)
    }

    async fn cancel(&mut self) {
        if let State::Waiting(read) = mem::replace(&mut self.state, State::Closed) {
            // what has begun cannot be stopped, and the guest must not heap up reads
            read.cancel().await;
        }
    }
}

#[async_trait]
impl Pollable for FileReader {
    async fn ready(&mut self) {
        if matches!(self.state, State::Idle) {
            self.begin(SOME);
        }
        self.settle().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end_in_pieces() {
        let content: Vec<u8> = (0..MOST + 1_000).map(|at| (at % 251) as u8).collect();
        let mut reader = FileReader::new(file(&content), 10);
        let mut read = Vec::new();
        loop {
            match reader.blocking_read(MOST + 1).await {
                Ok(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= MOST);
                    read.extend_from_slice(&bytes);
                }
                Err(StreamError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(read == content[10..]);
    }

    #[tokio::test]
    async fn what_was_fetched_is_given_in_smaller_pieces() {
        let mut reader = FileReader::new(file(b"abcdef"), 0);
        reader.ready().await;
        assert_eq!(reader.read(2).unwrap(), "ab");
        assert_eq!(reader.read(0).unwrap(), "");
        assert_eq!(reader.blocking_read(3).await.unwrap(), "cde");
        assert_eq!(reader.blocking_read(3).await.unwrap(), "f");
        assert!(matches!(
            reader.blocking_read(3).await,
            Err(StreamError::Closed)
        ));
    }

    #[tokio::test]
    async fn what_is_no_file_fails_once_and_is_closed_then() {
        let directory = tempfile::tempdir().unwrap();
        let file = Arc::new(File::open(directory.path()).unwrap());
        let mut reader = FileReader::new(file, 0);
        let error = reader.blocking_read(1).await.unwrap_err();
        assert!(matches!(error, StreamError::LastOperationFailed(_)));
        assert!(matches!(
            reader.blocking_read(1).await,
            Err(StreamError::Closed)
        ));
    }

    #[tokio::test]
    async fn a_place_that_no_file_has_is_an_error() {
        for position in [u64::MAX, 1 << 63] {
            let mut reader = FileReader::new(file(b"abc"), position);
            let error = reader.blocking_read(1).await.unwrap_err();
            assert!(matches!(error, StreamError::LastOperationFailed(_)));
        }
    }

    /// The way of file systems that cannot tell what they have in memory.
    #[test]
    fn waiting_reads_the_same() {
        let file = file(b"abc");
        let at = |position| match wait_for(&file, position, 2) {
            State::Available(bytes) => bytes,
            State::Closed => Bytes::new(),
            _ => panic!("neither bytes nor the end"),
        };
        assert_eq!((at(0), at(2), at(3)), ("ab".into(), "c".into(), "".into()));
    }

    #[test]
    fn a_file_ends_behind_its_last_byte_and_not_before() {
        assert!(ends(&file(b""), 0));
        let file = file(b"12345");
        let known: Vec<bool> = (0..8).map(|place| ends(&file, place)).collect();
        assert_eq!(known, [false, false, false, false, false, true, true, true]);
    }
}
