//! Traps when it is asked what it is.

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Trapping;

impl Connector for Trapping {
    fn describe() -> Description {
        panic!("asked to trap in describe");
    }
}

impl Source for Trapping {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Trapping);
