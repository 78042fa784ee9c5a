//! Keeps what is put in memory and writes it to `out` at the flush alone, `most` records at a time,
//! and answers honestly how far that is. A flush without the file `needs` is answered retriable.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use connect_sdk::{
    Connector, Description, Failure, Flushed, Need, OptionSpec, Queue, QueueOffset, Records,
    Rejected, Result, Settings, Sink, SinkContext,
};

struct Flushing {
    settings: Settings,
    most: usize,
    kept: VecDeque<(Queue, u64, String)>,
    written: BTreeMap<Queue, u64>,
}

impl Connector for Flushing {
    fn describe() -> Description {
        Description::new(
            "flush-sink",
            env!("CARGO_PKG_VERSION"),
            "Writes at the flush alone, and not always everything.",
        )
        .option(
            OptionSpec::text("out")
                .required()
                .doc("file that gets a line `queue offset value` for each record"),
        )
        .option(
            OptionSpec::integer("most")
                .default(1_000_000)
                .doc("records that one flush writes"),
        )
        .option(OptionSpec::text("needs").doc("file without which nothing is flushed"))
    }

    fn needs(_: &Settings) -> Vec<Need> {
        vec![Need::write_directory(".")]
    }
}

impl Sink for Flushing {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            most: settings.parsed("most", "a number")?,
            kept: VecDeque::new(),
            written: BTreeMap::new(),
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        for record in records.records() {
            let queue = Queue::of(&record).ok_or_else(|| Failure::fatal("a record of no queue"))?;
            let value = String::from_utf8_lossy(record.value().unwrap_or_default());
            let line = format!("{} {} {value}\n", queue.id, record.offset());
            self.kept.push_back((queue, record.offset(), line));
        }
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        if let Some(needs) = self
            .settings
            .get("needs")
            .filter(|file| !Path::new(file).exists())
        {
            let reason = format!("there is no {needs}");
            return Err(Failure::retriable(reason).after(Duration::from_millis(20)));
        }
        let out = self.settings.text("out")?;
        let mut file = OpenOptions::new().append(true).create(true).open(out)?;
        for (queue, offset, line) in self.kept.drain(..self.most.min(self.kept.len())) {
            file.write_all(line.as_bytes())?;
            self.written.insert(queue, offset + 1);
        }
        let upto = self.written.iter().map(|(queue, next)| QueueOffset {
            queue: queue.clone(),
            next: *next,
        });
        Ok(Flushed::upto(upto.collect()))
    }
}

connect_sdk::register!(sink: Flushing);
