//! Emits numbered records that say which version wrote them: `<partition>-<number> <version>`. The
//! tests make other versions by changing the version's text in the component; the last two digits
//! of the version say how it fails.

use std::time::{Duration, Instant};

use connect_sdk::{
    Batch, Connector, Description, Failure, Need, Next, OptionSpec, Plan, Problem, Result,
    Settings, Source, SourceContext,
};

/// Every digit of it may be changed in the component; read as data, never as a constant, so that
/// nothing is decided while this is compiled.
static VERSION: &str = "71.72.73";

struct Edition {
    /// Its partitions, each with the next number.
    next: Vec<(u32, u64)>,
    count: u64,
    polled: u64,
    batch: u64,
    pause: Duration,
    /// Bytes a second that are kept for nothing.
    leak: u64,
    opened: Instant,
    kept: Vec<Vec<u8>>,
}

/// How positions of another format begin.
const TWO: &str = "format two ";

fn version() -> &'static str {
    std::hint::black_box(VERSION)
}

/// How this version fails; `73` and what is not listed below does not.
fn fault() -> &'static str {
    version().rsplit('.').next().unwrap_or_default()
}

impl Connector for Edition {
    fn describe() -> Description {
        let description =
            Description::new("edition-source", version(), "Says which version it is.")
                .option(
                    OptionSpec::integer("count")
                        .default(0)
                        .doc("records per partition; 0 for no end"),
                )
                .option(OptionSpec::integer("partitions").default(1))
                .option(
                    OptionSpec::integer("only")
                        .default(-1)
                        .doc("the one partition of a task"),
                )
                .option(
                    OptionSpec::integer("batch")
                        .default(100)
                        .doc("records of one poll"),
                )
                .option(
                    OptionSpec::integer("pause")
                        .default(0)
                        .doc("milliseconds between polls"),
                )
                .option(
                    OptionSpec::integer("leak")
                        .default(0)
                        .doc("bytes a second that are kept for nothing"),
                );
        match fault() {
            "22" => description.position_format(2),
            _ => description,
        }
    }

    fn needs(_: &Settings) -> Vec<Need> {
        match fault() {
            "20" => vec![Need::read_directory(".")],
            _ => Vec::new(),
        }
    }

    fn validate(_: &Settings) -> Vec<Problem> {
        match fault() {
            "21" => vec![Problem::new("count", "this version likes no count")],
            _ => Vec::new(),
        }
    }

    /// Versions `23` and `24` give each partition a task of its own.
    fn task_settings(settings: &Settings, _: u32) -> Result<Plan> {
        if !["23", "24"].contains(&fault()) {
            return Ok(Plan::one(settings));
        }
        let partitions: u32 = settings.parsed("partitions", "a number")?;
        let tasks = (0..partitions).map(|p| settings.with("only", p.to_string()));
        Ok(tasks.fold(Plan::new(), Plan::task))
    }
}

impl Source for Edition {
    fn open(settings: &Settings, context: SourceContext) -> Result<Self> {
        match fault() {
            "10" => panic!("this version traps in open"),
            "11" => return Err(Failure::fatal("this version does not open")),
            "12" | "24" => {
                let later = Failure::retriable("this version never opens");
                return Err(later.after(Duration::from_millis(50)));
            }
            _ => {}
        }
        let partitions: u32 = settings.parsed("partitions", "a number")?;
        let only: i64 = settings.parsed("only", "a partition")?;
        let mine = |p: &u32| only < 0 || i64::from(*p) == only;
        let stored = |p: u32| match context.resume_point(&format!("p{p}")) {
            None => Ok((p, 0)),
            Some(at) => String::from_utf8(at)
                .ok()
                .and_then(|at| {
                    let other = (fault() == "22").then(|| at.strip_prefix(TWO)).flatten();
                    other.unwrap_or(&at).parse().ok()
                })
                .map(|next| (p, next))
                .ok_or_else(|| Failure::fatal("a position of another format")),
        };
        Ok(Self {
            next: (0..partitions)
                .filter(mine)
                .map(stored)
                .collect::<Result<_>>()?,
            count: settings.parsed("count", "a number")?,
            polled: 0,
            batch: settings.parsed("batch", "a number")?,
            pause: Duration::from_millis(settings.parsed("pause", "a number")?),
            leak: settings.parsed("leak", "a number")?,
            opened: Instant::now(),
            kept: Vec::new(),
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        match fault() {
            "13" => panic!("this version traps in the first poll"),
            "14" | "22" if self.polled >= 1_000 => panic!("this version traps after 1 000 records"),
            _ => {}
        }
        let due = self.opened.elapsed().as_millis() as u64 * self.leak / 1_000;
        while (self.kept.len() as u64) << 16 < due {
            self.kept.push(vec![1; 1 << 16]);
        }
        let mut left = self.batch;
        while !batch.is_full() && left > 0 {
            let open = |next: u64| self.count == 0 || next < self.count;
            let mine = self.next.iter_mut().filter(|(_, next)| open(*next));
            let Some((p, next)) = mine.min_by_key(|(_, next)| *next) else {
                return Ok(Next::After(Duration::from_millis(20)));
            };
            let (partition, number) = (format!("p{p}"), *next);
            let position = match fault() {
                "22" => format!("{TWO}{}", number + 1),
                _ => (number + 1).to_string(),
            };
            batch
                .add()
                .partition(&partition)
                .value(format!("{partition}-{number} {}", version()).as_bytes())
                .position(position.as_bytes())
                .finish()?;
            *next += 1;
            self.polled += 1;
            left -= 1;
        }
        Ok(if self.pause.is_zero() {
            Next::Now
        } else {
            Next::After(self.pause)
        })
    }
}

connect_sdk::register!(source: Edition);
