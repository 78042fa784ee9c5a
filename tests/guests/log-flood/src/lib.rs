//! Logs `lines` lines of `bytes` bytes with each poll, and as many to stdout and stderr.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext, info,
};

struct Flood {
    lines: u64,
    text: String,
}

impl Connector for Flood {
    fn describe() -> Description {
        Description::new("log-flood", env!("CARGO_PKG_VERSION"), "Logs too much.")
            .option(OptionSpec::integer("lines").default(10_000))
            .option(OptionSpec::integer("bytes").default(100))
    }
}

impl Source for Flood {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        let text = "log ".repeat(settings.parsed::<usize>("bytes", "a number")? / 4);
        Ok(Self {
            lines: settings.parsed("lines", "a number")?,
            text,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        for _ in 0..self.lines {
            info!("{}", self.text);
            println!("{}", self.text);
            eprintln!("{}", self.text);
        }
        batch
            .add()
            .partition("p")
            .position(b"0")
            .value(b"logged")
            .finish()?;
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Flood);
