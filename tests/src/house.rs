//! A worker with a healthy pair of connectors beside whatever is tried out, for the suites of bad
//! records and bad plugins. What the pair must show: it loses nothing, stays in order, goes on.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::folder::alone;
use crate::wait;
use crate::worker::{Setup, Worker};

/// How long anything in a house may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Tries often, so that tests need not wait; a worker's own default begins with a second.
const RESTART: &str = "[restart]\nfirst-ms = 200\nlongest-ms = 1000\nattempts = 1000\n";

/// A worker with a healthy pair of connectors beside whatever is tried out.
#[derive(Debug)]
pub struct House {
    /// The worker's files and configuration.
    pub setup: Setup,
    /// The worker that runs.
    pub worker: Worker,
    /// The address of the broker.
    pub broker: String,
    neighbour: String,
}

impl House {
    /// Adds to a file in the worker's directory.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&self, name: &str, text: &str) -> Result<()> {
        self.setup.append(name, text)
    }

    /// Creates or changes a connector.
    ///
    /// # Errors
    /// It was refused.
    pub fn create(&self, name: &str, config: &Value) -> Result<()> {
        self.worker.rest()?.create(name, config)
    }

    /// `lines` in a topic of this name.
    ///
    /// # Errors
    /// Its source was refused.
    pub fn topic(&self, name: &str, lines: &str) -> Result<()> {
        self.append(&format!("{name}.txt"), lines)?;
        self.create(
            &format!("{name}-feed"),
            &json!({"connector.class": "file-source", "filename": format!("{name}.txt"),
                    "connect.topicname": name}),
        )
    }

    /// Waits until a file holds exactly this.
    ///
    /// # Errors
    /// It does not; the text says what it holds.
    pub fn becomes(&self, file: &str, expected: &str) -> Result<()> {
        let path = self.setup.file(file);
        wait::until_true(&format!("{file} is complete"), PATIENCE, || {
            Ok(content(&path) == expected)
        })
        .with_context(|| format!("it holds {:?}", content(&path)))
    }

    /// Waits until task 0 is FAILED with a reason that holds all of `words`.
    ///
    /// # Errors
    /// It is not; the text says what it is instead.
    pub fn fails_with(&self, name: &str, words: &[&str]) -> Result<String> {
        let rest = self.worker.rest()?;
        let mut last = None;
        let reason = wait::until(
            &format!("{name} has failed with {words:?}"),
            PATIENCE,
            || {
                let task = rest.tasks(name)?.into_iter().next();
                last.clone_from(&task);
                let told = |reason: &str| words.iter().all(|word| reason.contains(word));
                Ok(task
                    .filter(|task| task.state == "FAILED" && told(&task.reason))
                    .map(|task| task.reason))
            },
        );
        reason.with_context(|| format!("its task is {last:?}"))
    }

    /// The neighbours go on: a new line of theirs arrives, behind all earlier ones and nothing else.
    ///
    /// # Errors
    /// They stand still, or lost or swapped something.
    pub fn is_healthy(&mut self) -> Result<()> {
        self.worker.process().check()?;
        let line = format!("line {}\n", self.neighbour.lines().count());
        self.neighbour.push_str(&line);
        self.append("neighbour.txt", &line)?;
        let expected = self.neighbour.clone();
        self.becomes("neighbour-out.txt", &expected)
            .context("the neighbours stand still")
    }
}

/// What is in a file; nothing when it is not there.
pub fn content(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Runs a test in a house of its own with these plugins, and looks after the neighbours at its end.
///
/// # Errors
/// Those of `test`, and what the neighbours suffered.
pub fn in_a_house(guests: &[&str], test: impl FnOnce(&mut House) -> Result<()>) -> Result<()> {
    in_a_house_with(guests, "", test)
}

/// As [`in_a_house`], with further lines of configuration, such as limits.
///
/// # Errors
/// As for [`in_a_house`].
pub fn in_a_house_with(
    guests: &[&str],
    extra: &str,
    test: impl FnOnce(&mut House) -> Result<()>,
) -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let mut setup =
            Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_guests(guests)?;
        setup.extra = [RESTART, extra].concat();
        let worker = setup.start()?;
        let mut house = House {
            setup,
            worker,
            broker: cluster.broker(),
            neighbour: String::new(),
        };
        house.topic("neighbour", "")?;
        house.create(
            "neighbour-sink",
            &json!({"connector.class": "file-sink", "filename": "neighbour-out.txt",
                    "connect.topicnames": "neighbour"}),
        )?;
        house.is_healthy()?;
        test(&mut house)?;
        house.is_healthy()
    })
}
