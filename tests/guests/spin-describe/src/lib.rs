//! Never returns from `describe`, so it can never be loaded.

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Spin;

impl Connector for Spin {
    fn describe() -> Description {
        loop {
            std::hint::black_box(());
        }
    }
}

impl Source for Spin {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Spin);
