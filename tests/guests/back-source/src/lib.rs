//! Lies about how far it is: each record's position is smaller than the one before. With `what=forget`
//! it also forgets the partition, and moves on in it, in the very answer that has a record of it.

use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct Back {
    forget: bool,
    at: u64,
}

impl Connector for Back {
    fn describe() -> Description {
        Description::new("back-source", env!("CARGO_PKG_VERSION"), "Goes backwards.").option(
            OptionSpec::text("what")
                .default("back")
                .allowed(["back", "forget"]),
        )
    }
}

impl Source for Back {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            forget: settings.text("what")? == "forget",
            at: 1_000_000,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        self.at -= 1;
        let position = self.at.to_string();
        batch
            .add()
            .partition("p")
            .position(position.as_bytes())
            .value(position.as_bytes())
            .finish()?;
        if self.forget {
            batch.forget("p");
            batch.progress("p", "0");
        }
        Ok(Next::After(Duration::from_millis(10)))
    }
}

connect_sdk::register!(source: Back);
