//! Opening a file to append to it, and finding where its last whole line ends. Changes nothing in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};

use file_shared::directory;

/// How much of a torn last line is looked at in one step.
const BLOCK: usize = 64 * 1024;

/// Opens a file for appending, and whether it was made.
pub(crate) fn open_or_create(path: &str) -> io::Result<(File, bool)> {
    let open = |create: bool| {
        OpenOptions::new()
            .read(true)
            .append(true)
            .create(create)
            .open(path)
    };
    match open(false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => match open(true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(directory(path))?;
                open(true).map(|file| (file, true))
            }
            made => made.map(|file| (file, true)),
        },
        found => found.map(|file| (file, false)),
    }
}

/// How many of the first `length` bytes of a file are whole lines.
pub(crate) fn whole_lines(mut file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut block = vec![0; 1];
    while end > 0 {
        let size = end.min(block.len() as u64);
        let begin = end - size;
        let bytes = block.get_mut(..size as usize).unwrap_or_default();
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(bytes)?;
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
        // Nearly always the last byte is a line end and nothing more is read.
        block.resize(BLOCK, 0);
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn whole_lines_end_with_the_last_line_end() {
        for (content, whole) in [
            (b"".to_vec(), 0),
            (b"a\n".to_vec(), 2),
            (b"a\nb".to_vec(), 2),
            (b"no end at all".to_vec(), 0),
            ([b"a\n".to_vec(), vec![b'x'; 3 * BLOCK]].concat(), 2),
            (vec![b'x'; 2 * BLOCK], 0),
            (b"\n\n\r".to_vec(), 2),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            assert_eq!(whole_lines(&file, content.len() as u64).unwrap(), whole);
        }
    }
}
