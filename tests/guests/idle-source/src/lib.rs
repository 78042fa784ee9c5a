//! Has never anything, and says each time that more is ready at once, or after `wait`.

use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Plan, Result, Settings, Source, SourceContext,
};

struct Idle(Duration);

impl Connector for Idle {
    fn describe() -> Description {
        Description::new(
            "idle-source",
            env!("CARGO_PKG_VERSION"),
            "Is always about to have something.",
        )
        .option(
            OptionSpec::duration("wait")
                .default(0)
                .doc("until it is to be asked again"),
        )
    }

    fn task_settings(settings: &Settings, max_tasks: u32) -> Result<Plan> {
        Ok((0..max_tasks).fold(Plan::new(), |plan, _| plan.task(settings.clone())))
    }
}

impl Source for Idle {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self(settings.duration("wait")?))
    }

    fn poll(&mut self, _: &mut Batch) -> Result<Next> {
        if self.0.is_zero() {
            Ok(Next::Now)
        } else {
            Ok(Next::After(self.0))
        }
    }
}

connect_sdk::register!(source: Idle);
