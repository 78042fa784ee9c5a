//! Traps on a record whose value is `poison`; appends the others to `out`, so that a test sees what
//! went through. With `answer=fatal` it fails instead of trapping.

use std::fs::OpenOptions;
use std::io::Write;

use connect_sdk::{
    Connector, Description, Failure, Need, OptionSpec, Records, Rejected, Result, Settings, Sink,
    SinkContext,
};

struct Poison {
    settings: Settings,
}

impl Connector for Poison {
    fn describe() -> Description {
        Description::new(
            "poison-sink",
            env!("CARGO_PKG_VERSION"),
            "Dies of one value.",
        )
        .option(
            OptionSpec::text("poison")
                .required()
                .doc("the value it dies of"),
        )
        .option(
            OptionSpec::text("answer")
                .default("trap")
                .allowed(["trap", "fatal"]),
        )
        .option(
            OptionSpec::text("out").doc("file in the working directory that gets the good values"),
        )
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        settings
            .get("out")
            .map(|_| Need::write_directory("."))
            .into_iter()
            .collect()
    }
}

impl Sink for Poison {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        let poison = self.settings.text("poison")?.as_bytes();
        if let Some(bad) = records
            .records()
            .find(|record| record.value() == Some(poison))
        {
            assert_ne!(
                self.settings.text("answer")?,
                "trap",
                "poisoned by the record at offset {}",
                bad.offset()
            );
            return Err(Failure::fatal(format!(
                "poisoned by the record at offset {}",
                bad.offset()
            )));
        }
        if let Some(out) = self.settings.get("out") {
            let mut file = OpenOptions::new().append(true).create(true).open(out)?;
            for record in records.records() {
                file.write_all(&[record.value().unwrap_or_default(), b"\n"].concat())?;
            }
        }
        Ok(Vec::new())
    }
}

connect_sdk::register!(sink: Poison);
