//! Traps in the export of a transform that `in` names.

use connect_sdk::{
    Batch, Connector, Description, OptionSpec, Records, Rejected, Result, Settings, Transform,
};

struct Trapping {
    place: String,
}

impl Trapping {
    fn here(&self, place: &str) {
        assert_ne!(self.place, place, "asked to trap in {place}");
    }
}

impl Connector for Trapping {
    fn describe() -> Description {
        Description::new(
            "trap-transform",
            env!("CARGO_PKG_VERSION"),
            "Traps where it is told to.",
        )
        .option(OptionSpec::text("in").default("apply"))
    }
}

impl Transform for Trapping {
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

connect_sdk::register!(transform: Trapping);
