//! What flows through a worker in a delivery test: files, one topic, files again, in the shapes
//! whose order is promised.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::lines::Feed;
use crate::outline;
use crate::rest::Rest;
use crate::wait;
use crate::worker::Setup;

/// Queues of a topic that the worker creates.
pub const QUEUES: i64 = 8;
/// Files of the shapes that have many.
const FILES: usize = 16;

/// How the lines travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One file, one topic, one file.
    One,
    /// Sixteen files through eight queues to sixteen files, by key.
    ManyKey,
    /// The same without keys: by source partition, the file's name in a header.
    ManyPartition,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 3] = [Self::One, Self::ManyKey, Self::ManyPartition];

    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::ManyKey => "many-key",
            Self::ManyPartition => "many-partition",
        }
    }
}

impl FromStr for Shape {
    type Err = std::io::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|shape| shape.name() == text)
            .ok_or_else(|| {
                std::io::Error::other(format!("`{text}` is not one, many-key or many-partition"))
            })
    }
}

/// Files, topic, connectors and where everything ends up.
#[derive(Debug)]
pub struct Scenario {
    /// The worker it runs in.
    pub setup: Setup,
    /// How the lines travel.
    pub shape: Shape,
    /// The files that the source reads.
    pub feeds: Vec<Feed>,
    /// The topic in between.
    pub topic: String,
    /// Further settings of the source.
    pub source: Map<String, Value>,
    /// Further settings of the sinks.
    pub sink: Map<String, Value>,
}

impl Scenario {
    /// Empty files and nothing created yet.
    ///
    /// # Errors
    /// The files cannot be made.
    pub fn new(setup: Setup, shape: Shape, seed: u64) -> Result<Self> {
        let files = if shape == Shape::One { 1 } else { FILES };
        let folder = setup.file("in");
        for sinks in ["out", "audit"] {
            std::fs::create_dir_all(setup.file(sinks)).context("cannot make the sinks' folders")?;
        }
        let feeds = (0..files)
            .map(|number| Feed::create(&folder, number, seed, number == 0))
            .collect::<Result<_>>()?;
        let topic = format!("lines-{}", shape.name());
        Ok(Self {
            setup,
            shape,
            feeds,
            topic,
            source: Map::new(),
            sink: Map::new(),
        })
    }

    /// Creates the source and its sinks.
    ///
    /// # Errors
    /// One of them is refused.
    pub fn create_connectors(&self, rest: &Rest) -> Result<()> {
        rest.create("source", &self.source_config())?;
        rest.create("sink", &self.sink_config("sink"))?;
        if self.shape != Shape::One {
            rest.create("audit", &self.sink_config("audit"))?;
        }
        Ok(())
    }

    fn source_config(&self) -> Value {
        let mut config = json!({
            "connector.class": "file-source",
            "filename": "in/*.txt",
            "connect.topicname": self.topic,
            "line.end": "lf",
            "max.tasks": "4",
        });
        match self.shape {
            Shape::One => {}
            Shape::ManyKey => set(&mut config, "key", "filename"),
            Shape::ManyPartition => set(&mut config, "file.header", "origin"),
        }
        extend(config, &self.source)
    }

    fn sink_config(&self, name: &str) -> Value {
        let filename = match (name, self.shape) {
            // The whole queue in the name, so that several tasks may write.
            ("audit", _) => "audit/${topic}.${broker}.${queue}",
            (_, Shape::One) => "out/f00.txt",
            (_, Shape::ManyKey) => "out/${key}",
            (_, Shape::ManyPartition) => "out/${header.origin}",
        };
        let config = json!({
            "connector.class": "file-sink",
            "filename": filename,
            "connect.topicnames": self.topic,
            "max.tasks": "4",
        });
        extend(config, &self.sink)
    }

