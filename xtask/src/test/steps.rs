//! The steps of `cargo xtask test`, each a cargo command or a few.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Folders};
use crate::wasm;

use super::counts::Counts;

/// How long the random batches go on, in seconds, where the environment does not say.
const BATCH_SECONDS: (&str, &str) = ("CONNECT_BATCH_SECONDS", "60");
/// The test that makes them.
const BATCH_ROUND: &str = "batch::tests::round::a_round_of_damaged_batches";

/// The workspaces besides the host's: they are built for wasm.
const GUEST_WORKSPACES: [&str; 2] = ["connectors-wasm", "tests/guests"];

/// One part of the whole.
pub(crate) enum Step {
    /// rustfmt over every workspace.
    Format,
    /// The connectors and the tests' plugins.
    Components,
    /// clippy over every workspace, each for its own target.
    Clippy,
    /// rustdoc with warnings as errors.
    Documentation,
    /// The binary that the suites run.
    Worker,
    /// Tests that the guest workspaces run natively.
    NativeGuests,
    /// Every test of the host workspace: unit, integration, suites, documentation examples.
    Host,
    /// The same without the suites.
    Unit,
    /// A minute of random batches against the check at the wall.
    Batches,
    /// One suite.
    Suite(String),
}

/// A step that did not end well, with what it had counted.
pub(crate) struct Failure {
    pub(crate) counts: Counts,
    pub(crate) error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            counts: Counts::default(),
            error: error.into(),
        }
    }
}

impl Step {
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::Format,
            Self::Components,
            Self::Clippy,
            Self::Documentation,
            Self::Worker,
            Self::NativeGuests,
            Self::Host,
            Self::Batches,
        ]
    }

    pub(crate) fn lint() -> Vec<Self> {
        vec![Self::Format, Self::Clippy]
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Format => "format".into(),
            Self::Components => "connectors and test plugins".into(),
            Self::Clippy => "clippy".into(),
            Self::Documentation => "documentation".into(),
            Self::Worker => "worker".into(),
            Self::NativeGuests => "tests of the connectors".into(),
            Self::Host => "tests of the host, suites and examples".into(),
            Self::Unit => "tests of the host without the suites".into(),
            Self::Batches => "random batches against the check".into(),
            Self::Suite(name) => format!("suite {name}"),
        }
    }

    /// Whether what comes after is pointless without this step.
    pub(crate) fn others_need_it(&self) -> bool {
        matches!(self, Self::Components | Self::Worker)
    }

    pub(crate) fn run(&self, folders: &Folders, jobs: Option<u32>) -> Result<Counts, Failure> {
        match self {
            Self::Format => format(folders)?,
            Self::Components => {
                wasm::build_plugins(folders, jobs)?;
                wasm::build_guests(folders, jobs)?;
            }
            Self::Clippy => clippy(folders, jobs)?,
            Self::Documentation => {
                let mut command = cargo::cargo(&folders.root);
                command.args(["doc", "--workspace", "--no-deps", "--quiet"]);
                command.env("RUSTDOCFLAGS", "-D warnings");
                cargo::run(cargo::jobs(&mut command, jobs))?;
            }
            Self::Worker => {
                let mut command = cargo::cargo(&folders.root);
                // The whole workspace: cargo unites features over what is chosen, and the tests
                // choose all of it.
                command.args(["build", "--workspace", "--bins"]);
                cargo::run(cargo::jobs(&mut command, jobs))?;
            }
            Self::NativeGuests => return native_guests(folders, jobs),
            Self::Host => return host_tests(folders, jobs, &["--workspace"]),
            Self::Unit => {
                return host_tests(
                    folders,
                    jobs,
                    &["--workspace", "--exclude", "connect-tests"],
                );
            }
            Self::Batches => return batches(folders, jobs),
            Self::Suite(name) => {
                return host_tests(folders, jobs, &["-p", "connect-tests", "--test", name]);
            }
        }
        Ok(Counts::default())
    }
}

