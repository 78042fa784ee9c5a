//! Takes everything, keeps nothing, and logs at every flush how much it was.

use connect_sdk::{
    Connector, Description, Flushed, Records, Rejected, Result, Settings, Sink, SinkContext, info,
};

#[derive(Default)]
struct Counting {
    records: u64,
    bytes: u64,
}

impl Connector for Counting {
    fn describe() -> Description {
        Description::new(
            "counting-sink",
            env!("CARGO_PKG_VERSION"),
            "Counts and forgets.",
        )
    }
}

impl Sink for Counting {
    fn open(_: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self::default())
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        self.records += records.len() as u64;
        self.bytes += records
            .records()
            .map(|record| record.value().unwrap_or_default().len() as u64)
            .sum::<u64>();
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        info!("{} records, {} bytes", self.records, self.bytes);
        Ok(Flushed::all())
    }
}

connect_sdk::register!(sink: Counting);
