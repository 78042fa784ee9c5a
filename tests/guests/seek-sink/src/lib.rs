//! Seeks to `from` in all its queues when it is opened and pauses queue `paused` until there is the
//! file `until`. The first record of value `again` makes it seek back to `back`. All goes to `out`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use connect_sdk::{
    Connector, Description, Failure, Flushed, Need, OptionSpec, Queue, QueueOffset, Records,
    Rejected, Result, Settings, Sink, SinkContext,
};

struct Seeking {
    context: SinkContext,
    settings: Settings,
    sought: bool,
}

impl Connector for Seeking {
    fn describe() -> Description {
        let integer = |key| OptionSpec::integer(key).required();
        let text = |key| OptionSpec::text(key).required();
        Description::new(
            "seek-sink",
            env!("CARGO_PKG_VERSION"),
            "Seeks, pauses and resumes.",
        )
        .option(integer("from").doc("offset to begin with, whatever is stored"))
        .option(integer("paused").doc("number of the queue that waits"))
        .option(text("until").doc("file that ends the wait"))
        .option(text("again").doc("value after which it seeks back, once"))
        .option(integer("back").doc("offset to seek back to"))
        .option(text("out").doc("file that gets a line `queue offset value` for each record"))
    }

    fn needs(_: &Settings) -> Vec<Need> {
        vec![Need::write_directory(".")]
    }
}

impl Seeking {
    fn paused(&self) -> Result<Vec<Queue>> {
        let id: i32 = self.settings.parsed("paused", "a queue")?;
        let mut queues = self.context.assignment();
        queues.retain(|queue| queue.id == id);
        Ok(queues)
    }
}

impl Sink for Seeking {
    fn open(settings: &Settings, context: SinkContext) -> Result<Self> {
        let seeking = Self {
            context,
            settings: settings.clone(),
            sought: false,
        };
        context.pause(&seeking.paused()?);
        Ok(seeking)
    }

    fn assigned(&mut self, queues: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        let from = self.settings.parsed("from", "an offset")?;
        for known in queues {
            self.context.seek(&known.queue, from);
        }
        Ok(Vec::new())
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        let out = self.settings.text("out")?;
        let mut out = OpenOptions::new().append(true).create(true).open(out)?;
        for record in records.records() {
            let queue = Queue::of(&record).ok_or_else(|| Failure::fatal("a record of no queue"))?;
            let value = String::from_utf8_lossy(record.value().unwrap_or_default());
            out.write_all(format!("{} {} {value}\n", queue.id, record.offset()).as_bytes())?;
            if !self.sought && value == self.settings.text("again")? {
                self.sought = true;
                self.context
                    .seek(&queue, self.settings.parsed("back", "an offset")?);
            }
        }
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        if Path::new(self.settings.text("until")?).exists() {
            self.context.resume(&self.paused()?);
        }
        Ok(Flushed::all())
    }
}

connect_sdk::register!(sink: Seeking);
