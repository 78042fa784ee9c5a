//! Never returns from the export named by `in`: turns in a circle, or copies memory in bulk when
//! `bulk=true`. `in=describe` cannot be chosen, since settings come after it: see `spin-describe`.

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Plan, Problem, Result, ResumePoint,
    Settings, Source, SourceContext,
};

struct Spin {
    settings: Settings,
}

fn spin(settings: &Settings, here: &str) {
    if settings.get("in") != Some(here) {
        return;
    }
    let bulk = settings.get("bulk") == Some("true");
    let mut memory = vec![1u8; if bulk { 32 << 20 } else { 2 }];
    loop {
        let half = memory.len() / 2;
        memory.copy_within(..half, half);
        std::hint::black_box(&memory);
    }
}

impl Connector for Spin {
    fn describe() -> Description {
        Description::new("spin", env!("CARGO_PKG_VERSION"), "Never returns.")
            .option(OptionSpec::text("in").default("poll"))
            .option(OptionSpec::boolean("bulk").default(false))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        spin(settings, "needs");
        Vec::new()
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        spin(settings, "validate");
        Vec::new()
    }

    fn task_settings(settings: &Settings, _: u32) -> Result<Plan> {
        spin(settings, "task-settings");
        Ok(Plan::one(settings))
    }
}

impl Source for Spin {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        spin(settings, "open");
        Ok(Self {
            settings: settings.clone(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        spin(&self.settings, "poll");
        batch
            .add()
            .partition("p")
            .position(b"0")
            .value(b"works")
            .finish()?;
        Ok(Next::Now)
    }

    fn committed(&mut self, _: &[ResumePoint]) -> Result<()> {
        spin(&self.settings, "committed");
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        spin(&self.settings, "close");
        Ok(())
    }
}

connect_sdk::register!(source: Spin);