/// The suites that there are: one file each.
pub(crate) fn suites(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("tests/suites");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn format(folders: &Folders) -> Result<()> {
    let mut wrong = Vec::new();
    for workspace in [""].iter().chain(&GUEST_WORKSPACES) {
        let mut command = cargo::cargo(&folders.root.join(workspace));
        // Without `--all`, which would go through the packages of other workspaces as well.
        command.args(["fmt", "--check"]);
        if cargo::run(&mut command).is_err() {
            wrong.push(if workspace.is_empty() { "." } else { workspace });
        }
    }
    if !wrong.is_empty() {
        bail!("run `cargo fmt` in {}", wrong.join(", "));
    }
    Ok(())
}

fn clippy(folders: &Folders, jobs: Option<u32>) -> Result<()> {
    let mut host = cargo::cargo(&folders.root);
    host.args(["clippy", "--workspace", "--all-targets", "--quiet"]);
    cargo::jobs(&mut host, jobs).args(["--", "-D", "warnings"]);
    let mut failed = cargo::run(&mut host).err();
    for (workspace, target) in guest_targets(folders) {
        let mut command = cargo::cargo(&folders.root.join(workspace));
        command.args(["clippy", "--workspace", "--quiet", "--release"]);
        command
            .args(["--target", "wasm32-wasip2", "--target-dir"])
            .arg(target);
        cargo::jobs(&mut command, jobs).args(["--", "-D", "warnings"]);
        failed = cargo::run(&mut command).err().or(failed);
    }
    failed.map_or(Ok(()), Err)
}

fn guest_targets(folders: &Folders) -> [(&'static str, PathBuf); 2] {
    let [connectors, guests] = GUEST_WORKSPACES;
    [
        (connectors, folders.connectors()),
        (guests, folders.guests()),
    ]
}

/// Connectors keep what can be tested without a sandbox in plain functions; those run natively.
fn native_guests(folders: &Folders, jobs: Option<u32>) -> Result<Counts, Failure> {
    let host = host_triple(&folders.root)?;
    let mut command = cargo::cargo(&folders.root.join("connectors-wasm"));
    command.args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--target",
        &host,
        "--target-dir",
    ]);
    command.arg(folders.connectors());
    tests(cargo::jobs(&mut command, jobs))
}

fn host_triple(root: &Path) -> Result<String> {
    let said = cargo::output(Command::new("rustc").current_dir(root).arg("-vV"))?;
    String::from_utf8_lossy(&said)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .context("rustc does not name its host")
}

fn host_tests(folders: &Folders, jobs: Option<u32>, chosen: &[&str]) -> Result<Counts, Failure> {
    // Tests that cannot do their work here say so in this file.
    let skipped = folders.target.join("skipped-tests.txt");
    fs::write(&skipped, "").with_context(|| format!("cannot write {}", skipped.display()))?;
    let mut command = cargo::cargo(&folders.root);
    command.args(["test", "--no-fail-fast"]).args(chosen);
    command.env("CONNECT_SKIPPED_TESTS", &skipped);
    // Where cargo left the tests' plugins, wherever the target folder is.
    command.env("CONNECT_GUESTS", wasm::built(&folders.guests()));
    // Errors of the suites name what went wrong; where they were made says nothing more.
    command.env("RUST_LIB_BACKTRACE", "0");
    let outcome = tests(cargo::jobs(&mut command, jobs));
    let reasons = fs::read_to_string(&skipped).unwrap_or_default();
    let reasons = || reasons.lines().map(str::to_owned);
    match outcome {
        Ok(mut counts) => {
            counts.skip(reasons());
            Ok(counts)
        }
        Err(mut failure) => {
            failure.counts.skip(reasons());
            Err(failure)
        }
    }
}

/// The round of random batches, with its seeds in the output.
fn batches(folders: &Folders, jobs: Option<u32>) -> Result<Counts, Failure> {
    let (name, default) = BATCH_SECONDS;
    let seconds = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let mut command = cargo::cargo(&folders.root);
    // The whole workspace, as in the other steps: it is built with the same features then.
    command.args(["test", "--workspace", "--lib"]);
    cargo::jobs(&mut command, jobs);
    command.args(["--", "--exact", "--nocapture", BATCH_ROUND]);
    command.env(name, seconds);
    let counts = tests(&mut command)?;
    if counts.passed != 1 {
        // A filter that meets no test is no failure to the runner.
        let error = anyhow::anyhow!("{} tests have the name {BATCH_ROUND}", counts.passed);
        return Err(Failure { counts, error });
    }
    Ok(counts)
}

/// Runs a test command, passing its output on while counting what it says.
fn tests(command: &mut Command) -> Result<Counts, Failure> {
    let line = cargo::describe(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let mut counts = Counts::default();
    if let Some(stdout) = child.stdout.take() {
        // Tests may print bytes that are not text: lines are read as bytes.
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes);
            // A zero byte would make the whole log binary in the eyes of the tools that read it.
            let text = text
                .trim_end_matches(['\n', '\r'])
                .replace('\0', "\u{fffd}");
            let text = text.as_str();
            println!("{text}");
            counts.read(text);
            bytes.clear();
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(counts);
    }
    Err(Failure {
        counts,
        error: anyhow::anyhow!("`{line}` failed ({status})"),
    })
}
