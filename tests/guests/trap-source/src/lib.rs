//! Traps in the export named by `in`; in `poll` after `polls` good ones of one record each. With
//! `how=twice` the message of the panic panics itself.

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Plan, Problem, Result, ResumePoint,
    Settings, Source, SourceContext,
};

struct Trapping {
    place: String,
    twice: bool,
    polls: u64,
    polled: u64,
}

/// Panics when it is to be shown.
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("panicked while panicking")
    }
}

fn trap(settings: &Settings, here: &str) {
    assert_ne!(settings.get("in"), Some(here), "asked to trap in {here}");
}

impl Connector for Trapping {
    fn describe() -> Description {
        Description::new(
            "trap-source",
            env!("CARGO_PKG_VERSION"),
            "Traps where it is told to.",
        )
        .option(OptionSpec::text("in").default("poll"))
        .option(
            OptionSpec::text("how")
                .default("once")
                .allowed(["once", "twice"]),
        )
        .option(
            OptionSpec::integer("polls")
                .default(0)
                .doc("good polls before the trap"),
        )
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        trap(settings, "needs");
        Vec::new()
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        trap(settings, "validate");
        Vec::new()
    }

    fn task_settings(settings: &Settings, _: u32) -> Result<Plan> {
        trap(settings, "task-settings");
        Ok(Plan::one(settings))
    }
}

impl Source for Trapping {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        trap(settings, "open");
        Ok(Self {
            place: settings.text("in")?.to_owned(),
            twice: settings.text("how")? == "twice",
            polls: settings.parsed("polls", "a number")?,
            polled: 0,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let due = self.place == "poll" && self.polled >= self.polls;
        assert!(!(due && self.twice), "{Unspeakable}");
        assert!(!due, "asked to trap in poll");
        self.polled += 1;
        let number = self.polled.to_string();
        batch
            .add()
            .partition("p")
            .position(number.as_bytes())
            .value(number.as_bytes())
            .finish()?;
        Ok(Next::Now)
    }

    fn committed(&mut self, _: &[ResumePoint]) -> Result<()> {
        assert_ne!(self.place, "committed", "asked to trap in committed");
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        assert_ne!(self.place, "close", "asked to trap in close");
        Ok(())
    }
}

connect_sdk::register!(source: Trapping);
