//! One file that lines are appended to: what is still in memory, what is written, and how a failed
//! write is undone. Writes whole lines only.

use std::fs::File;
use std::io::{self, Write};

use connect_sdk::{Failure, OrFail, Queue, Result, debug, warn};
use file_shared::{Look, directory};

use crate::tail::{open_or_create, whole_lines};

/// Lines of one queue that stand together in the buffer.
#[derive(Debug)]
struct Run {
    partition: String,
    end: usize,
}

/// A file and the lines that wait to be written to it.
#[derive(Debug)]
pub(crate) struct Output {
    path: String,
    lines: Vec<u8>,
    runs: Vec<Run>,
    file: Option<File>,
    /// Bytes of the file that are known to be whole lines, once it was opened.
    length: Option<u64>,
    /// Whether the file may hold part of a write that failed.
    torn: bool,
    /// Whether anything was written since the last sync.
    dirty: bool,
    /// Whether the file was made here and its directory entry not yet synced.
    new: bool,
}

impl Output {
    /// A file that is not open.
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            lines: Vec::new(),
            runs: Vec::new(),
            file: None,
            length: None,
            torn: false,
            dirty: false,
            new: false,
        }
    }

    /// The path of the file.
    #[inline]
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Adds a line to what waits.
    #[inline]
    pub(crate) fn add(&mut self, partition: &str, value: &[u8]) {
        self.lines.extend_from_slice(value);
        self.lines.push(b'\n');
        let end = self.lines.len();
        match self.runs.last_mut() {
            Some(run) if run.partition == partition => run.end = end,
            _ => self.runs.push(Run {
                partition: partition.to_owned(),
                end,
            }),
        }
    }

    /// Takes back the waiting lines of these queues.
    pub(crate) fn take_back(&mut self, queues: &[Queue]) {
        let names: Vec<String> = queues
            .iter()
            .map(|queue| format!("{}\t{}\t{}", queue.topic, queue.broker, queue.id))
            .collect();
        let lines = std::mem::take(&mut self.lines);
        let mut start = 0;
        for run in std::mem::take(&mut self.runs) {
            let range = start..run.end;
            start = run.end;
            if !names.contains(&run.partition) {
                self.lines
                    .extend_from_slice(lines.get(range).unwrap_or_default());
                self.runs.push(Run {
                    end: self.lines.len(),
                    ..run
                });
            }
        }
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lines.len()
    }

    /// Whether a handle is open.
    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Whether there is anything to remember.
    pub(crate) fn is_idle(&self) -> bool {
        self.file.is_none() && self.lines.is_empty() && !self.torn && !self.dirty
    }

    /// Opens the file; makes it and its directories where they are missing; cuts off a last line that
    /// has no end, or what a failed write has left.
    pub(crate) fn open(&mut self) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let (file, new) =
            open_or_create(&self.path).map_err(|error| open_failure(&self.path, error))?;
        let look = Look::at_file(&file).or_fail(&self.path)?;
        if !look.is_file {
            return Err(Failure::fatal(format!(
                "{} is not a regular file",
                self.path
            )));
        }
        let length = match self.length {
            Some(length) if self.torn => {
                if look.length < length {
                    warn!(
                        "{}: was shortened to {} bytes by someone else",
                        self.path, look.length
                    );
                }
                length.min(look.length)
            }
            _ => whole_lines(&file, look.length).or_fail(format_args!("reading {}", self.path))?,
        };
        if length < look.length {
            file.set_len(length).or_fail(format_args!(
                "cutting {} back to its last line end",
                self.path
            ))?;
            let cut = look.length - length;
            if self.torn {
                debug!(
                    "{}: took back {cut} bytes of a write that failed",
                    self.path
                );
            } else {
                warn!(
                    "{}: cut {cut} bytes of a line that was not written to its end",
                    self.path
                );
            }
            self.dirty = true;
        }
        self.torn = false;
        self.length = Some(length);
        self.new |= new;
        self.file = Some(file);
        Ok(())
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// Nothing of it is in the file then, and all of it still waits.
    pub(crate) fn write(&mut self) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.notice_change()?;
        self.open()?;
        let (Some(file), Some(length)) = (&mut self.file, self.length) else {
            return Err(Failure::fatal(format!("{} is not open", self.path)));
        };
        self.dirty = true;
        let expected = length + self.lines.len() as u64;
        let written = file
            .write_all(&self.lines)
            .and_then(|()| Look::at_file(file));
        let failure = match written {
            Ok(look) if look.length >= expected => {
                if look.length > expected {
                    warn!(
                        "{}: grew by {} bytes from elsewhere",
                        self.path,
                        look.length - expected
                    );
                }
                self.length = Some(look.length);
                self.lines.clear();
                self.runs.clear();
                return Ok(());
            }
            Ok(look) => Failure::retriable(format!(
                "is {} bytes long instead of {expected}",
                look.length
            )),
            Err(error) => write_failure(&error),
        };
        // A stream that has failed stays so; the next attempt has a new handle. What this one has left
        // is cut off now, to be tidy while waiting, and again then, in case that fails as well.
        self.torn = true;
        self.file = None;
        let undone = self.open();
        self.file = None;
        let failure = failure.during(format_args!("writing to {}", self.path));
        Err(match undone {
            Ok(()) => failure,
            Err(other) => {
                self.torn = true;
                debug!(
                    "{}: what was written of it is cut off with the next attempt: {other}",
                    self.path
                );
                failure
            }
        })
    }

    /// Looks at the file anew when it is not as it was left: someone else has shortened it or written
    /// to it, which nobody should, but a line must not be lost or torn for that.
    fn notice_change(&mut self) -> Result<()> {
        let (Some(file), Some(length)) = (&self.file, self.length) else {
            return Ok(());
        };
        let now = Look::at_file(file).or_fail(&self.path)?.length;
        if now != length {
            warn!(
                "{}: was changed by someone else from {length} to {now} bytes",
                self.path
            );
            self.file = None;
        }
        Ok(())
    }

    /// Waits until all that was written is on disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if !self.dirty && !self.new {
            return Ok(());
        }
        self.open()?;
        if let Some(file) = &self.file {
            file.sync_data()
                .or_fail(format_args!("syncing {}", self.path))?;
        }
        self.dirty = false;
        if std::mem::take(&mut self.new) {
            // Where a directory cannot be synced, its entries are written with the file.
            let folder = directory(&self.path);
            if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
                debug!("syncing the directory {folder}: {error}");
            }
        }
        Ok(())
    }

    /// Closes the handle; with `sync`, after what was written is on disk.
    pub(crate) fn close(&mut self, sync: bool) -> Result<()> {
        if sync {
            self.sync()?;
        }
        self.dirty &= sync;
        self.new = false;
        self.file = None;
        Ok(())
    }
}

