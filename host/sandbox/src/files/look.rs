//! What the system knows of an open file: size, times, identity. On file systems of this machine that is
//! in memory, and is told at once; others may have to be asked over a network, and the original asks
//! them elsewhere. Must tell what the original tells.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, makedev, statx};
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, ErrorCode, Host as _, HostDescriptor as _, MetadataHashValue,
};

use crate::lanes::{self, Lane};
use crate::state::State;

/// What is known without asking anybody; none where that may be out of date.
fn known(file: &File) -> Option<Statx> {
    if lanes::here() == Some(Lane::Idle) {
        return None;
    }
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let known = statx(file, "", flags, wanted).ok()?;
    // Without a disk of this machine below it: a network, or one file system over another.
    (known.stx_dev_major != 0).then_some(known)
}

fn stat(known: &Statx) -> DescriptorStat {
    let time = |time: StatxTimestamp| {
        u64::try_from(time.tv_sec).ok().map(|seconds| Datetime {
            seconds,
            nanoseconds: time.tv_nsec,
        })
    };
    let has_birth = known.stx_mask & StatxFlags::BTIME.bits() != 0;
    DescriptorStat {
        type_: match FileType::from_raw_mode(known.stx_mode.into()) {
            FileType::RegularFile => DescriptorType::RegularFile,
            FileType::Directory => DescriptorType::Directory,
            FileType::Symlink => DescriptorType::SymbolicLink,
            FileType::BlockDevice => DescriptorType::BlockDevice,
            FileType::CharacterDevice => DescriptorType::CharacterDevice,
            _ => DescriptorType::Unknown,
        },
        link_count: known.stx_nlink.into(),
        size: known.stx_size,
        data_access_timestamp: time(known.stx_atime),
        data_modification_timestamp: time(known.stx_mtime),
        // as the original has it
        status_change_timestamp: has_birth.then(|| time(known.stx_btime)).flatten(),
    }
}

/// The original's, since it answers for paths.
fn hash(known: &Statx) -> MetadataHashValue {
    let device: u64 = makedev(known.stx_dev_major, known.stx_dev_minor);
    let mut hasher = DefaultHasher::new();
    (device, known.stx_ino).hash(&mut hasher);
    let lower = hasher.finish();
    MetadataHashValue {
        lower,
        upper: lower ^ std::f64::consts::PI.to_bits(),
    }
}

impl State {
    fn known(&mut self, of: &Resource<Descriptor>) -> wasmtime::Result<Option<Statx>> {
        let file = match self.table.get(of)? {
            Descriptor::File(file) => Arc::clone(&file.file),
            Descriptor::Dir(directory) => Arc::clone(&directory.dir),
        };
        Ok(known(&file))
    }

    async fn stat(
        &mut self,
        of: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<DescriptorStat, ErrorCode>> {
        if let Some(known) = self.known(&of)? {
            return Ok(Ok(stat(&known)));
        }
        let mut host = self.filesystem();
        match host.stat(of).await {
            Ok(stat) => Ok(Ok(stat)),
            Err(error) => Ok(Err(host.convert_error_code(error)?)),
        }
    }

    async fn metadata_hash(
        &mut self,
        of: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<MetadataHashValue, ErrorCode>> {
        if let Some(known) = self.known(&of)? {
            return Ok(Ok(hash(&known)));
        }
        let mut host = self.filesystem();
        match host.metadata_hash(of).await {
            Ok(hash) => Ok(Ok(hash)),
            Err(error) => Ok(Err(host.convert_error_code(error)?)),
        }
    }
}

/// Puts these functions in the place of the original ones.
pub(super) fn link(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;
    type Of = (Resource<Descriptor>,);

    types.func_wrap_async(
        "[method]descriptor.stat",
        |mut store: Store<'_>, (of,): Of| {
            Box::new(async move { Ok((store.data_mut().stat(of).await?,)) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.metadata-hash",
        |mut store: Store<'_>, (of,): Of| {
            Box::new(async move { Ok((store.data_mut().metadata_hash(of).await?,)) })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::path::Path;

    use wasmtime_wasi::filesystem::{Dir, File as Original};
    use wasmtime_wasi::{FsPerms, OpenMode};

    fn state() -> State {
        let who = crate::log::Who {
            plugin: "p".into(),
            connector: "".into(),
            task: 0,
        };
        let nobody = crate::context::Context::Nobody;
        let (limits, access) = (crate::Limits::default(), crate::Access::default());
        let meter = crate::Meter::default();
        State::new(who, &limits, &access, nobody, meter, &Arc::default()).unwrap()
    }

    fn descriptors(path: &Path) -> [Descriptor; 2] {
        let (file, directory) = (File::open(path), File::open(path.parent().unwrap()));
        let (perms, mode) = (FsPerms::ReadOnly, OpenMode::READ);
        [
            Descriptor::File(Original::new(file.unwrap(), perms, mode, true)),
            Descriptor::Dir(Dir::new(directory.unwrap(), perms, mode, true)),
        ]
    }

    #[tokio::test]
    async fn what_is_told_is_what_the_original_tells() {
        let mut state = state();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"some bytes").unwrap();
        for descriptor in descriptors(file.path()) {
            let ours = state.table.push(descriptor).unwrap();
            let again = || Resource::<Descriptor>::new_borrow(ours.rep());
            let seen = state.known(&ours).unwrap();
            // on a machine whose temporary folder is no disk there is nothing to compare
            let Some(seen) = seen else { continue };
            let original = state.filesystem().stat(again()).await.unwrap();
            assert_eq!(format!("{:?}", stat(&seen)), format!("{original:?}"));
            let original = state.filesystem().metadata_hash(again()).await.unwrap();
            assert_eq!(format!("{:?}", hash(&seen)), format!("{original:?}"));
            let told = state.stat(again()).await.unwrap().unwrap();
            assert_eq!(told.link_count, stat(&seen).link_count);
        }
    }

    #[tokio::test]
    async fn where_it_may_be_out_of_date_the_original_is_asked() {
        // kept in memory, without a disk below
        let file = File::open("/proc/self/status").unwrap();
        assert!(known(&file).is_none());
        let mut state = state();
        let [descriptor, _] = descriptors(Path::new("/proc/self/status"));
        let of = state.table.push(descriptor).unwrap();
        let told = state.stat(of).await.unwrap().unwrap();
        assert!(matches!(told.type_, DescriptorType::RegularFile));
    }
}
