//! The files a guest holds open. Each is a descriptor of the worker's process, of which there are few
//! hundred for all plugins together, so they are counted apart from other handles. Counted is what is
//! really open: a stream keeps its file open when the guest has long let go of the descriptor, and one of
//! a directory's entries is an open file of its own.
//!
//! Which files a guest may open is decided elsewhere. What it reads, writes and asks of them goes the
//! original's way, but for what would wait in line on other threads without need.

use std::any::Any;
use std::sync::{Arc, Weak};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, Host as _, HostDescriptor as _, OpenFlags, PathFlags,
};

use crate::limit::{Limit, Refused};
use crate::meter::Meter;
use crate::state::State;

mod listing;
mod look;
mod reading;
mod streams;
mod writing;

/// What keeps a file open.
type Open = dyn Any + Send + Sync;

/// The interface as `wasmtime_wasi` links it; a test notices when its version has changed.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// Files that were opened by one instance and are not closed yet.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    held: Vec<Weak<Open>>,
    most: u32,
    /// How many of them the meter knows of.
    shown: u64,
    meter: Meter,
}

impl OpenFiles {
    pub(crate) fn new(most: u32, meter: Meter) -> Self {
        Self {
            held: Vec::new(),
            most,
            shown: 0,
            meter,
        }
    }

    /// Forgets those that are closed by now.
    pub(crate) fn settle(&mut self) {
        if self.held.is_empty() && self.shown == 0 {
            return;
        }
        self.held.retain(|file| file.strong_count() > 0);
        let open = self.held.len() as u64;
        self.meter.files(self.shown, open);
        self.shown = open;
    }

    /// # Errors
    /// There are as many as there may be.
    fn room(&mut self) -> Result<(), Refused> {
        self.settle();
        if self.shown < u64::from(self.most) {
            return Ok(());
        }
        Err(Refused {
            limit: Limit::OpenFiles,
            value: self.most.into(),
            asked: Some(self.shown + 1),
        })
    }

    fn opened<T: Send + Sync + 'static>(&mut self, file: &Arc<T>) {
        let file: Weak<Open> = Arc::downgrade(file) as _;
        self.held.push(file);
        self.settle();
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        self.meter.files(self.shown, 0);
    }
}

/// Puts functions of ours in the place of those that open, read, write and look at files, and read
/// directories.
///
/// # Errors
/// None in practice: the names do not depend on input.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Params = (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    );
    type Answer = (Result<Resource<Descriptor>, ErrorCode>,);
    linker.allow_shadowing(true);
    let types = linker.instance(TYPES);
    let replaced = types.and_then(|mut types| {
        types.func_wrap_async(
            "[method]descriptor.open-at",
            |mut store: StoreContextMut<'_, State>, params: Params| {
                Box::new(async move {
                    let answer: wasmtime::Result<Answer> = open(store.data_mut(), params).await;
                    answer
                })
            },
        )?;
        listing::link(&mut types)?;
        look::link(&mut types)?;
        streams::link(&mut types)
    });
    linker.allow_shadowing(false);
    return replaced;

    async fn open(state: &mut State, params: Params) -> wasmtime::Result<Answer> {
        let (at, path_flags, path, open_flags, flags) = params;
        state.files.room()?;
        let mut host = state.filesystem();
        let opened = host.open_at(at, path_flags, path, open_flags, flags).await;
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok((Err(host.convert_error_code(error)?),)),
        };
        let file = match host.table.get(&opened)? {
            Descriptor::File(file) => Arc::clone(&file.file),
            Descriptor::Dir(directory) => Arc::clone(&directory.dir),
        };
        state.files.opened(&file);
        Ok((Ok(opened),))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_makes_room() {
        let meter = Meter::default();
        let mut files = OpenFiles::new(2, meter.clone());
        let open = || Arc::new(tempfile::tempfile().unwrap());
        let (one, two) = (open(), open());
        for file in [&one, &two] {
            files.room().unwrap();
            files.opened(file);
        }
        assert_eq!(meter.read().open_files, 2);
        let refused = files.room().unwrap_err();
        assert_eq!((refused.limit, refused.asked), (Limit::OpenFiles, Some(3)));
        drop(one);
        files.room().unwrap();
        assert_eq!(meter.read().open_files, 1);
        drop(files);
        assert_eq!(meter.read().open_files, 0);
    }
}
