//! The file of the store: how it comes into being, is recognised, checked and brought up to date.
//!
//! Must never change a file that it has not checked from end to end first, and never accept one
//! of a newer format.

use crate::overlay::{Base, Overlay};
use crate::secrets::Secrets;
use crate::{StoreError, tables};
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, WriteTransaction};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Name of the database file in the store's directory.
pub(crate) const FILE_NAME: &str = "store.redb";
/// The format this program writes.
pub(crate) const FORMAT: u32 = 1;
/// Memory that the database may use to keep pages in, in bytes.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// One step from a format to the next, inside the transaction that also raises the number.
type Step = fn(&WriteTransaction) -> Result<(), redb::Error>;
/// `STEPS[n]` leads from format n + 1 to n + 2. The only format so far needs none.
const STEPS: &[Step] = &[];

/// What the file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FormatInfo {
    /// Number of the file's format.
    pub format: u32,
    /// Program and version that created the file.
    pub created_by: String,
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes sure that renames and new files in `path`'s directory survive a power failure.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Creates the directory, and what leads to it, readable by the owner alone.
pub(crate) fn create_directory(directory: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(StoreError::io(
            "cannot create the store directory",
            directory,
        ))
}

/// Opens the file, creating it where there is none. The caller holds the directory's lock.
pub(crate) fn open(path: &Path, secrets: &Secrets) -> Result<Database, StoreError> {
    match path.try_exists() {
        Ok(true) => check(path, secrets)?,
        Ok(false) => create(path)?,
        Err(error) => return Err(StoreError::io("cannot inspect", path)(error)),
    }
    let database = builder()
        .open(path)
        .map_err(|error| StoreError::database(path)(error.into()))?;
    migrate(&database, path, STEPS)?;
    Ok(database)
}

/// A new file takes its name only when it is complete: an empty or half-written one that bears
/// the name is damage, never a first start.
fn create(path: &Path) -> Result<(), StoreError> {
    let draft = path.with_extension("redb.new");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(StoreError::io("cannot create", &draft))?;
    let fill = || -> Result<(), redb::Error> {
        let database = builder().create_with_backend(FileBackend::new(file)?)?;
        initialise(&database)?;
        Ok(database.close()?)
    };
    fill().map_err(StoreError::database(&draft))?;
    fs::rename(&draft, path)
        .and_then(|()| sync_parent(path))
        .map_err(StoreError::io("cannot create", path))
}

pub(crate) fn initialise(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    tables::create(&transaction)?;
    tables::set_meta(&transaction, tables::META_FORMAT, &FORMAT.to_string())?;
    let created_by = concat!("rocketmq-connect ", env!("CARGO_PKG_VERSION"));
    tables::set_meta(&transaction, tables::META_CREATED_BY, created_by)?;
    Ok(transaction.commit()?)
}

/// Goes through a whole start in memory: repair, checksums of every page, format, migration, every
/// row, every secret. Nothing on disk changes.
fn check(path: &Path, secrets: &Secrets) -> Result<(), StoreError> {
    let file = File::open(path).map_err(StoreError::io("cannot open", path))?;
    let database = rehearse(path, Base::File(file))?;
    guarded(path, || {
        migrate(&database, path, STEPS)?;
        check_rows(&database, path, secrets)
    })
}

/// Opens a copy in memory, with every page checked.
///
/// # Errors
/// The copy is damaged, of another kind or of a newer format.
pub(crate) fn rehearse(path: &Path, base: Base) -> Result<Database, StoreError> {
    let overlay = Overlay::new(base).map_err(StoreError::io("cannot read", path))?;
    if redb::StorageBackend::len(&overlay).is_ok_and(|length| length == 0) {
        // The library would take it for a new database.
        return Err(StoreError::corrupted(path, "it is empty"));
    }
    guarded(path, || {
        let database = builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(overlay)
            .map_err(|error| StoreError::database(path)(error.into()))?;
        info(&database, path)?;
        Ok(database)
    })
}

/// The library may panic on a file that someone else has changed; that is damage like any other.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::corrupted(
            path,
            "its pages contradict each other",
        ))
    })
}

