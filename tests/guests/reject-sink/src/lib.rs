//! Rejects the records whose value contains `text`, with its offset in the reason; with
//! `late=true` at the flush instead of at once.

use connect_sdk::{
    Connector, Description, Flushed, Late, OptionSpec, Queue, Records, Rejected, Result, Settings,
    Sink, SinkContext,
};

struct Rejecting {
    text: String,
    late: bool,
    bad: Vec<Late>,
}

impl Connector for Rejecting {
    fn describe() -> Description {
        Description::new(
            "reject-sink",
            env!("CARGO_PKG_VERSION"),
            "Rejects some records.",
        )
        .option(
            OptionSpec::text("text")
                .required()
                .doc("what a rejected value contains"),
        )
        .option(
            OptionSpec::boolean("late")
                .default(false)
                .doc("reject at the flush"),
        )
    }
}

impl Sink for Rejecting {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            text: settings.text("text")?.to_owned(),
            late: settings.boolean("late")?,
            bad: Vec::new(),
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        let mut rejected = Vec::new();
        for record in records.records() {
            if !String::from_utf8_lossy(record.value().unwrap_or_default()).contains(&self.text) {
                continue;
            }
            let reason = format!("contains {:?}, offset {}", self.text, record.offset());
            match Queue::of(&record).filter(|_| self.late) {
                Some(queue) => self.bad.push(Late {
                    queue,
                    offset: record.offset(),
                    reason,
                }),
                None => rejected.push(Rejected::new(&record, reason)),
            }
        }
        Ok(rejected)
    }

    fn flush(&mut self) -> Result<Flushed> {
        Ok(Flushed {
            upto: None,
            rejected: std::mem::take(&mut self.bad),
        })
    }
}

connect_sdk::register!(sink: Rejecting);
