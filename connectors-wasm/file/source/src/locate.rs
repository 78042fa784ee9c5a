//! Finds the file that a stored position belongs to: the one that has the path now, or, when that
//! was rotated away, the one beside it that begins as the old one did. Reads no lines.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::time::SystemTime;

use connect_sdk::{Failure, OrFail, Result};
use file_shared::{HEAD, Look, directory, name};

use crate::position::{At, Position};

/// Directory entries looked at when searching for a rotated file.
const ENTRIES: usize = 10_000;

/// An open file and which one it is.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) file: Rc<File>,
    pub(crate) look: Look,
}

/// Opens the file that has this path now; nothing when there is none.
pub(crate) fn open(path: &str) -> Result<Option<Open>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::from(error).during(format_args!("opening {path}"))),
    };
    let look = Look::at_file(&file).or_fail(path)?;
    if !look.is_file {
        return Err(Failure::fatal(format!("{path} is not a regular file")));
    }
    Ok(Some(Open {
        file: Rc::new(file),
        look,
    }))
}

/// Whether `file` is the one that was read up to `position`: it is long enough, begins with the same
/// bytes, and has a line end where one was seen. Leaves the file at some other place.
pub(crate) fn continues(file: &File, position: &Position) -> io::Result<bool> {
    if Look::at_file(file)?.length < position.offset || !begins_as(file, position)? {
        return Ok(false);
    }
    if position.at == At::Inside || position.offset == 0 {
        return Ok(true);
    }
    Ok(matches!(
        read_at(file, position.offset - 1, 1)?.first(),
        Some(b'\n' | b'\r')
    ))
}

/// Whether `file` begins with the bytes whose mark `position` has.
pub(crate) fn begins_as(file: &File, position: &Position) -> io::Result<bool> {
    let length = position.head.length();
    Ok(length == 0
        || position
            .head
            .is_mark_of(&read_at(file, 0, length.min(HEAD))?))
}

fn read_at(mut file: &File, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(count);
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The file beside `path` that was read up to `position` and has another name by now; of several the
/// one that was written last. Its name must begin like that of `path` up to the first dot, so that a
/// neighbour with the same first lines is not taken for it; nor is any of `others`.
pub(crate) fn rotated(
    path: &str,
    position: &Position,
    others: &[String],
) -> Result<Option<(String, Open)>> {
    let folder = directory(path);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::from(error).during(format_args!("looking through {folder}")));
        }
    };
    let stem = name(path)
        .split('.')
        .find(|part| !part.is_empty())
        .unwrap_or(name(path));
    let mut best: Option<(Option<SystemTime>, String, Open)> = None;
    for entry in entries.take(ENTRIES) {
        // Files come and go while one looks; a name that is not UTF-8 cannot be opened from here.
        let Some(entry_name) = entry
            .ok()
            .and_then(|entry| entry.file_name().into_string().ok())
        else {
            continue;
        };
        let candidate = path
            .strip_suffix(name(path))
            .map(|front| format!("{front}{entry_name}"))
            .unwrap_or_default();
        if !entry_name.trim_start_matches('.').starts_with(stem)
            || candidate == path
            || others.contains(&candidate)
        {
            continue;
        }
        let Ok(Some(opened)) = open(&candidate) else {
            continue;
        };
        if !continues(&opened.file, position).unwrap_or(false) {
            continue;
        }
        let written = fs::metadata(&candidate)
            .and_then(|found| found.modified())
            .ok();
        if best.as_ref().is_none_or(|(best, ..)| *best < written) {
            best = Some((written, candidate, opened));
        }
    }
    Ok(best.map(|(_, candidate, opened)| (candidate, opened)))
}
