//! The sink as the worker drives it, on real files.

mod crashes;
mod files;
mod names;
mod writes;

use std::fs;
use std::path::PathBuf;

use connect_sdk::testing::{SinkDriver, TestRecord, record};
use connect_sdk::{Queue, Settings};
use tempfile::TempDir;

use crate::FileSink;

type Driver = SinkDriver<FileSink>;

/// A folder that files are written to.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn settings(&self, name: &str) -> Settings {
        Settings::from([("filename", format!("{}/{name}", self.0.path().display()))])
    }

    fn open(&self, name: &str) -> Driver {
        Driver::open(self.settings(name)).unwrap()
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into_owned()
    }
}

fn records(texts: &[&str]) -> Vec<TestRecord> {
    texts.iter().map(|text| record(*text)).collect()
}

fn from(topic: &str, id: i32, text: &str) -> TestRecord {
    record(text).from_queue(&Queue::new(topic, "broker-a", id), 0)
}
