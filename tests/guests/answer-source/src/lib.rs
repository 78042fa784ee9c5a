//! Answers `open` or `poll` (`in`) with `answer`: retriable, invalid or fatal, the first `times`
//! times; then one record a poll. The reason is `reason-bytes` long.

use std::cell::Cell;

use connect_sdk::{
    Batch, Connector, Description, Failure, Next, OptionSpec, Result, Settings, Source,
    SourceContext,
};

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

struct Answering {
    settings: Settings,
}

fn answer(settings: &Settings, here: &str) -> Result<()> {
    if settings.text("in")? != here
        || ASKED.replace(ASKED.get() + 1) >= settings.parsed("times", "a number")?
    {
        return Ok(());
    }
    let reason = "r".repeat(settings.parsed("reason-bytes", "a number")?);
    Err(match settings.text("answer")? {
        "retriable" => Failure::retriable(reason),
        "invalid" => Failure::invalid("answer", reason),
        _ => Failure::fatal(reason),
    })
}

impl Connector for Answering {
    fn describe() -> Description {
        Description::new(
            "answer-source",
            env!("CARGO_PKG_VERSION"),
            "Answers failures.",
        )
        .option(
            OptionSpec::text("in")
                .default("poll")
                .allowed(["open", "poll"]),
        )
        .option(OptionSpec::text("answer").default("retriable").allowed([
            "retriable",
            "invalid",
            "fatal",
        ]))
        .option(
            OptionSpec::integer("times")
                .default(u32::MAX)
                .doc("failures before it works"),
        )
        .option(
            OptionSpec::integer("reason-bytes")
                .default(10)
                .doc("length of the reason"),
        )
    }
}

impl Source for Answering {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        answer(settings, "open").map(|()| Self {
            settings: settings.clone(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        answer(&self.settings, "poll")?;
        batch
            .add()
            .partition("p")
            .position(b"0")
            .value(b"works")
            .finish()?;
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Answering);
