//! Rejects records that are not there: one behind the batch (`behind`), the same one twice (`twice`),
//! or says at the flush that more is durable than was put (`ahead`) or another's queue is (`foreign`).

use connect_sdk::{
    Connector, Description, Flushed, OptionSpec, Queue, QueueOffset, Records, Rejected, Result,
    Settings, Sink, SinkContext,
};

struct Lying {
    what: String,
    last: Option<Queue>,
}

impl Connector for Lying {
    fn describe() -> Description {
        Description::new(
            "bad-reject-index",
            env!("CARGO_PKG_VERSION"),
            "Answers what cannot be.",
        )
        .option(
            OptionSpec::text("what")
                .default("behind")
                .allowed(["behind", "twice", "ahead", "foreign"]),
        )
    }
}

impl Sink for Lying {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            what: settings.text("what")?.to_owned(),
            last: None,
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        self.last = records.record(0).and_then(|record| Queue::of(&record));
        let rejected = |index| Rejected {
            index,
            reason: "a lie".into(),
        };
        Ok(match self.what.as_str() {
            "behind" => vec![rejected(records.len() as u32)],
            "twice" => vec![rejected(0), rejected(0)],
            _ => Vec::new(),
        })
    }

    fn flush(&mut self) -> Result<Flushed> {
        Ok(match (self.what.as_str(), self.last.clone()) {
            ("ahead", Some(queue)) => Flushed::upto(vec![QueueOffset {
                queue,
                next: u64::MAX,
            }]),
            ("foreign", _) => Flushed::upto(vec![QueueOffset {
                queue: Queue::new("no", "such", 7),
                next: 1,
            }]),
            _ => Flushed::all(),
        })
    }
}

connect_sdk::register!(sink: Lying);
