//! A sink that reads of each record what is asked for, or nothing. Must use the SDK as any plugin does.

use connect_bench_shared::read;
use connect_sdk::{
    Connector, Description, OptionSpec, Records, Rejected, Result, Settings, Sink, SinkContext,
};

struct Bench {
    read: bool,
    sum: u64,
}

impl Connector for Bench {
    fn describe() -> Description {
        Description::new(
            "bench-sink",
            env!("CARGO_PKG_VERSION"),
            "Takes batches to be measured.",
        )
        .option(
            OptionSpec::boolean("read")
                .required()
                .doc("whether to look at the records"),
        )
    }
}

impl Sink for Bench {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            read: settings.boolean("read")?,
            sum: 0,
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        if self.read {
            self.sum = std::hint::black_box(self.sum.wrapping_add(read(records)));
        }
        Ok(Vec::new())
    }
}

connect_sdk::register!(sink: Bench);
