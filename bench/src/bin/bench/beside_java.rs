//! P3: one file, one topic of one queue, beside RocketMQ Connect in Java on the same Java broker. Without
//! a folder of its source, the worker's own figures alone.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use connect_bench::Chapter;
use connect_tests::wait;

use crate::Arguments;
use crate::beside::{self, Goals, Peer, Started};
use crate::case::{Case, Flow, Run};
use crate::java_connect::{JavaConnect, NUDGE};
use crate::room::{Room, mark};
use crate::stage::{Kind, Native, PATIENCE, lines};

const JAVA: &str = "Java Connect";
const BYTES: usize = 256;
const RECORDS: u64 = 480_000;
/// It takes ten seconds for so many, from a file to a topic; a sink gets all.
const FEWER: u64 = 40_000;

pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let mut chapter = Chapter::new("P3", "Beside RocketMQ Connect in Java");
    let source = arguments.java_connect.as_ref();
    let source = source.map(|folder| folder.canonicalize());
    let source = source
        .transpose()
        .context("no folder of Java Connect's source")?;
    let cases = [
        (Flow::Source, Kind::Java, 25_000),
        (Flow::Sink, Kind::Java, 8_000),
        (Flow::Sink, Kind::Shipped, 8_000),
        (Flow::Relay, Kind::Java, 30_000),
    ];
    for (flow, kind, rate) in cases {
        let name = format!("{}, {BYTES} B, {}", flow.name(), kind.name());
        if !arguments.wants(&name) || (arguments.quick && flow != Flow::Source) {
            continue;
        }
        eprintln!("{name}");
        let case = Case {
            kind,
            flow,
            bytes: BYTES,
            tasks: 1,
            records: RECORDS,
        };
        let place = folder.join("case");
        let room = Room::new(case, &place.join("room"))?;
        if flow == Flow::Sink {
            room.fill()?;
        }
        let peer = match &source {
            Some(source) => {
                let other = Other::new(source, &room, &place.join("java"))?;
                Some(Box::new(other) as Box<dyn Peer>)
            }
            None => None,
        };
        let goals = Goals {
            rate,
            cpu: 1_000 / 20,
            memory: 1_000 / 4,
        };
        let measured = beside::rounds(room, &name, peer, &goals, arguments.rounds(5));
        chapter.series.extend(measured.with_context(|| name)?);
        std::fs::remove_dir_all(&place).context("cannot remove a case's folder")?;
    }
    if let Some(source) = &source
        && arguments.wants("start")
    {
        let measured = beside::starts(
            folder,
            arguments.rounds(3),
            (JAVA, 1_000 / 20, Some(30_000)),
            |folder, namesrv| {
                let java = JavaConnect::start(source, folder, namesrv)?;
                let started = Started {
                    ready: java.ready,
                    idle: java.idle,
                };
                java.stop()?;
                Ok(started)
            },
        );
        chapter.series.extend(measured?);
    }
    Ok(chapter)
}

/// Java Connect at the room's broker.
struct Other {
    java: JavaConnect,
    flow: Flow,
    namesrv: String,
    log: PathBuf,
    /// The room's lines, and fewer of them.
    all: PathBuf,
    fewer: PathBuf,
    runs: usize,
}

impl Other {
    fn new(source: &Path, room: &Room, folder: &Path) -> Result<Self> {
        let namesrv = room.namesrv();
        std::fs::create_dir_all(folder).context("cannot make Java Connect's folder")?;
        let java = JavaConnect::start(source, &folder.join("worker"), &namesrv)?;
        let fewer = lines(&folder.join("lines"), 1, FEWER, BYTES)?;
        Ok(Self {
            java,
            flow: room.flow(),
            namesrv,
            log: folder.join("native.log"),
            all: room.files.first().context("no file")?.clone(),
            fewer: fewer.first().context("no file")?.clone(),
            runs: 0,
        })
    }

    fn native<'a>(&'a self, topic: &'a str) -> Native<'a> {
        Native {
            namesrv: &self.namesrv,
            topic,
            queues: 1,
            log: &self.log,
        }
    }

