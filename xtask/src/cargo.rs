//! Running cargo, and where its results are. One place decides target folders, so that every
//! command finds what another has built.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folders of this checkout.
pub(crate) struct Folders {
    pub(crate) root: PathBuf,
    /// Where the host workspace is built: `CARGO_TARGET_DIR` or `target`.
    pub(crate) target: PathBuf,
}

impl Folders {
    pub(crate) fn find() -> Result<Self> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = here
            .parent()
            .context("xtask has no parent folder")?
            .to_owned();
        let metadata = output(cargo(&root).args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ]))?;
        let metadata: serde_json::Value =
            serde_json::from_slice(&metadata).context("cargo metadata is not JSON")?;
        let target = metadata
            .get("target_directory")
            .and_then(serde_json::Value::as_str)
            .context("cargo metadata names no target directory")?;
        Ok(Self {
            root,
            target: PathBuf::from(target),
        })
    }

    /// Where the connectors (a workspace of their own) are built.
    pub(crate) fn connectors(&self) -> PathBuf {
        self.target.join("connectors")
    }

    /// Where the plugins of the tests are built; the components are put here as well.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// A binary of the host workspace in the everyday profile.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

/// A cargo command run from `folder`.
pub(crate) fn cargo(folder: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    // `cargo run` tells this process about xtask's own package; a nested cargo must not see it.
    command
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH");
    command
}

/// Adds `--jobs` when a number was asked for; cargo's own default otherwise.
pub(crate) fn jobs(command: &mut Command, jobs: Option<u32>) -> &mut Command {
    match jobs {
        Some(jobs) => command.arg("--jobs").arg(jobs.to_string()),
        None => command,
    }
}

/// Runs a command to its end, its output shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command to its end and gives what it printed; shown only when it fails.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let line = describe(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(output.stdout)
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
