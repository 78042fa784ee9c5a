//! Does what its records say: `seek <queue> <offset>` seeks in that queue of `topic` on `broker`,
//! `fail` answers retriable, `trap` traps. When it is opened it does what `open` says.

use connect_sdk::{
    Connector, Description, Failure, OptionSpec, Queue, Records, Rejected, Result, Settings, Sink,
    SinkContext,
};

struct Seeking {
    context: SinkContext,
}

fn obey(context: SinkContext, command: &str) -> Result<()> {
    let mut words = command.split_whitespace();
    match words.next() {
        Some("seek") => {
            let (queue, offset) = words
                .next()
                .and_then(|queue| queue.parse().ok())
                .zip(words.next().and_then(|offset| offset.parse().ok()))
                .ok_or_else(|| Failure::fatal(format!("not a seek: {command}")))?;
            context.seek(&Queue::new("topic", "broker", queue), offset);
            Ok(())
        }
        Some("fail") => Err(Failure::retriable("asked to fail")),
        Some("trap") => panic!("asked to trap"),
        _ => Ok(()),
    }
}

impl Connector for Seeking {
    fn describe() -> Description {
        Description::new(
            "seek-told-sink",
            env!("CARGO_PKG_VERSION"),
            "Goes where it is told to.",
        )
        .option(
            OptionSpec::text("open")
                .default("")
                .doc("commands for the opening, with `;` between"),
        )
    }
}

impl Sink for Seeking {
    fn open(settings: &Settings, context: SinkContext) -> Result<Self> {
        for command in settings.text("open")?.split(';') {
            obey(context, command)?;
        }
        Ok(Self { context })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        for record in records.records() {
            let command = String::from_utf8_lossy(record.value().unwrap_or_default());
            obey(self.context, &command)?;
        }
        Ok(Vec::new())
    }
}

connect_sdk::register!(sink: Seeking);
