//! Calls itself without end in `poll`.

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Deep;

#[inline(never)]
fn deeper(level: u64) -> u64 {
    std::hint::black_box(if level == u64::MAX {
        0
    } else {
        deeper(level + 1) + 1
    })
}

impl Connector for Deep {
    fn describe() -> Description {
        Description::new(
            "stack-overflow",
            env!("CARGO_PKG_VERSION"),
            "Calls itself without end.",
        )
    }
}

impl Source for Deep {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        batch.progress("p", deeper(0).to_string());
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Deep);
