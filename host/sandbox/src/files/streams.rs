//! How a guest gets a stream of a file's bytes: ours to read, the original with more room to write. What
//! it may is asked where the original asks.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    ErrorCode, Filesize, Host as _, HostDescriptor as _,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult};

use super::reading::FileReader;
use super::writing::FileWriter;
use crate::state::State;

type Answer<T> = wasmtime::Result<(Result<Resource<T>, ErrorCode>,)>;

impl State {
    fn reader(&mut self, of: &Resource<Descriptor>, from: Filesize) -> Answer<DynInputStream> {
        let file = match self.table.get(of)? {
            Descriptor::File(file) => Arc::clone(&file.file),
            Descriptor::Dir(_) => return Ok((Err(ErrorCode::IsDirectory),)),
        };
        let reader: DynInputStream = Box::new(FileReader::new(file, from));
        Ok((Ok(self.table.push(reader)?),))
    }

    fn writer(&mut self, original: FsResult<Resource<DynOutputStream>>) -> Answer<DynOutputStream> {
        let original = match original {
            Ok(original) => self.table.delete(original)?,
            Err(error) => return Ok((Err(self.filesystem().convert_error_code(error)?),)),
        };
        let writer: DynOutputStream = Box::new(FileWriter::new(original));
        Ok((Ok(self.table.push(writer)?),))
    }
}

/// Puts these streams in the place of the original ones.
pub(super) fn link(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;
    type Of = Resource<Descriptor>;

    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: Store<'_>, (of, from): (Of, Filesize)| store.data_mut().reader(&of, from),
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: Store<'_>, (of, from): (Of, Filesize)| {
            let state = store.data_mut();
            let original = state.filesystem().write_via_stream(of, from);
            state.writer(original)
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: Store<'_>, (of,): (Of,)| {
            let state = store.data_mut();
            let original = state.filesystem().append_via_stream(of);
            state.writer(original)
        },
    )
}
