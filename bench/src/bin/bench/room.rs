//! One case of a pipeline with its broker, its worker and its files, in which every subject runs once a
//! round.
//!
//! A rate is that of the records after the first ones that were seen, so that nobody's start counts, and
//! in files before the last tenth, so that nobody's last flush does; what arrived is compared with what
//! was there before the rate counts at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_bench::Series;
use connect_tests::process::Process;
use connect_tests::worker::{Setup, Worker};
use serde_json::json;

use crate::beside;
use crate::case::{Case, Flow, Run, Subject};
use crate::stage::{Broker, Native, PATIENCE, lines};
use crate::turns;

/// Where a case is measured: its broker, its worker, its files.
pub(crate) struct Room {
    case: Case,
    folder: PathBuf,
    broker: Broker,
    setup: Setup,
    pub(crate) worker: Worker,
    pub(crate) files: Vec<PathBuf>,
    runs: usize,
}

impl Room {
    pub(crate) fn new(case: Case, folder: &Path) -> Result<Self> {
        let broker = Broker::start(case.kind, &folder.join("broker"))?;
        let mut setup = Setup::new(&folder.join("worker"), &broker.namesrv())?;
        setup.extra = format!("[delivery]\ntopic-queues = {}\n", case.queues());
        let files = lines(&setup.file("in"), case.tasks, case.records, case.bytes)?;
        let worker = setup.start()?;
        Ok(Self {
            case,
            folder: folder.to_owned(),
            broker,
            setup,
            worker,
            files,
            runs: 0,
        })
    }

    pub(crate) fn flow(&self) -> Flow {
        self.case.flow
    }

    pub(crate) fn namesrv(&self) -> String {
        self.broker.namesrv()
    }

    pub(crate) fn rounds(mut self, rounds: usize) -> Result<Vec<Series>> {
        if self.case.flow == Flow::Sink {
            self.fill()?;
        }
        let subjects = self.case.subjects();
        let mut rates = vec![Vec::new(); subjects.len()];
        let mut cpus = vec![Vec::new(); subjects.len()];
        for round in 0..rounds {
            for at in turns::order(subjects.len(), round) {
                let subject = *subjects.get(at).context("no subject")?;
                let run = self.run(subject).with_context(|| subject.name())?;
                if let (Some(rates), Some(cpus)) = (rates.get_mut(at), cpus.get_mut(at)) {
                    rates.push(run.rate);
                    cpus.push(run.cpu);
                }
            }
        }
        self.worker.terminate(PATIENCE)?;
        let mut series = Vec::new();
        for (unit, samples) in [("records/s", rates), ("CPU s per million", cpus)] {
            let rate = unit == "records/s";
            for (subject, samples) in subjects.iter().zip(samples) {
                // the bare client ends by itself, and what it took cannot be asked any more
                if *subject == Subject::Bare && !rate {
                    continue;
                }
                let baseline = subject.baseline();
                let bare = rate && subjects.contains(&Subject::Bare);
                let baseline = baseline.filter(|_| bare || *subject != Subject::Native);
                series.push(Series {
                    case: self.case.name(),
                    subject: subject.name().to_owned(),
                    unit: unit.to_owned(),
                    samples,
                    baseline: baseline.map(|(name, _)| name.to_owned()),
                    goal: baseline.and_then(|(_, goal)| goal).filter(|_| rate),
                });
            }
        }
        Ok(series)
    }

    fn native<'a>(&'a self, namesrv: &'a str, topic: &'a str, log: &'a Path) -> Native<'a> {
        Native {
            namesrv,
            topic,
            queues: self.case.queues(),
            log,
        }
    }

    /// The topic that sinks read.
    pub(crate) fn fill(&self) -> Result<()> {
        let (namesrv, log) = (self.broker.namesrv(), self.folder.join("native.log"));
        let native = self.native(&namesrv, "full", &log);
        let mut source = self.native_source(&native, "fill")?;
        native.ask(
            &["filled", "--records", &self.case.records.to_string()],
            "done",
        )?;
        source.kill()
    }

    fn native_source(&self, native: &Native<'_>, name: &str) -> Result<Process> {
        let store = self.folder.join(format!("store-{name}"));
        let store = store.to_string_lossy().into_owned();
        let files: Vec<String> = self
            .files
            .iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect();
        let mut arguments = vec!["source", "--store", &store];
        arguments.extend(files.iter().map(String::as_str));
        native.start(&arguments)
    }

