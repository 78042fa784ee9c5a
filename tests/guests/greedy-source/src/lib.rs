//! Asks the host for more and more of one thing with each poll: `what=handles` opens `step` of them
//! and keeps them, `what=random` takes `step` random bytes at once. Emits how much that was.
#![allow(unsafe_code, reason = "generated code")]

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

// The standard library lets nobody hold a handle without a directory, nor choose how many random
// bytes are fetched at a time; only what is called here is written down.
wit_bindgen::generate!({
    inline: "
        package tests:greedy;
        world greedy {
            import wasi:clocks/monotonic-clock@0.2.1;
            import wasi:random/random@0.2.1;
        }
        package wasi:io@0.2.1 {
            interface poll { resource pollable; }
        }
        package wasi:clocks@0.2.1 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.1.{pollable};
                type duration = u64;
                subscribe-duration: func(when: duration) -> pollable;
            }
        }
        package wasi:random@0.2.1 {
            interface random { get-random-bytes: func(len: u64) -> list<u8>; }
        }
    ",
    world: "tests:greedy/greedy",
    generate_all,
});

use wasi::clocks::monotonic_clock::{Pollable, subscribe_duration};
use wasi::random::random::get_random_bytes;

struct Greedy {
    random: bool,
    step: u64,
    held: Vec<Pollable>,
}

impl Connector for Greedy {
    fn describe() -> Description {
        Description::new("greedy-source", env!("CARGO_PKG_VERSION"), "Wants more.")
            .option(
                OptionSpec::text("what")
                    .default("handles")
                    .allowed(["handles", "random"]),
            )
            .option(
                OptionSpec::integer("step")
                    .default(1)
                    .doc("how much a poll"),
            )
    }
}

impl Source for Greedy {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            random: settings.text("what")? == "random",
            step: settings.parsed("step", "a number")?,
            held: Vec::new(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let got = if self.random {
            get_random_bytes(self.step).len()
        } else {
            self.held.extend((0..self.step).map(subscribe_duration));
            self.held.len()
        };
        batch
            .add()
            .partition("p")
            .position(b"0")
            .value(got.to_string().as_bytes())
            .finish()?;
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Greedy);
