//! Appends `<version>\t<value>` for each record to `out` at the flush. The tests make other versions
//! as they do of `edition-source`; the last two digits of the version say how it fails.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use connect_sdk::{
    Connector, Description, Failure, Flushed, Need, OptionSpec, Records, Rejected, Result,
    Settings, Sink, SinkContext,
};

/// Every digit of it may be changed in the component.
static VERSION: &str = "71.72.73";

struct Edition {
    out: File,
    lines: Vec<u8>,
    put: u64,
    flushes: u64,
}

/// So many flushes of version `17` are done; all others are put off for ever.
const FLUSHES: u64 = 200;

fn version() -> &'static str {
    std::hint::black_box(VERSION)
}

fn fault() -> &'static str {
    version().rsplit('.').next().unwrap_or_default()
}

impl Connector for Edition {
    fn describe() -> Description {
        Description::new("edition-sink", version(), "Says which version wrote.").option(
            OptionSpec::text("out")
                .required()
                .doc("file in the working directory"),
        )
    }

    fn needs(_: &Settings) -> Vec<Need> {
        vec![Need::write_directory(".")]
    }
}

/// What a kill left half written is cut back to the last whole line.
fn cut_back(out: &mut File) -> Result<()> {
    const LONGEST: u64 = 4_096;
    let length = out.metadata()?.len();
    let begin = length.saturating_sub(LONGEST);
    out.seek(SeekFrom::Start(begin))?;
    // each look at the file is a way to the worker and back, and this is a part of each pause
    let mut tail = vec![0; (length - begin) as usize];
    out.read_exact(&mut tail)?;
    let whole = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    if whole < tail.len() {
        out.set_len(begin + whole as u64)?;
    }
    Ok(())
}

impl Sink for Edition {
    fn open(settings: &Settings, _: SinkContext) -> Result<Self> {
        match fault() {
            "10" => panic!("this version traps in open"),
            "11" => return Err(Failure::fatal("this version does not open")),
            "12" => {
                let later = Failure::retriable("this version never opens");
                return Err(later.after(Duration::from_millis(50)));
            }
            _ => {}
        }
        let path = settings.text("out")?;
        let mut out = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        cut_back(&mut out)?;
        Ok(Self {
            out,
            lines: Vec::new(),
            put: 0,
            flushes: 0,
        })
    }

    fn put(&mut self, records: &Records<'_>) -> Result<Vec<Rejected>> {
        match fault() {
            "13" => panic!("this version traps in the first put"),
            "14" if self.put >= 1_000 => panic!("this version traps after 1 000 records"),
            "15" => return Err(Failure::fatal("this version takes nothing")),
            _ => {}
        }
        for record in records.records() {
            self.lines.extend_from_slice(version().as_bytes());
            self.lines.push(b'\t');
            self.lines
                .extend_from_slice(record.value().unwrap_or_default());
            self.lines.push(b'\n');
            self.put += 1;
        }
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Flushed> {
        if fault() == "16" {
            panic!("this version traps in the first flush");
        }
        self.flushes += 1;
        if fault() == "17" && self.flushes > FLUSHES {
            let later = Failure::retriable("this version puts its flush off");
            return Err(later.after(Duration::from_millis(20)));
        }
        self.out.write_all(&self.lines)?;
        self.lines.clear();
        self.out.sync_data()?;
        Ok(Flushed::all())
    }
}

connect_sdk::register!(sink: Edition);
