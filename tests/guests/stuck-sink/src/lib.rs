//! Takes no record: answers retriable for ever (`how=retry`), waits inside a host call (`how=wait`)
//! or turns in a circle (`how=spin`). `how=slow` takes each batch after `ms`.
#![allow(clippy::disallowed_methods, reason = "to be stuck is what it is for")]

use std::time::Duration;

use connect_sdk::{
    Connector, Description, Failure, OptionSpec, Records, Rejected, Result, Settings, Sink,
    SinkContext,
};

struct Stuck {
    how: String,
    pause: Duration,
}

impl Connector for Stuck {
    fn describe() -> Description {
        Description::new(
            "stuck-sink",
            env!("CARGO_PKG_VERSION"),
            "Stops taking records.",
        )
        .option(
            OptionSpec::text("how")
                .default("retry")
                .allowed(["retry", "wait", "spin", "slow"]),
        )
        .option(
            OptionSpec::duration("ms")
                .default(100)
                .doc("pause of a retry or of a slow batch"),
        )
    }
}

impl Sink for Stuck {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            how: settings.text("how")?.to_owned(),
            pause: settings.duration("ms")?,
        })
    }

    fn put(&mut self, _: &Records<'_>) -> Result<Vec<Rejected>> {
        match self.how.as_str() {
            "retry" => return Err(Failure::retriable("not now").after(self.pause)),
            "wait" => {
                connect_sdk::info!("waits inside put");
                std::thread::sleep(Duration::from_secs(1_000_000));
            }
            "spin" => loop {
                std::hint::black_box(());
            },
            _ => std::thread::sleep(self.pause),
        }
        Ok(Vec::new())
    }
}

connect_sdk::register!(sink: Stuck);