/// Reads what the file says about itself and refuses a newer format.
pub(crate) fn info(database: &Database, path: &Path) -> Result<FormatInfo, StoreError> {
    let read = || -> Result<_, redb::Error> {
        let transaction = database.begin_read()?;
        Ok((
            tables::meta(&transaction, tables::META_FORMAT)?,
            tables::meta(&transaction, tables::META_CREATED_BY)?,
        ))
    };
    let (format, created_by) = read().map_err(StoreError::database(path))?;
    let created_by = created_by.unwrap_or_else(|| "an unknown program".to_owned());
    let format = format
        .and_then(|text| text.parse().ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| StoreError::corrupted(path, "it is not a store of rocketmq-connect"))?;
    if format > FORMAT {
        return Err(StoreError::NewerFormat {
            path: path.to_owned(),
            found: format,
            supported: FORMAT,
            created_by,
        });
    }
    Ok(FormatInfo { format, created_by })
}

/// Takes the file through the missing steps, all in one transaction.
fn migrate(database: &Database, path: &Path, steps: &[Step]) -> Result<(), StoreError> {
    let found = info(database, path)?.format;
    let missing = steps.get(found as usize - 1..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    let reached = found + missing.len() as u32;
    let work = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        for step in missing {
            step(&transaction)?;
        }
        tables::set_meta(&transaction, tables::META_FORMAT, &reached.to_string())?;
        Ok(transaction.commit()?)
    };
    work().map_err(StoreError::database(path))?;
    tracing::info!(from = found, to = reached, "store migrated");
    Ok(())
}

fn check_rows(database: &Database, path: &Path, secrets: &Secrets) -> Result<(), StoreError> {
    let read = || -> Result<_, redb::Error> {
        let transaction = database.begin_read()?;
        // Walks both tables to the end, which proves their keys readable.
        tables::progress_owners(&transaction)?;
        Ok((
            tables::connectors(&transaction)?,
            tables::meta(&transaction, tables::META_KEY_CHECK)?,
        ))
    };
    let (connectors, token) = read().map_err(StoreError::database(path))?;
    if connectors.iter().all(|(_, row)| row.sealed.is_empty()) {
        return Ok(());
    }
    secrets.check(token.as_deref().unwrap_or_default())?;
    for (name, row) in &connectors {
        for (key, sealed) in &row.sealed {
            secrets.open(name, key, sealed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> (tempfile::NamedTempFile, Database) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let database = builder().create(file.path()).unwrap();
        initialise(&database).unwrap();
        (file, database)
    }

    #[test]
    fn steps_run_once_in_order_and_raise_the_number() {
        fn first(transaction: &WriteTransaction) -> Result<(), redb::Error> {
            tables::set_meta(transaction, "trail", "first")
        }
        fn second(transaction: &WriteTransaction) -> Result<(), redb::Error> {
            let before = transaction
                .open_table(tables::META)?
                .get("trail")?
                .map(|value| value.value().to_owned());
            assert_eq!(before.as_deref(), Some("first"));
            tables::set_meta(transaction, "trail", "second")
        }
        use redb::ReadableTable as _;
        let (file, database) = database();
        migrate(&database, file.path(), &[first, second]).unwrap();
        let transaction = database.begin_read().unwrap();
        let meta = |key| tables::meta(&transaction, key).unwrap();
        assert_eq!(meta("trail").as_deref(), Some("second"));
        assert_eq!(meta(tables::META_FORMAT).as_deref(), Some("3"));
        // This program knows format 1 only, so what it has just written is too new for it.
        assert!(matches!(
            info(&database, file.path()),
            Err(StoreError::NewerFormat {
                found: 3,
                supported: FORMAT,
                ..
            })
        ));
    }

    #[test]
    fn a_failing_step_leaves_the_old_format() {
        fn broken(transaction: &WriteTransaction) -> Result<(), redb::Error> {
            tables::set_meta(transaction, "trail", "half")?;
            Err(redb::Error::Corrupted("no".to_owned()))
        }
        let (file, database) = database();
        assert!(migrate(&database, file.path(), &[broken]).is_err());
        assert_eq!(info(&database, file.path()).unwrap().format, FORMAT);
        let transaction = database.begin_read().unwrap();
        assert_eq!(tables::meta(&transaction, "trail").unwrap(), None);
    }
}
