//! Has no task until there is a file `go` in its working directory; then one, which emits one record.

use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Need, Next, Plan, Result, Settings, Source, SourceContext,
};

struct Late {
    sent: bool,
}

impl Connector for Late {
    fn describe() -> Description {
        Description::new(
            "late-source",
            env!("CARGO_PKG_VERSION"),
            "Has nothing to do at first.",
        )
    }

    fn needs(_: &Settings) -> Vec<Need> {
        vec![Need::read_directory(".")]
    }

    fn task_settings(settings: &Settings, _: u32) -> Result<Plan> {
        Ok(if std::fs::exists("go")? {
            Plan::one(settings)
        } else {
            Plan::new().recheck(Duration::from_millis(100))
        })
    }
}

impl Source for Late {
    fn open(_: &Settings, context: SourceContext) -> Result<Self> {
        Ok(Self {
            sent: context.resume_point("p").is_some(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        if !self.sent {
            self.sent = true;
            let record = batch.add().partition("p").value(b"here");
            record.position(b"1").finish()?;
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: Late);
