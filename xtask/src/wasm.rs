//! Components: the connectors that ship (into `plugins/`) and the plugins that the tests misuse.
//! Adds the compiler's wasm target where it is missing; installs nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Arguments;
use crate::cargo::{self, Folders};

const TARGET: &str = "wasm32-wasip2";

/// `cargo xtask plugins [--jobs N]`
pub(crate) fn plugins(arguments: &[String]) -> Result<bool> {
    let jobs = only_jobs(arguments)?;
    let folders = Folders::find()?;
    ensure_target(&folders.root)?;
    for file in build_plugins(&folders, jobs)? {
        println!("{}", file.display());
    }
    Ok(true)
}

/// `cargo xtask guests [--jobs N]`
pub(crate) fn guests(arguments: &[String]) -> Result<bool> {
    let jobs = only_jobs(arguments)?;
    let folders = Folders::find()?;
    ensure_target(&folders.root)?;
    for file in build_guests(&folders, jobs)? {
        println!("{}", file.display());
    }
    Ok(true)
}

fn only_jobs(arguments: &[String]) -> Result<Option<u32>> {
    let mut arguments = Arguments::new(arguments);
    let jobs = arguments.value("--jobs")?;
    arguments.end()?;
    Ok(jobs)
}

/// Builds the connectors and puts the components into `plugins/`.
pub(crate) fn build_plugins(folders: &Folders, jobs: Option<u32>) -> Result<Vec<PathBuf>> {
    cargo::run(&mut connectors_command(folders, jobs))?;
    place_plugins(folders)
}

/// Begins the connectors' build beside other work; its output is kept until [`Build::finish`].
pub(crate) fn begin_plugins(folders: &Folders, jobs: Option<u32>) -> Result<Build> {
    let mut command = connectors_command(folders, jobs);
    let line = cargo::describe(&command);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    Ok(Build { child, line })
}

/// A build of the connectors under way.
pub(crate) struct Build {
    child: Child,
    line: String,
}

impl Build {
    /// Waits for the build and puts the components into `plugins/`.
    pub(crate) fn finish(self, folders: &Folders) -> Result<Vec<PathBuf>> {
        let output = self
            .child
            .wait_with_output()
            .with_context(|| self.line.clone())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`{}` failed ({}):\n{}",
                self.line,
                output.status,
                said.trim_end()
            );
        }
        place_plugins(folders)
    }
}

fn connectors_command(folders: &Folders, jobs: Option<u32>) -> Command {
    component_build(
        &folders.root.join("connectors-wasm"),
        &folders.connectors(),
        jobs,
    )
}

fn place_plugins(folders: &Folders) -> Result<Vec<PathBuf>> {
    place(&folders.connectors(), &folders.root.join("plugins"))
}

/// Builds the plugins that the tests misuse; the components stand in the target folder's `guests`.
pub(crate) fn build_guests(folders: &Folders, jobs: Option<u32>) -> Result<Vec<PathBuf>> {
    let target = folders.guests();
    cargo::run(&mut component_build(
        &folders.root.join("tests/guests"),
        &target,
        jobs,
    ))?;
    place(&target, &target)
}

fn component_build(workspace: &Path, target: &Path, jobs: Option<u32>) -> Command {
    let mut command = cargo::cargo(workspace);
    command.args(["build", "--release", "--workspace", "--target", TARGET]);
    command.arg("--target-dir").arg(target);
    // Flags meant for the host's compiler would reach the wasm one.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo::jobs(&mut command, jobs);
    command
}

/// Where cargo leaves the components of a build.
pub(crate) fn built(target: &Path) -> PathBuf {
    target.join(TARGET).join("release")
}

/// Copies the components of a build to `to`, words joined by `-` as plugins are named. A component
/// that has not changed is left alone, so that nobody sees a new file where there is none.
fn place(target: &Path, to: &Path) -> Result<Vec<PathBuf>> {
    let from = built(target);
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let mut placed = Vec::new();
    let entries =
        fs::read_dir(&from).with_context(|| format!("no components in {}", from.display()))?;
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !name.ends_with(".wasm") {
            continue;
        }
        let goal = to.join(name.replace('_', "-"));
        let built = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if fs::read(&goal).ok().as_ref() != Some(&built) {
            // A worker may be watching the folder: the file appears whole or not at all.
            let aside = goal.with_extension("part");
            fs::write(&aside, &built)
                .and_then(|()| fs::rename(&aside, &goal))
                .with_context(|| format!("cannot write {}", goal.display()))?;
        }
        placed.push(goal);
    }
    ensure!(
        !placed.is_empty(),
        "the build left no component in {}",
        from.display()
    );
    placed.sort();
    Ok(placed)
}

/// Makes sure the compiler can build for wasm.
pub(crate) fn ensure_target(root: &Path) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library = cargo::output(Command::new(rustc).current_dir(root).args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    let library = PathBuf::from(String::from_utf8_lossy(&library).trim());
    if library.is_dir() {
        return Ok(());
    }
    println!("Adding the compiler target {TARGET}");
    let mut rustup = Command::new("rustup");
    rustup.current_dir(root).args(["target", "add", TARGET]);
    match rustup.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!(
            "`rustup target add {TARGET}` failed ({status}); run it by hand in this folder to see why"
        ),
        Err(_) => bail!(
            "the Rust compiler has no {TARGET} target and rustup is not there to add it: install \
             rustup (https://rustup.rs), or your distribution's package of the standard library \
             for {TARGET}"
        ),
    }
}