    fn native_sink(&self, native: &Native<'_>, name: &str, out: &Path) -> Result<Process> {
        let store = self.folder.join(format!("store-{name}"));
        let out = out.join("out").to_string_lossy().into_owned();
        native.start(&["sink", "--store", &store.to_string_lossy(), &out])
    }

    pub(crate) fn run(&mut self, subject: Subject) -> Result<Run> {
        self.runs += 1;
        turns::quiet()?;
        let name = format!("run-{}", self.runs);
        let out = self.setup.file(&name);
        std::fs::create_dir_all(&out).context("cannot make the output's folder")?;
        let run = match self.case.flow {
            Flow::Source => self.source(subject, &name),
            Flow::Sink => self.sink(subject, &name, &out),
            Flow::Relay => self.relay(subject, &name, &out),
        };
        std::fs::remove_dir_all(&out).context("cannot remove the output")?;
        run
    }

    fn source(&self, subject: Subject, topic: &str) -> Result<Run> {
        let (namesrv, log) = (self.broker.namesrv(), self.folder.join("native.log"));
        let native = self.native(&namesrv, topic, &log);
        let records = self.case.records.to_string();
        let mut watch = native.start(&["watch", "--records", &records])?;
        let before = self.worker.usage()?.cpu;
        let mut process = match subject {
            Subject::Worker => {
                self.create_source(topic, topic)?;
                None
            }
            Subject::Native | Subject::Again => Some(self.native_source(&native, topic)?),
            Subject::Bare => {
                let bytes = self.case.bytes.to_string();
                Some(native.start(&["produce", "--records", &records, "--bytes", &bytes])?)
            }
        };
        let first = mark(&watch.line("first", PATIENCE)?)?;
        let done = mark(&watch.line("done", PATIENCE * 5)?)?;
        let used = match &mut process {
            // what is sent is confirmed a little later
            Some(process) if subject == Subject::Bare => {
                process.line("done", PATIENCE)?;
                (Duration::ZERO, 0)
            }
            Some(process) => ended(process)?,
            None => {
                let used = self.used(before)?;
                self.worker.rest()?.delete(topic)?;
                used
            }
        };
        if subject != Subject::Bare {
            let files: Vec<String> = self
                .files
                .iter()
                .map(|file| file.to_string_lossy().into_owned())
                .collect();
            let mut arguments = vec!["verify"];
            arguments.extend(files.iter().map(String::as_str));
            native.ask(&arguments, "same")?;
        }
        Ok(self.ran(first, done, used))
    }

    fn sink(&self, subject: Subject, name: &str, out: &Path) -> Result<Run> {
        let (namesrv, log) = (self.broker.namesrv(), self.folder.join("native.log"));
        let native = self.native(&namesrv, "full", &log);
        if subject == Subject::Bare {
            let records = self.case.records.to_string();
            let mut consumer = native.start(&["consume", "--records", &records])?;
            let first = mark(&consumer.line("first", PATIENCE)?)?;
            let done = mark(&consumer.line("done", PATIENCE * 5)?)?;
            return Ok(self.ran(first, done, (Duration::ZERO, 0)));
        }
        let before = self.worker.usage()?.cpu;
        let mut process = match subject {
            Subject::Worker => {
                self.create_sink(name, "full", name)?;
                None
            }
            _ => Some(self.native_sink(&native, name, out)?),
        };
        let (first, done) = self.arrives(out)?;
        let used = match &mut process {
            Some(process) => ended(process)?,
            None => {
                let used = self.used(before)?;
                self.worker.rest()?.delete(name)?;
                used
            }
        };
        self.compare(out)?;
        Ok(self.ran(first, done, used))
    }

