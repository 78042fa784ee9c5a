//! Never returns from the export of a sink that `in` names.

use connect_sdk::{
    Connector, Description, Flushed, OptionSpec, Queue, QueueOffset, Records, Rejected, Result,
    Settings, Sink, SinkContext,
};

struct Spin {
    place: String,
    /// The SDK tells of the first queues from within `open`.
    opened: bool,
}

impl Spin {
    fn here(&self, place: &str) {
        if self.place == place {
            loop {
                std::hint::black_box(place);
            }
        }
    }
}

impl Connector for Spin {
    fn describe() -> Description {
        Description::new("spin-sink", env!("CARGO_PKG_VERSION"), "Never returns.")
            .option(OptionSpec::text("in").default("put"))
    }
}

impl Sink for Spin {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        let spin = Self {
            place: settings.text("in")?.to_owned(),
            opened: false,
        };
        spin.here("open");
        Ok(spin)
    }

    fn assigned(&mut self, _: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        if std::mem::replace(&mut self.opened, true) {
            self.here("assigned");
        }
        Ok(Vec::new())
    }

    fn revoked(&mut self, _: &[Queue], _: bool) -> Result<()> {
        self.here("revoked");
        Ok(())
    }

    fn put(&mut self, _: &Records<'_>) -> Result<Vec<Rejected>> {
        self.here("put");
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        self.here("flush");
        Ok(Flushed::all())
    }

    fn close(&mut self) -> Result<()> {
        self.here("close");
        Ok(())
    }
}

connect_sdk::register!(sink: Spin);
