//! Asks for `directory` (to read, or to write with `write=true`) and emits one record: what became of
//! reading `path` (`read: …`) or writing to it (`wrote`), or the error.

use std::fs;
use std::time::Duration;

use connect_sdk::{
    Batch, Connector, Description, Need, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct NeedsDir {
    settings: Settings,
    done: bool,
}

impl Connector for NeedsDir {
    fn describe() -> Description {
        Description::new(
            "needs-dir",
            env!("CARGO_PKG_VERSION"),
            "Tries what it was granted.",
        )
        .option(OptionSpec::text("directory").doc("what it asks for"))
        .option(OptionSpec::boolean("write").default(false))
        .option(
            OptionSpec::text("path")
                .required()
                .doc("what it touches, which may be elsewhere"),
        )
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        let need = if settings.get("write") == Some("true") {
            Need::write_directory
        } else {
            Need::read_directory
        };
        settings.get("directory").map(need).into_iter().collect()
    }
}

impl Source for NeedsDir {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            done: false,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        if !std::mem::replace(&mut self.done, true) {
            let path = self.settings.text("path")?;
            let outcome = if self.settings.boolean("write")? {
                fs::write(path, "written by a guest\n").map(|()| "wrote".to_owned())
            } else {
                fs::read(path).map(|bytes| format!("read: {}", String::from_utf8_lossy(&bytes)))
            };
            let text = outcome.unwrap_or_else(|error| format!("error: {error}"));
            batch
                .add()
                .partition("p")
                .position(b"1")
                .value(text.as_bytes())
                .finish()?;
        }
        Ok(Next::After(Duration::from_secs(1)))
    }
}

connect_sdk::register!(source: NeedsDir);
