//! Emits `count` records of partition `gone` and, with the last of them, forgets it and notes in `kept`
//! that this is done. Opened again after that, it emits only what it found stored.

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct Forgetting {
    found: Option<String>,
    done: bool,
    next: u64,
    count: u64,
}

impl Connector for Forgetting {
    fn describe() -> Description {
        Description::new(
            "forget-source",
            env!("CARGO_PKG_VERSION"),
            "Forgets a partition whose records are in flight.",
        )
        .option(
            OptionSpec::integer("count")
                .required()
                .doc("records of the partition that is forgotten"),
        )
    }
}

impl Source for Forgetting {
    fn open(settings: &Settings, context: SourceContext) -> Result<Self> {
        let mut points = context.all_resume_points();
        points.sort_by(|a, b| a.partition.cmp(&b.partition));
        let text = |position: &[u8]| String::from_utf8_lossy(position).into_owned();
        let at = |name: &str| {
            let point = points.iter().find(|point| point.partition == name);
            point.map(|point| text(&point.position))
        };
        let found = at("kept").map(|_| {
            let shown = points.iter();
            let shown = shown.map(|point| format!("{}={}", point.partition, text(&point.position)));
            format!("found {}", shown.collect::<Vec<_>>().join(" "))
        });
        let count = settings.parsed("count", "a number")?;
        let stored = at("gone").and_then(|at| at.parse().ok()).unwrap_or(0);
        Ok(Self {
            next: if found.is_some() { count } else { stored },
            done: found.is_some(),
            found,
            count,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        if let Some(found) = self.found.take() {
            batch
                .add()
                .partition("kept")
                .value(found.as_bytes())
                .finish()?;
        }
        while self.next < self.count && !batch.is_full() {
            let value = format!("gone-{}", self.next);
            self.next += 1;
            batch
                .add()
                .partition("gone")
                .position(self.next.to_string().as_bytes())
                .value(value.as_bytes())
                .finish()?;
        }
        if self.next == self.count && !self.done {
            self.done = true;
            batch.progress("kept", "done");
            batch.forget("gone");
        }
        Ok(Next::After(std::time::Duration::from_millis(10)))
    }
}

connect_sdk::register!(source: Forgetting);
