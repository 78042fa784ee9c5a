//! Rejects the records whose value ends with `text`, but only in a put that holds some of two queues:
//! until one does, it seeks back and pauses until the next flush. What it takes goes to `out`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;

use connect_sdk::{
    Connector, Description, Failure, Flushed, Need, OptionSpec, Queue, Records, Rejected, Result,
    Settings, Sink, SinkContext,
};

struct Rejecting {
    context: SinkContext,
    text: String,
    out: String,
}

impl Connector for Rejecting {
    fn describe() -> Description {
        Description::new(
            "reject-two-sink",
            env!("CARGO_PKG_VERSION"),
            "Rejects records of two queues at once.",
        )
        .option(
            OptionSpec::text("text")
                .required()
                .doc("how a rejected value ends"),
        )
        .option(
            OptionSpec::text("out")
                .required()
                .doc("file that gets a line `queue offset value` for each record taken"),
        )
    }

    fn needs(_: &Settings) -> Vec<Need> {
        vec![Need::write_directory(".")]
    }
}

impl Sink for Rejecting {
    fn open(settings: &Settings, context: SinkContext) -> Result<Self> {
        Ok(Self {
            context,
            text: settings.text("text")?.to_owned(),
            out: settings.text("out")?.to_owned(),
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        let mut first: BTreeMap<Queue, u64> = BTreeMap::new();
        let mut bad: Vec<Queue> = Vec::new();
        let mut rejected = Vec::new();
        let mut taken = String::new();
        for record in records.records() {
            let queue = Queue::of(&record).ok_or_else(|| Failure::fatal("a record of no queue"))?;
            first.entry(queue.clone()).or_insert(record.offset());
            let value = String::from_utf8_lossy(record.value().unwrap_or_default());
            if value.ends_with(&self.text) {
                let reason = format!("number {} ends with {}", rejected.len() + 1, self.text);
                rejected.push(Rejected::new(&record, reason));
                if !bad.contains(&queue) {
                    bad.push(queue);
                }
            } else {
                taken += &format!("{} {} {value}\n", queue.id, record.offset());
            }
        }
        if bad.len() == 1 {
            for (queue, offset) in first {
                self.context.seek(&queue, offset);
                self.context.pause(&[queue]);
            }
            return Ok(Vec::new());
        }
        let mut out = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.out)?;
        out.write_all(taken.as_bytes())?;
        Ok(rejected)
    }

    fn flush(&mut self) -> Result<Flushed> {
        self.context.resume(&self.context.assignment());
        Ok(Flushed::all())
    }
}

connect_sdk::register!(sink: Rejecting);