    /// Appends lines, spread evenly over the files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn feed(&mut self, lines: u64) -> Result<()> {
        let files = self.feeds.len() as u64;
        for (number, feed) in (0..).zip(&mut self.feeds) {
            let share = lines / files + u64::from(number < lines % files);
            feed.append(share)?;
        }
        Ok(())
    }

    /// Appends the last line of every file.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.feeds.iter_mut().try_for_each(Feed::finish)
    }

    /// Lines and bytes of all files so far.
    pub fn sent(&self) -> (u64, u64) {
        let lines = self
            .feeds
            .iter()
            .map(|feed| feed.hashes().len() as u64)
            .sum();
        (lines, self.feeds.iter().map(Feed::bytes).sum())
    }

    /// The file that the lines of a feed end up in.
    pub fn output(&self, feed: &Feed) -> PathBuf {
        self.setup.file("out").join(&feed.name)
    }

    /// The file that holds all records of a queue, in the shapes of many files.
    pub fn audit(&self, queue: i64) -> PathBuf {
        let folder = self.setup.file("audit");
        // The broker's name is its own affair.
        let ending = format!(".{queue}");
        let named = |path: &PathBuf| path.to_string_lossy().ends_with(&ending);
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut paths = files.map(|file| file.path()).filter(named);
        paths
            .next()
            .unwrap_or_else(|| folder.join(format!("nothing-yet.{queue}")))
    }

    /// All files that sinks write.
    pub fn outputs(&self) -> Vec<PathBuf> {
        let mut outputs: Vec<PathBuf> = self.feeds.iter().map(|feed| self.output(feed)).collect();
        if self.shape != Shape::One {
            outputs.extend((0..QUEUES).map(|queue| self.audit(queue)));
        }
        outputs
    }

    /// Bytes in the files of the sink that the promises are about.
    pub fn arrived_bytes(&self) -> u64 {
        let length = |feed| std::fs::metadata(self.output(feed)).map_or(0, |file| file.len());
        self.feeds.iter().map(length).sum()
    }

    /// Whole lines in every file of the sinks at this moment.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn written(&self) -> Result<BTreeMap<PathBuf, usize>> {
        let count = |path: PathBuf| outline::read(&path).map(|read| (path, read.lines.len()));
        self.outputs().into_iter().map(count).collect()
    }

    /// Watches for the last lines from here on.
    pub fn watch(&self) -> Watch<'_> {
        let ends: HashSet<Vec<u8>> = self.feeds.iter().map(Feed::last_line).collect();
        let each = |feed| Seen::new(self.output(feed), 1);
        let files = self.feeds.iter().map(each).collect();
        let audited = if self.shape == Shape::One {
            0
        } else {
            ends.len()
        };
        Watch {
            scenario: self,
            files,
            ends,
            audited,
        }
    }
}

fn set(config: &mut Value, key: &str, value: &str) {
    if let Some(config) = config.as_object_mut() {
        config.insert(key.to_owned(), value.into());
    }
}

fn extend(mut config: Value, more: &Map<String, Value>) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.extend(more.clone());
    }
    config
}

/// Looks for the last line of every file in the sinks' files as they grow.
#[derive(Debug)]
pub struct Watch<'a> {
    scenario: &'a Scenario,
    files: Vec<Seen>,
    ends: HashSet<Vec<u8>>,
    /// Last lines that the audit files must hold in all.
    audited: usize,
}

/// How far one file has been read.
#[derive(Debug)]
struct Seen {
    path: PathBuf,
    /// Behind the last whole line that was read. A torn line is read again: it may be cut off.
    position: u64,
    ends: usize,
    /// Last lines that this file itself must hold.
    wanted: usize,
}

impl Seen {
    fn new(path: PathBuf, wanted: usize) -> Self {
        Self {
            path,
            position: 0,
            ends: 0,
            wanted,
        }
    }

    fn read(&mut self, ends: &HashSet<Vec<u8>>) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.position))?;
        let mut new = Vec::new();
        // In parts, so that a watch begun late does not hold a gibibyte.
        file.take(1 << 26).read_to_end(&mut new)?;
        for line in new.split_inclusive(|byte| *byte == b'\n') {
            if line.ends_with(b"\n") {
                self.position += line.len() as u64;
                self.ends += usize::from(ends.contains(line));
            }
        }
        Ok(())
    }
}

impl Watch<'_> {
    /// Whether every last line is there.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn complete(&mut self) -> Result<bool> {
        if self.audited > 0 {
            for queue in 0..QUEUES {
                let path = self.scenario.audit(queue);
                if path.exists() && self.files.iter().all(|file| file.path != path) {
                    self.files.push(Seen::new(path, 0));
                }
            }
        }
        let mut complete = true;
        let mut audited = 0;
        for file in &mut self.files {
            if file.wanted == 0 || file.ends < file.wanted {
                file.read(&self.ends)
                    .with_context(|| file.path.display().to_string())?;
            }
            complete &= file.ends >= file.wanted;
            audited += if file.wanted == 0 { file.ends } else { 0 };
        }
        Ok(complete && audited >= self.audited)
    }

    /// Waits until every last line is there; gives up when nothing is written for `patience`.
    ///
    /// # Errors
    /// Nothing was written for that long, `alive` failed, or a file cannot be read.
    pub fn wait(
        &mut self,
        patience: Duration,
        mut alive: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        loop {
            let before = self.bytes();
            let moved = wait::until("the sinks write on", patience, || {
                alive()?;
                if self.complete()? {
                    return Ok(Some(true));
                }
                Ok((self.bytes() != before).then_some(false))
            });
            match moved {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => bail!("{error:#}\nstill without their end: {}", self.missing()),
            }
        }
    }

    fn bytes(&self) -> u64 {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        self.files.iter().map(|file| length(&file.path)).sum()
    }

    fn missing(&self) -> String {
        let missing = self.files.iter().filter(|file| file.ends < file.wanted);
        let names = missing.map(|file| file.path.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }
}
