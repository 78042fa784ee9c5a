//! Never returns from the export of a transform that `in` names.

use connect_sdk::{
    Batch, Connector, Description, OptionSpec, Records, Rejected, Result, Settings, Transform,
};

struct Spin {
    place: String,
}

impl Spin {
    fn here(&self, place: &str) {
        if self.place == place {
            loop {
                std::hint::black_box(place);
            }
        }
    }
}

impl Connector for Spin {
    fn describe() -> Description {
        Description::new(
            "spin-transform",
            env!("CARGO_PKG_VERSION"),
            "Never returns.",
        )
        .option(OptionSpec::text("in").default("apply"))
    }
}

impl Transform for Spin {
    fn open(settings: &Settings) -> Result<Self> {
        let task = Self {
            place: settings.text("in")?.to_owned(),
        };
        task.here("open");
        Ok(task)
    }

    fn apply(&mut self, input: &Records<'_>, output: &mut Batch) -> Result<Vec<Rejected>> {
        self.here("apply");
        for record in input.records() {
            output.keep(&record).finish()?;
        }
        Ok(Vec::new())
    }

    fn close(&mut self) -> Result<()> {
        self.here("close");
        Ok(())
    }
}

connect_sdk::register!(transform: Spin);
