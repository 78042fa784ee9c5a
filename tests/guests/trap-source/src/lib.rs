//! Traps in the export named by `in`; in `poll` after `polls` good ones of one record each.

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Plan, Problem, Result, ResumePoint,
    Settings, Source, SourceContext,
};

struct Trapping {
    place: String,
    polls: u64,
    polled: u64,
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
            polls: settings.parsed("polls", "a number")?,
            polled: 0,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        assert!(
            self.place != "poll" || self.polled < self.polls,
            "asked to trap in poll"
        );
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
