//! Asks for `directory` (to read, or to write with `write=true`) and emits one record: what became of
//! reading `path` (`read: …`) or writing to it (`wrote`), or the error. `act` is something else to do
//! with `path`, some of it with `to` as well (`done`).

use std::fs::{self, OpenOptions};
use std::io::Write;
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
            OptionSpec::text("act")
                .default("")
                .doc("truncate, append, make, remove, rename, hard-link or list"),
        )
        .option(OptionSpec::text("to").default(""))
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
            let (act, to) = (self.settings.text("act")?, self.settings.text("to")?);
            let done = |()| "done".to_owned();
            let outcome = match act {
                "" if self.settings.boolean("write")? => {
                    fs::write(path, "written by a guest\n").map(|()| "wrote".to_owned())
                }
                "" => {
                    fs::read(path).map(|bytes| format!("read: {}", String::from_utf8_lossy(&bytes)))
                }
                "truncate" => OpenOptions::new()
                    .read(true)
                    .write(true)
                    .truncate(true)
                    .open(path)
                    .map(|_| done(())),
                "append" => OpenOptions::new()
                    .append(true)
                    .open(path)
                    .and_then(|mut file| file.write_all(b"more"))
                    .map(done),
                "make" => fs::create_dir(path).map(done),
                "remove" => fs::remove_file(path).map(done),
                "rename" => fs::rename(path, to).map(done),
                "hard-link" => fs::hard_link(path, to).map(done),
                "list" => fs::read_dir(path).map(|entries| format!("read: {}", entries.count())),
                other => panic!("no act called {other}"),
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
