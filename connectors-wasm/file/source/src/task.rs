//! One task of the file source: its files in turn, one poll at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use connect_sdk::{
    Batch, Connector, Description, Need, Next, Plan, Problem, Result, Settings, Source,
    SourceContext,
};

use crate::buffer::Buffer;
use crate::config::{self, Config};
use crate::follow::{Follower, Round, Turn};
use crate::plan;
use crate::position::Text;

/// Batches of one file before another gets its turn: what was read ahead is read again then.
const BATCHES_A_TURN: u32 = 8;

/// Files that are looked at in one poll.
const FILES_A_POLL: usize = 512;

/// A task with more files than this closes those that are quiet.
const OPEN_FILES: usize = 256;

/// Files that brought nothing for this many polls are looked at less often: a worker of many quiet
/// connectors must cost next to nothing.
const QUIET_POLLS: u32 = 20;

/// How many times the interval is then waited.
const QUIET_PACE: u32 = 5;

/// Sends the lines of files.
#[derive(Debug)]
pub struct FileSource {
    config: Config,
    paths: Vec<String>,
    followers: Vec<Follower>,
    buffer: Buffer,
    text: Text,
    opened: Instant,
    /// The file whose turn it is, and how many full batches it has brought in a row.
    turn: usize,
    batches: u32,
    /// Polls in a row that brought nothing.
    quiet: u32,
}

impl Connector for FileSource {
    fn describe() -> Description {
        let description = Description::new(
            "file-source",
            env!("CARGO_PKG_VERSION"),
            "Sends each line of one or more text files as a record, and goes on as the files grow and rotate.",
        );
        config::describe(description.alias("org.apache.rocketmq.connect.file.FileSourceConnector"))
    }

    fn needs(settings: &Settings) -> Vec<Need> {
        plan::needs(settings)
    }

    fn validate(settings: &Settings) -> Vec<Problem> {
        plan::validate(settings)
    }

    fn task_settings(settings: &Settings, max_tasks: u32) -> Result<Plan> {
        plan::task_settings(settings, max_tasks)
    }
}

impl Source for FileSource {
    fn open(settings: &Settings, context: SourceContext) -> Result<Self> {
        let config = Config::read(settings)?;
        let paths = plan::task_files(settings)?;
        if config.must_exist {
            plan::all_exist(&paths)?;
        }
        let stored = context.resume_points(&paths).into_iter();
        let stored: HashMap<String, Vec<u8>> = stored
            .map(|point| (point.partition, point.position))
            .collect();
        let follower =
            |path: &String| Follower::new(path.clone(), stored.get(path).map(Vec::as_slice));
        let followers = paths.iter().map(follower).collect::<Result<_>>()?;
        Ok(Self {
            config,
            paths,
            followers,
            buffer: Buffer::default(),
            text: Text::default(),
            opened: Instant::now(),
            turn: 0,
            batches: 0,
            quiet: 0,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        let count = self.followers.len();
        let visits = count.min(FILES_A_POLL);
        let first = self.turn;
        let next = self.visit(visits, batch);
        self.quiet = if batch.is_empty() {
            self.quiet.saturating_add(1)
        } else {
            0
        };
        for step in 0..visits {
            if let Some(follower) = self.followers.get_mut((first + step) % count) {
                follower.settle(&mut self.text, batch);
            }
        }
        next
    }
}

impl FileSource {
    fn visit(&mut self, visits: usize, batch: &mut Batch) -> Result<Next> {
        let count = self.followers.len();
        let many = count > OPEN_FILES;
        let slower = if self.quiet < QUIET_POLLS {
            1
        } else {
            QUIET_PACE
        };
        let mut wait = self.config.poll_interval.saturating_mul(slower);
        let mut round = Round {
            interval: wait,
            config: &self.config,
            buffer: &mut self.buffer,
            text: &mut self.text,
            paths: &self.paths,
            now: self.opened.elapsed(),
            timestamp: milliseconds(SystemTime::now()),
        };
        for _ in 0..visits {
            let Some(follower) = self.followers.get_mut(self.turn) else {
                break;
            };
            let turn = loop {
                match follower.fill(&mut round, batch)? {
                    Turn::Next => {}
                    turn => break turn,
                }
            };
            if turn == Turn::Full {
                self.batches += 1;
                if self.batches >= BATCHES_A_TURN {
                    (self.turn, self.batches) = ((self.turn + 1) % count, 0);
                }
                return Ok(Next::Now);
            }
            if let Turn::Idle(due) = turn {
                wait = wait.min(due);
            }
            if many {
                follower.park();
            }
            (self.turn, self.batches) = ((self.turn + 1) % count, 0);
        }
        Ok(Next::After(wait))
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
