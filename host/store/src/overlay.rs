//! A storage backend that reads a file and keeps every write to itself.
//!
//! The database library repairs a file while it opens it. Here that happens in memory, so that a
//! damaged or foreign file is recognised before anything on disk changes. Must never write to
//! the file it reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Unit of copying in bytes; the library's page size, so that most writes are whole blocks.
const BLOCK: u64 = 4096;

type Block = Box<[u8]>;

/// What an [`Overlay`] reads where nothing was written yet.
#[derive(Debug)]
pub(crate) enum Base {
    /// A file, read as needed. The caller keeps others from changing it meanwhile.
    File(File),
    /// A copy of a file that may change at any time.
    Memory(Vec<u8>),
}

impl Base {
    fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(out, offset),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                let source = start
                    .checked_add(out.len())
                    .and_then(|end| bytes.get(start..end))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                out.copy_from_slice(source);
                Ok(())
            }
        }
    }
}

#[derive(Debug)]
struct State {
    /// Length of the storage as the library sees it.
    len: u64,
    /// How much of the base still shows through; shrinking hides the rest for good.
    base_len: u64,
    /// Blocks written so far, by number.
    written: BTreeMap<u64, Block>,
}

/// Copy-on-write view of a [`Base`].
#[derive(Debug)]
pub(crate) struct Overlay {
    base: Base,
    state: Mutex<State>,
}

impl Overlay {
    pub(crate) fn new(base: Base) -> io::Result<Self> {
        let len = base.len()?;
        Ok(Self {
            base,
            state: Mutex::new(State {
                len,
                base_len: len,
                written: BTreeMap::new(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of block `number` that still shows the base, the rest zero.
    fn base_block(&self, state: &State, number: u64) -> io::Result<Block> {
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let start = number * BLOCK;
        let visible = state.base_len.saturating_sub(start).min(BLOCK) as usize;
        if let Some(part) = block.get_mut(..visible)
            && !part.is_empty()
        {
            self.base.read(start, part)?;
        }
        Ok(block)
    }
}

/// Splits `length` bytes at `offset` into (block number, start in the block, length).
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut offset = offset;
    let mut left = length;
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let start = (offset % BLOCK) as usize;
        let take = left.min(BLOCK as usize - start);
        let piece = (offset / BLOCK, start, take);
        offset += take as u64;
        left -= take;
        Some(piece)
    })
}

impl redb::StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > state.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = out.len();
        let mut rest = out;
        for (number, start, take) in pieces(offset, length) {
            let (piece, others) = rest.split_at_mut(take);
            rest = others;
            let unwritten;
            let block = match state.written.get(&number) {
                Some(block) => block,
                None => {
                    unwritten = self.base_block(&state, number)?;
                    &unwritten
                }
            };
            let source = block
                .get(start..start + take)
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            piece.copy_from_slice(source);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.base_len = state.base_len.min(len);
        state.written.retain(|number, _| number * BLOCK < len);
        // What lies beyond the new end of its last block reads as zero if the storage grows again.
        if let Some(block) = state.written.get_mut(&(len / BLOCK))
            && let Some(tail) = block.get_mut((len % BLOCK) as usize..)
        {
            tail.fill(0);
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let end = offset
            .checked_add(data.len() as u64)
            .ok_or(io::ErrorKind::InvalidInput)?;
        state.len = state.len.max(end);
        let mut rest = data;
        for (number, start, take) in pieces(offset, data.len()) {
            let (piece, others) = rest.split_at(take);
            rest = others;
            if !state.written.contains_key(&number) {
                let block = self.base_block(&state, number)?;
                state.written.insert(number, block);
            }
            state
                .written
                .get_mut(&number)
                .and_then(|block| block.get_mut(start..start + take))
                .ok_or(io::ErrorKind::InvalidInput)?
                .copy_from_slice(piece);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, Overlay};
    use proptest::prelude::*;
    use redb::StorageBackend;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..20_000, prop::collection::vec(any::<u8>(), 1..9_000))
                .prop_map(|(at, data)| Step::Write(at, data)),
            (0_u64..30_000).prop_map(Step::Length),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn reads_like_a_vector_and_leaves_the_file_alone(
            base in prop::collection::vec(any::<u8>(), 0..20_000),
            steps in prop::collection::vec(step(), 0..12),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &base).unwrap();
            let overlay = Overlay::new(Base::File(file.reopen().unwrap())).unwrap();
            let mut model = base.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        let end = at as usize + data.len();
                        if model.len() < end {
                            model.resize(end, 0);
                        }
                        model[at as usize..end].copy_from_slice(&data);
                        overlay.write(at, &data).unwrap();
                    }
                    Step::Length(len) => {
                        model.resize(len as usize, 0);
                        overlay.set_len(len).unwrap();
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                let mut all = vec![0; model.len()];
                overlay.read(0, &mut all).unwrap();
                prop_assert!(all == model);
            }
            prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
            prop_assert!(std::fs::read(file.path()).unwrap() == base);
        }
    }
}
