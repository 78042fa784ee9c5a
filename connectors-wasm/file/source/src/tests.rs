//! The source as the worker drives it, on real files.

mod lines;
mod records;
mod replaced;
mod restarts;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use connect_sdk::testing::{SourceDriver, TestRecord};
use connect_sdk::{Result, Settings};
use tempfile::TempDir;

use crate::FileSource;

type Driver = SourceDriver<FileSource>;

/// A folder with files in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Settings that read `name` and wait for nothing.
    fn settings(&self, name: &str) -> Settings {
        Settings::from([
            ("filename", self.name(name).as_str()),
            ("rotate.wait", "0"),
            ("last.line.wait", "0"),
        ])
    }

    fn open(&self, name: &str) -> Driver {
        Driver::open(self.settings(name)).unwrap()
    }
}

/// Everything that is there now.
fn drain(source: &mut Driver) -> Result<Vec<TestRecord>> {
    let mut records = Vec::new();
    loop {
        let polled = source.poll()?;
        records.extend(polled.records);
        if !polled.wait.is_zero() {
            return Ok(records);
        }
    }
}

/// Everything that is there now, as text.
fn texts(source: &mut Driver) -> Vec<String> {
    drain(source)
        .unwrap()
        .iter()
        .map(TestRecord::text)
        .collect()
}

/// How many messages of a level hold this text.
fn said(source: &Driver, text: &str) -> usize {
    source
        .messages()
        .iter()
        .filter(|(_, message)| message.contains(text))
        .count()
}
