//! Measures how old each record of a stamped `seq-source` is when it arrives, and whether one is
//! missing. Appends to `out`, at each flush, 4 bytes a record: microseconds, little-endian; the
//! largest number stands for records that are missing before this one.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use connect_sdk::{
    Connector, Description, Failure, Flushed, Need, OptionSpec, Records, Rejected, Result,
    Settings, Sink, SinkContext,
};

struct Latency {
    out: String,
    next: HashMap<String, u64>,
    measured: Vec<u8>,
}

impl Connector for Latency {
    fn describe() -> Description {
        Description::new(
            "latency-sink",
            env!("CARGO_PKG_VERSION"),
            "Measures how old records are.",
        )
        .option(
            OptionSpec::text("out")
                .required()
                .doc("file that gets the figures"),
        )
    }

    fn needs(_: &Settings) -> Vec<Need> {
        vec![Need::write_directory(".")]
    }
}

/// Partition, number and moment of `p0-17@1700000000000000xxx`.
fn stamped(value: &str) -> Option<(&str, u64, u64)> {
    let (partition, rest) = value.split_once('-')?;
    let (number, stamp) = rest.split_once('@')?;
    let stamp = stamp.trim_end_matches('x');
    Some((partition, number.parse().ok()?, stamp.parse().ok()?))
}

impl Sink for Latency {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            out: settings.text("out")?.to_owned(),
            next: HashMap::new(),
            measured: Vec::new(),
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_micros() as u64;
        for record in records.records() {
            let value = std::str::from_utf8(record.value().unwrap_or_default()).unwrap_or_default();
            let (partition, number, stamp) =
                stamped(value).ok_or_else(|| Failure::fatal("a record without a stamp"))?;
            let age = u32::try_from(now.saturating_sub(stamp)).unwrap_or(u32::MAX);
            let mut age = age.min(u32::MAX - 1);
            match self.next.get_mut(partition) {
                Some(next) => {
                    if number > *next {
                        age = u32::MAX;
                    }
                    *next = (*next).max(number + 1);
                }
                None => {
                    self.next.insert(partition.to_owned(), number + 1);
                }
            }
            self.measured.extend(age.to_le_bytes());
        }
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.out)?;
        file.write_all(&self.measured)?;
        self.measured.clear();
        Ok(Flushed::all())
    }
}

connect_sdk::register!(sink: Latency);