    fn relay(&self, subject: Subject, name: &str, out: &Path) -> Result<Run> {
        let (namesrv, log) = (self.broker.namesrv(), self.folder.join("native.log"));
        let native = self.native(&namesrv, name, &log);
        native.start(&["make"])?.wait(PATIENCE)?;
        let before = self.worker.usage()?.cpu;
        let mut processes = Vec::new();
        let sink = format!("{name}-sink");
        if subject == Subject::Worker {
            self.create_sink(&sink, name, name)?;
            self.create_source(name, name)?;
        } else {
            processes.push(self.native_sink(&native, &sink, out)?);
            processes.push(self.native_source(&native, name)?);
        }
        let (first, done) = self.arrives(out)?;
        let mut used = self.used(before)?;
        if subject == Subject::Worker {
            self.worker.rest()?.delete(name)?;
            self.worker.rest()?.delete(&sink)?;
        } else {
            used = (Duration::ZERO, 0);
            for process in &mut processes {
                let (cpu, resident) = ended(process)?;
                used = (used.0 + cpu, used.1 + resident);
            }
        }
        self.compare(out)?;
        Ok(self.ran(first, done, used))
    }

    /// What the worker has used since `before`, and holds.
    fn used(&self, before: Duration) -> Result<(Duration, u64)> {
        let usage = self.worker.usage()?;
        Ok((usage.cpu.saturating_sub(before), usage.resident))
    }

    fn create_source(&self, name: &str, topic: &str) -> Result<()> {
        let config = json!({
            "connector.class": "file-source", "filename": "in/*.txt", "line.end": "lf",
            "connect.topicname": topic, "max.tasks": self.case.tasks.to_string(),
        });
        self.worker.rest()?.create(name, &config)
    }

    fn create_sink(&self, name: &str, topic: &str, folder: &str) -> Result<()> {
        let file = if self.case.tasks == 1 {
            format!("{folder}/out.0")
        } else {
            format!("{folder}/out.${{topic}}.${{broker}}.${{queue}}")
        };
        let config = json!({
            "connector.class": "file-sink", "filename": file, "connect.topicnames": topic,
            "max.tasks": self.case.tasks.to_string(),
        });
        self.worker.rest()?.create(name, &config)
    }

    /// Records and seconds at the first bytes that were seen in the folder and when most were there.
    fn arrives(&self, out: &Path) -> Result<((f64, f64), (f64, f64))> {
        let line = self.case.bytes as u64 + 1;
        let whole = self.case.records * line;
        let (first, most) = beside::arrives("everything is in the files", whole, || {
            let mut size = 0;
            for entry in std::fs::read_dir(out).context("cannot list the output")? {
                size += entry?.metadata()?.len();
            }
            Ok(size)
        })?;
        let records = |(size, since): (f64, f64)| (size / line as f64, since);
        Ok((records(first), records(most)))
    }

    /// The output must hold the lines of the input, in any order over all files.
    fn compare(&self, out: &Path) -> Result<()> {
        let input = contents(&self.setup.file("in"))?;
        let output = contents(out)?;
        ensure!(input == output, "the output differs from the input");
        Ok(())
    }

    fn ran(&self, first: (f64, f64), then: (f64, f64), used: (Duration, u64)) -> Run {
        let (cpu, resident) = used;
        Run::of(self.case.records, first, then, cpu, resident)
    }
}

/// Ends a process, and answers what it has used and held.
fn ended(process: &mut Process) -> Result<(Duration, u64)> {
    let usage = process.usage()?;
    process.kill()?;
    Ok((usage.cpu, usage.resident))
}

/// Count and seconds of a line `word count seconds`.
pub(crate) fn mark(line: &str) -> Result<(f64, f64)> {
    let mut parts = line.split_whitespace().skip(1);
    let mut number = || -> Result<f64> {
        let part = parts.next().with_context(|| format!("too short: {line}"))?;
        part.parse().with_context(|| format!("no number: {line}"))
    };
    Ok((number()?, number()?))
}

/// A folder's lines, whatever files they are in: how many, and a sum of their hashes.
fn contents(folder: &Path) -> Result<(u64, u64)> {
    use std::hash::{DefaultHasher, Hasher};
    let (mut lines, mut sum) = (0_u64, 0_u64);
    for entry in std::fs::read_dir(folder).context("cannot list a folder of lines")? {
        let bytes = std::fs::read(entry?.path()).context("cannot read lines")?;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut hasher = DefaultHasher::new();
            hasher.write(line);
            sum = sum.wrapping_add(hasher.finish());
            lines += 1;
        }
    }
    Ok((lines, sum))
}
