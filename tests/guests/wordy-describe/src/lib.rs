//! Describes itself with 12 MB: more than a description may have, though not more than may cross the
//! wall at once.

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Wordy;

impl Connector for Wordy {
    fn describe() -> Description {
        let name = "n".repeat(6_000_000);
        Description::new(&name, env!("CARGO_PKG_VERSION"), "d".repeat(6_000_000))
    }
}

impl Source for Wordy {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Wordy);
