//! Has never anything, and says each time that more is ready at once.

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Idle;

impl Connector for Idle {
    fn describe() -> Description {
        Description::new(
            "idle-source",
            env!("CARGO_PKG_VERSION"),
            "Is always about to have something.",
        )
    }
}

impl Source for Idle {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Idle);
