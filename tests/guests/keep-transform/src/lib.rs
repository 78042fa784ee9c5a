//! Keeps the records whose value contains `text`, drops the others, rejects those without value.

use connect_sdk::{
    Batch, Connector, Description, OptionSpec, Records, Rejected, Result, Settings, Transform,
};

struct Keep {
    text: String,
}

impl Connector for Keep {
    fn describe() -> Description {
        Description::new(
            "keep-transform",
            env!("CARGO_PKG_VERSION"),
            "Keeps some records.",
        )
        .option(
            OptionSpec::text("text")
                .required()
                .doc("what a value must contain"),
        )
    }
}

impl Transform for Keep {
    fn open(settings: &Settings) -> Result<Self> {
        Ok(Self {
            text: settings.text("text")?.to_owned(),
        })
    }

    fn apply(&mut self, input: &Records<'_>, output: &mut Batch) -> Result<Vec<Rejected>> {
        let mut rejected = Vec::new();
        for record in input.records() {
            match record.value() {
                None => rejected.push(Rejected::new(&record, "has no value")),
                Some(value) if String::from_utf8_lossy(value).contains(&self.text) => {
                    output.keep(&record).finish()?
                }
                Some(_) => {}
            }
        }
        Ok(rejected)
    }
}

connect_sdk::register!(transform: Keep);
