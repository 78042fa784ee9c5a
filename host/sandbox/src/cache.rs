//! Compiled code on disk, keyed by the plugin's digest and by everything that the compiler's output
//! depends on. Machine code is loaded from here only, so the directory must be ours alone: this is
//! the one place in the worker that has to trust bytes. Losing it costs time, nothing else.

use std::fs::{self, DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load_error::LoadError;

/// Counted up when the files' form changes.
const FORMAT: u32 = 1;
/// Bytes kept; beyond them the entries that were used longest ago go.
const CAPACITY: u64 = 2 << 30;
/// Each file begins with the digest of the rest: damage must be found before the bytes are trusted.
const SEAL: usize = 32;

/// The directory.
#[derive(Debug)]
pub(crate) struct CodeCache {
    directory: PathBuf,
    /// What this engine's files have in their names.
    engine: String,
}

/// What is kept of one plugin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Code,
    Description,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Code => "cwasm",
            Self::Description => "json",
        }
    }
}

impl CodeCache {
    /// Opens the directory, makes it if need be, and clears out what other engines left.
    ///
    /// # Errors
    /// [`LoadError::Cache`] when it cannot be made or others could write to it.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> Result<Self, LoadError> {
        let refuse = |reason: String| LoadError::Cache {
            directory: directory.to_owned(),
            reason,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| refuse(format!("cannot be made: {error}")))?;
        let found = fs::symlink_metadata(directory).map_err(|error| refuse(error.to_string()))?;
        if !found.is_dir() {
            return Err(refuse(
                "is not a directory of its own; a link is not accepted".into(),
            ));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(refuse(
                "belongs to another user; give this worker a directory of its own".into(),
            ));
        }
        if found.mode() & 0o077 != 0 {
            return Err(refuse(format!(
                "others have access to it; run `chmod 700 {}`",
                directory.display()
            )));
        }
        let cache = Self {
            directory: directory.to_owned(),
            engine: engine_key(engine),
        };
        if let Err(error) = cache.clear_stale() {
            tracing::warn!(directory = %directory.display(), %error, "old entries of the code cache stay");
        }
        Ok(cache)
    }

    /// The compiled code of a plugin, if it is here and whole.
    pub(crate) fn code(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let bytes = self.read(Kind::Code, digest)?;
        load(engine, bytes.get(SEAL..)?)
            .inspect_err(|error| tracing::warn!(%error, digest, "the code cache gave unusable code; compiling anew"))
            .ok()
    }

    /// The description of a plugin as it was stored.
    pub(crate) fn description(&self, digest: &str) -> Option<Vec<u8>> {
        let mut bytes = self.read(Kind::Description, digest)?;
        Some(bytes.split_off(SEAL))
    }

    /// Keeps `content`. A failure is logged: the worker goes on without.
    pub(crate) fn store(&self, kind: Kind, digest: &str, content: &[u8]) {
        let stored = self.write(kind, digest, content).and_then(|()| self.trim());
        if let Err(error) = stored {
            tracing::warn!(directory = %self.directory.display(), %error, digest, "the code cache does not take an entry");
        }
    }

    fn path(&self, kind: Kind, digest: &str) -> PathBuf {
        self.directory
            .join(format!("{digest}-{}.{}", self.engine, kind.extension()))
    }

    fn read(&self, kind: Kind, digest: &str) -> Option<Vec<u8>> {
        let path = self.path(kind, digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "an entry of the code cache cannot be read");
                return None;
            }
        };
        let whole = bytes
            .split_at_checked(SEAL)
            .is_some_and(|(seal, rest)| seal == Sha256::digest(rest).as_slice());
        if !whole {
            tracing::warn!(path = %path.display(), "a damaged entry of the code cache is made anew");
            return None;
        }
        // Its age tells `trim` what is in use. A failure changes nothing but the order of leaving.
        drop(File::open(&path).and_then(|file| file.set_modified(SystemTime::now())));
        Some(bytes)
    }

    fn write(&self, kind: Kind, digest: &str, content: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::with_prefix_in(".new-", &self.directory)?;
        file.write_all(&Sha256::digest(content))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(self.path(kind, digest))
            .map_err(|error| error.error)?;
        File::open(&self.directory)?.sync_all()
    }

    /// Removes what another engine or an interrupted write left.
    fn clear_stale(&self) -> io::Result<()> {
        let ours = [Kind::Code, Kind::Description]
            .map(|kind| format!("-{}.{}", self.engine, kind.extension()));
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !ours.iter().any(|end| name.ends_with(end)) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Keeps the directory within its capacity.
    fn trim(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            entries.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        entries.sort();
        for (_, bytes, path) in entries {
            if total <= CAPACITY {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

/// Makes a component of compiled code. Only for code that this program's own compiler made: what the
/// cache kept of it, or what has just come from it.
pub(crate) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "the only way to load compiled code")]
    // SAFETY: `code` is what `Engine::precompile_component` of this build gave for an engine of the
    // same compatibility hash, which holds wasmtime's exact version. From the cache: `store` wrote
    // it, in a directory that is ours with mode 0700, checked when it was opened, under a name that
    // holds the hash, and the bytes in memory match the digest written with them. From a compiling
    // child: it is another run of this program, which named the same hash and whose bytes match the
    // digest that came with them.
    unsafe {
        Component::deserialize(engine, code)
    }
}

/// Names everything that compiled code depends on: wasmtime's exact version, its settings, the
/// processor's features, and our own file form.
pub(crate) fn engine_key(engine: &Engine) -> String {
    struct Digesting(Sha256);
    impl Hasher for Digesting {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut hasher = Digesting(Sha256::new());
    FORMAT.hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex(&hasher.0.finalize())
        .get(..16)
        .unwrap_or_default()
        .to_owned()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn cache(directory: &Path) -> CodeCache {
        CodeCache::open(directory, &Engine::default()).unwrap()
    }

    #[test]
    fn what_is_stored_comes_back_and_damage_at_any_byte_is_found() {
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().join("code");
        let cache = cache(&directory);
        assert_eq!(cache.description("d"), None);
        cache.store(Kind::Description, "d", b"content");
        assert_eq!(cache.description("d").as_deref(), Some(&b"content"[..]));
        let path = cache.path(Kind::Description, "d");
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[position] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.description("d"), None);
            fs::write(&path, &whole[..position]).unwrap();
            assert_eq!(cache.description("d"), None);
        }
    }

    #[test]
    fn a_directory_that_others_can_reach_is_refused() {
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().join("code");
        drop(cache(&directory));
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o750)).unwrap();
        let error = CodeCache::open(&directory, &Engine::default()).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&directory, keep.path().join("link")).unwrap();
        assert!(CodeCache::open(&keep.path().join("link"), &Engine::default()).is_err());
    }

    #[test]
    fn entries_of_other_engines_and_unfinished_ones_are_cleared() {
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().join("code");
        let first = cache(&directory);
        first.store(Kind::Description, "d", b"content");
        fs::write(directory.join("d-0123456789abcdef.cwasm"), "").unwrap();
        fs::write(directory.join(".new-abc"), "").unwrap();
        let again = cache(&directory);
        assert!(again.description("d").is_some());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn the_key_depends_on_the_engine() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        assert_eq!(engine_key(&other), engine_key(&other));
        assert_ne!(engine_key(&other), engine_key(&Engine::default()));
    }
}
