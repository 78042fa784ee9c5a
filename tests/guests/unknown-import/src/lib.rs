//! A source that also wants something that no worker has: the plugin must be refused, naming it.
#![allow(unsafe_code, reason = "generated code")]

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

wit_bindgen::generate!({
    inline: "
        package other:thing@1.0.0;
        interface oracle { answer: func() -> u32; }
        world wants { import oracle; }
    ",
    generate_all,
});

struct Wants;

impl Connector for Wants {
    fn describe() -> Description {
        Description::new(
            "unknown-import",
            env!("CARGO_PKG_VERSION"),
            "Wants what there is not.",
        )
    }
}

impl Source for Wants {
    fn open(_: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self)
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        batch.progress("p", other::thing::oracle::answer().to_le_bytes());
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Wants);