    fn source(&self, topic: &str) -> Result<Run> {
        let native = self.native(topic);
        let mut watch = native.start(&["watch", "--records", &FEWER.to_string()])?;
        let before = self.java.usage()?.cpu;
        let feed = self.java.source(topic, topic, &self.fewer)?;
        let first = mark(&watch.line("first", PATIENCE)?)?;
        let done = mark(&watch.line("done", PATIENCE * 5)?)?;
        let usage = self.java.usage()?;
        feed.end()?;
        self.java.delete(topic)?;
        let file = self.fewer.to_string_lossy();
        native.ask(&["verify", "--without", NUDGE, &file], "same")?;
        let cpu = usage.cpu.saturating_sub(before);
        Ok(Run::of(FEWER, first, done, cpu, usage.resident))
    }

    fn sink(&self, name: &str) -> Result<Run> {
        let before = self.java.usage()?.cpu;
        let out = self.java.sink(name, "full")?;
        let run = self.arrives(&out, &self.all, RECORDS, before, Since::FirstBytes)?;
        self.java.delete(name)?;
        std::fs::remove_file(&out)?;
        Ok(run)
    }

    fn relay(&self, name: &str) -> Result<Run> {
        self.native(name).start(&["make"])?.wait(PATIENCE)?;
        let before = self.java.usage()?.cpu;
        let sink = format!("{name}-sink");
        let out = self.java.sink(&sink, name)?;
        let feed = self.java.source(name, name, &self.fewer)?;
        // Its sink's first bytes come when most of the rest is on its way.
        let run = self.arrives(&out, &self.fewer, FEWER, before, Since::Now)?;
        feed.end()?;
        self.java.delete(name)?;
        self.java.delete(&sink)?;
        std::fs::remove_file(&out)?;
        Ok(run)
    }

    /// Waits until a file holds what `like` does; more may follow.
    fn arrives(
        &self,
        out: &Path,
        like: &Path,
        records: u64,
        before: std::time::Duration,
        since: Since,
    ) -> Result<Run> {
        let whole = std::fs::metadata(like)?.len();
        let size = || {
            Ok(std::fs::metadata(out)
                .map_or(0, |file| file.len())
                .min(whole))
        };
        let (first, most) = beside::arrives("everything is in Java Connect's file", whole, size)?;
        let usage = self.java.usage()?;
        // It does not keep the order, so a short line may be there before the last of the others.
        let wanted = contents(like)?;
        wait::until_true("Java Connect's file holds all lines", PATIENCE, || {
            Ok(contents(out)? == wanted)
        })?;
        let record = whole as f64 / records as f64;
        let at = |(size, since): (f64, f64)| (size / record, since);
        let first = match since {
            Since::Now => (0.0, 0.0),
            Since::FirstBytes => first,
        };
        let cpu = usage.cpu.saturating_sub(before);
        Ok(Run::of(records, at(first), at(most), cpu, usage.resident))
    }
}

/// From when on a rate is counted.
#[derive(Clone, Copy)]
enum Since {
    Now,
    FirstBytes,
}

/// A file's lines in any order: how many, and a sum of their hashes. Those that only followed do not count.
fn contents(file: &Path) -> Result<(u64, u64)> {
    let text = std::fs::read(file).context("cannot read lines")?;
    let nudge = format!("{NUDGE}\n").into_bytes();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.filter(|line| *line != nudge);
    Ok(lines.fold((0, 0), |(count, sum): (u64, u64), line| {
        let mut hasher = DefaultHasher::new();
        hasher.write(line);
        (count + 1, sum.wrapping_add(hasher.finish()))
    }))
}

impl Peer for Other {
    fn name(&self) -> &'static str {
        JAVA
    }

    fn run(&mut self) -> Result<Run> {
        self.runs += 1;
        let name = format!("java-{}", self.runs);
        match self.flow {
            Flow::Source => self.source(&name),
            Flow::Sink => self.sink(&name),
            Flow::Relay => self.relay(&name),
        }
    }

    fn stop(self: Box<Self>) -> Result<()> {
        self.java.stop()
    }
}
