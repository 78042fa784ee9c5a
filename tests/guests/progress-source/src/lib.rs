//! Moves on without records: each poll reports a later position of `moving`, and the first one also
//! forgets `gone`. Emits what it found stored when it was opened.

use connect_sdk::{Batch, Connector, Description, Next, Result, Settings, Source, SourceContext};

struct Progress {
    found: Option<String>,
    at: u64,
}

impl Connector for Progress {
    fn describe() -> Description {
        Description::new(
            "progress-source",
            env!("CARGO_PKG_VERSION"),
            "Moves on without records.",
        )
    }
}

impl Source for Progress {
    fn open(_: &Settings, context: SourceContext) -> Result<Self> {
        let mut points = context.all_resume_points();
        points.sort_by(|a, b| a.partition.cmp(&b.partition));
        let shown = points.iter().map(|point| {
            format!(
                "{}={}",
                point.partition,
                String::from_utf8_lossy(&point.position)
            )
        });
        Ok(Self {
            found: Some(shown.collect::<Vec<_>>().join(" ")),
            at: 0,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        if let Some(found) = self.found.take() {
            batch
                .add()
                .partition("gone")
                .position(b"1")
                .value(found.as_bytes())
                .finish()?;
            return Ok(Next::Now);
        }
        self.at += 1;
        batch.progress("moving", self.at.to_string());
        if self.at == 1 {
            batch.forget("gone");
        }
        Ok(Next::After(std::time::Duration::from_millis(10)))
    }
}

connect_sdk::register!(source: Progress);
