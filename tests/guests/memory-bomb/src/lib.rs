//! Takes memory until there is no more: in steps of `step` bytes a poll, all kept; with a large step
//! at once.

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct Bomb {
    step: usize,
    kept: Vec<Vec<u8>>,
}

impl Connector for Bomb {
    fn describe() -> Description {
        Description::new(
            "memory-bomb",
            env!("CARGO_PKG_VERSION"),
            "Takes all memory it gets.",
        )
        .option(
            OptionSpec::size("step")
                .default(1 << 20)
                .doc("bytes more with each poll"),
        )
    }
}

impl Source for Bomb {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            step: settings.parsed("step", "a number")?,
            kept: Vec::new(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        self.kept.push(vec![1; self.step]);
        let kept = self.kept.len().to_string();
        batch
            .add()
            .partition("p")
            .position(kept.as_bytes())
            .value(kept.as_bytes())
            .finish()?;
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Bomb);
