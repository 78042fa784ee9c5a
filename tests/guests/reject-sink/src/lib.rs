//! Rejects the records whose value contains `text`, with its offset in the reason, which gets
//! `reason-bytes` longer; with
//! `late=true` at the flush instead of at once. With `honest=true` a flush lists the queues of which it
//! has something durable, each up to its first rejected record, and no other queue.

use connect_sdk::{
    Connector, Description, Flushed, Late, OptionSpec, Queue, QueueOffset, Record, Records,
    Rejected, Result, Settings, Sink, SinkContext,
};

struct Rejecting {
    text: String,
    late: bool,
    honest: bool,
    more: String,
    bad: Vec<Late>,
    /// Where each queue stands, and whether a rejected record keeps it there.
    good: Vec<(QueueOffset, bool)>,
}

impl Rejecting {
    fn note(&mut self, record: &Record<'_>, bad: bool) {
        let Some(queue) = Queue::of(record) else {
            return;
        };
        let known = self.good.iter_mut().find(|(end, _)| end.queue == queue);
        match known {
            Some((_, stands @ false)) if bad => *stands = true,
            Some((end, false)) => end.next = record.offset() + 1,
            Some((_, true)) => {}
            None => {
                let next = if bad { 0 } else { record.offset() + 1 };
                self.good.push((QueueOffset { queue, next }, bad));
            }
        }
    }
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
        .option(OptionSpec::integer("reason-bytes").default(0))
        .option(
            OptionSpec::boolean("honest")
                .default(false)
                .doc("flush tells up to where it is durable"),
        )
    }
}

impl Sink for Rejecting {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            text: settings.text("text")?.to_owned(),
            late: settings.boolean("late")?,
            honest: settings.boolean("honest")?,
            more: "x".repeat(settings.parsed("reason-bytes", "a number")?),
            bad: Vec::new(),
            good: Vec::new(),
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        let mut rejected = Vec::new();
        for record in records.records() {
            let value = String::from_utf8_lossy(record.value().unwrap_or_default());
            let bad = value.contains(&self.text);
            self.note(&record, bad);
            if !bad {
                continue;
            }
            let (text, more) = (&self.text, &self.more);
            let reason = format!("contains {text:?}, offset {}{more}", record.offset());
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
            upto: self.honest.then(|| {
                let ends = self.good.iter().map(|(end, _)| end);
                ends.filter(|end| end.next > 0).cloned().collect()
            }),
            rejected: std::mem::take(&mut self.bad),
        })
    }
}

connect_sdk::register!(sink: Rejecting);