/// Why a file cannot be opened. The sandbox has no word for a read-only file system.
fn open_failure(path: &str, error: io::Error) -> Failure {
    let unknown = !matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    ) && cfg!(target_family = "wasm");
    let hint = if unknown {
        " to append to it (is its file system read-only?)"
    } else {
        ""
    };
    Failure::from(error).during(format_args!("opening {path}{hint}"))
}

/// Why a write failed. The sandbox reports every failure of a write alike, a full disk too, so what is
/// not known to last may pass: the write is repeated until it does or somebody stops the task.
fn write_failure(error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem | Kind::FileTooLarge => {
            Failure::fatal(error.to_string())
        }
        Kind::StorageFull | Kind::QuotaExceeded => Failure::retriable(error.to_string()),
        _ => Failure::retriable(format!("{error}; the disk may be full")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_lost_queue_are_taken_back() {
        let queue = |id: i32| Queue::new("t", "b", id);
        let mut output = Output::new("x");
        for (id, text) in [(0, "a"), (0, "b"), (1, "c"), (0, "d"), (2, "e")] {
            output.add(&format!("t\tb\t{id}"), text.as_bytes());
        }
        output.take_back(&[queue(0)]);
        assert_eq!(output.lines, b"c\ne\n");
        output.take_back(&[queue(1), queue(2)]);
        assert_eq!((output.waiting(), output.runs.len()), (0, 0));
    }
}
