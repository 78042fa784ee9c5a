//! Emits numbered records and resumes where it was. Record n of partition p is `p<p>-<n>`, filled up
//! with `x` to `bytes`; settings say how many, how fast and in which steps, in how many partitions, with
//! which key, and whether `@` and the time in microseconds follow the number.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use connect_sdk::{
    Batch, Connector, Description, Next, OptionSpec, Result, Settings, Source, SourceContext,
};

struct Seq {
    next: Vec<u64>,
    count: u64,
    bytes: usize,
    rate: u64,
    pace: u64,
    key: String,
    stamp: bool,
    opened: Instant,
    sent: u64,
}

impl Connector for Seq {
    fn describe() -> Description {
        Description::new(
            "seq-source",
            env!("CARGO_PKG_VERSION"),
            "Emits numbered records.",
        )
        .option(
            OptionSpec::integer("count")
                .default(0)
                .doc("records per partition; 0 for no end"),
        )
        .option(
            OptionSpec::integer("bytes")
                .default(0)
                .doc("least size of a value"),
        )
        .option(
            OptionSpec::integer("partitions")
                .default(1)
                .doc("partitions p0, p1, …"),
        )
        .option(
            OptionSpec::integer("rate")
                .default(0)
                .doc("records a second; 0 for as fast as can be"),
        )
        .option(
            OptionSpec::duration("pace")
                .default(1)
                .doc("least time between two polls of a source with a rate"),
        )
        .option(
            OptionSpec::text("key")
                .default("none")
                .allowed(["none", "number", "partition"]),
        )
        .option(
            OptionSpec::boolean("stamp")
                .default(false)
                .doc("puts the time behind the number"),
        )
    }
}

impl Source for Seq {
    fn open(settings: &Settings, context: SourceContext) -> Result<Self> {
        let partitions: u32 = settings.parsed("partitions", "a number")?;
        let stored = |p| {
            context
                .resume_point(&format!("p{p}"))
                .and_then(|at| String::from_utf8(at).ok()?.parse().ok())
        };
        Ok(Self {
            next: (0..partitions).map(|p| stored(p).unwrap_or(0)).collect(),
            count: settings.parsed("count", "a number")?,
            bytes: settings.parsed("bytes", "a number")?,
            rate: settings.parsed("rate", "a number")?,
            pace: settings.parsed("pace", "a number")?,
            key: settings.text("key")?.to_owned(),
            stamp: settings.parsed("stamp", "true or false")?,
            opened: Instant::now(),
            sent: 0,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let due = self.opened.elapsed().as_micros() as u64 * self.rate / 1_000_000;
        while !batch.is_full() {
            let open = |next: &u64| self.count == 0 || *next < self.count;
            let Some(p) = (0..self.next.len())
                .filter(|p| open(&self.next[*p]))
                .min_by_key(|p| self.next[*p])
            else {
                return Ok(Next::After(Duration::from_secs(1)));
            };
            if self.rate > 0 && self.sent >= due {
                return Ok(Next::After(Duration::from_millis(
                    (1000 / self.rate).clamp(self.pace, 1000),
                )));
            }
            let (partition, number) = (format!("p{p}"), self.next[p]);
            let mut value = format!("{partition}-{number}");
            if self.stamp {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                value.push_str(&format!("@{}", now.unwrap_or_default().as_micros()));
            }
            value.extend(std::iter::repeat_n(
                'x',
                self.bytes.saturating_sub(value.len()),
            ));
            let key = if self.key == "number" {
                number.to_string()
            } else {
                partition.clone()
            };
            let position = (number + 1).to_string();
            let record = batch
                .add()
                .partition(&partition)
                .value(value.as_bytes())
                .position(position.as_bytes());
            if self.key == "none" {
                record.finish()?
            } else {
                record.key(key.as_bytes()).finish()?
            }
            self.next[p] += 1;
            self.sent += 1;
        }
        Ok(Next::Now)
    }
}

connect_sdk::register!(source: Seq);
