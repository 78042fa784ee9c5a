//! Traps with the record number `records` (from 1), counted over all batches; in another export when
//! `in` says so, in `assigned` once it is open.

use connect_sdk::{
    Connector, Description, Flushed, OptionSpec, Queue, QueueOffset, Records, Rejected, Result,
    Settings, Sink, SinkContext,
};

struct Trapping {
    place: String,
    records: u64,
    taken: u64,
    opened: bool,
}

impl Connector for Trapping {
    fn describe() -> Description {
        Description::new(
            "trap-sink",
            env!("CARGO_PKG_VERSION"),
            "Traps where it is told to.",
        )
        .option(
            OptionSpec::text("in")
                .default("put")
                .allowed(["put", "flush", "close", "open", "assigned", "revoked"]),
        )
        .option(
            OptionSpec::integer("records")
                .default(1)
                .doc("which record traps"),
        )
    }
}

impl Sink for Trapping {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        let place = settings.text("in")?.to_owned();
        assert_ne!(place, "open", "asked to trap in open");
        Ok(Self {
            place,
            records: settings.parsed("records", "a number")?,
            taken: 0,
            opened: false,
        })
    }

    fn assigned(&mut self, _: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        // The SDK tells of the first queues from within `open`.
        let first = !std::mem::replace(&mut self.opened, true);
        assert!(
            first || self.place != "assigned",
            "asked to trap in assigned"
        );
        Ok(Vec::new())
    }

    fn revoked(&mut self, _: &[Queue], _: bool) -> Result<()> {
        assert_ne!(self.place, "revoked", "asked to trap in revoked");
        Ok(())
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        self.taken += records.len() as u64;
        assert!(
            self.place != "put" || self.taken < self.records,
            "asked to trap in put"
        );
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        assert_ne!(self.place, "flush", "asked to trap in flush");
        Ok(Flushed::all())
    }

    fn close(&mut self) -> Result<()> {
        assert_ne!(self.place, "close", "asked to trap in close");
        Ok(())
    }
}

connect_sdk::register!(sink: Trapping);
