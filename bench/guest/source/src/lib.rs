//! A source that answers every poll with the same records, built anew. Must use the SDK as any plugin does.

use connect_bench_shared::{Sample, samples};
use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct Bench {
    samples: Vec<Sample>,
}

impl Connector for Bench {
    fn describe() -> Description {
        Description::new(
            "bench-source",
            env!("CARGO_PKG_VERSION"),
            "Builds batches to be measured.",
        )
        .option(
            OptionSpec::integer("records")
                .required()
                .doc("records a batch"),
        )
        .option(
            OptionSpec::integer("value-bytes")
                .required()
                .doc("bytes a value"),
        )
    }
}

impl Source for Bench {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        let records = settings.parsed("records", "a number")?;
        let value_bytes = settings.parsed("value-bytes", "a number")?;
        Ok(Self {
            samples: samples(records, value_bytes),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        for sample in &self.samples {
            sample.write(batch.add())?;
        }
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Bench);
