//! Whether the disk has room, asked before anything starts: a broker takes no messages on a disk
//! that is nine tenths full, whatever fills it, and ends without saying so.

use crate::config::EmbeddedSettings;
use crate::error::EmbeddedError;
use std::path::Path;

/// Percent of the disk in use from which the broker takes no messages: its own
/// `diskSpaceWarningLevelRatio`, which is left at its default.
const FULL: u64 = 90;

impl EmbeddedSettings {
    /// Refuses to start where the broker would not take messages.
    pub(crate) fn check_disk(&self) -> Result<(), EmbeddedError> {
        let store = self.make_directory("store")?;
        match rustix::fs::statvfs(&store) {
            Ok(disk) => room(&store, disk.f_blocks, disk.f_bavail),
            Err(source) => Err(EmbeddedError::Directory {
                path: store,
                source: source.into(),
            }),
        }
    }
}

fn room(path: &Path, total: u64, available: u64) -> Result<(), EmbeddedError> {
    let used = u128::from(total.saturating_sub(available)) * 100;
    let percent = u64::try_from(used / u128::from(total.max(1))).unwrap_or(FULL);
    if percent < FULL {
        return Ok(());
    }
    Err(EmbeddedError::DiskFull {
        path: path.to_owned(),
        percent,
        most: FULL,
    })
}

#[cfg(test)]
mod tests {
    use super::room;
    use std::path::Path;

    #[test]
    fn a_full_disk_is_refused_with_its_figures() {
        let path = Path::new("/data/store");
        assert!(room(path, 1_000, 101).is_ok());
        assert!(room(path, u64::MAX, u64::MAX).is_ok());
        let text = room(path, 1_000, 100).unwrap_err().to_string();
        assert!(
            text.contains("/data/store") && text.contains("90 %"),
            "{text}"
        );
        assert!(
            room(path, 0, 0).is_ok(),
            "some file systems tell no capacity"
        );
    }
}
