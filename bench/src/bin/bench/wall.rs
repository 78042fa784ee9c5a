//! P1 and P11: what is measured inside a process is a bench of its own, which writes its chapter for
//! the report.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use connect_bench::Chapter;
use connect_tests::locate;

use crate::Arguments;

/// Crossing the wall.
pub(crate) fn boundary(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    run("boundary", arguments, folder)
}

/// What the worker's own steps cost.
pub(crate) fn host(arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    run("host", arguments, folder)
}

fn run(bench: &str, arguments: &Arguments, folder: &Path) -> Result<Chapter> {
    let file = folder.join("chapter.json");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(locate::root());
    // the whole workspace, as the worker was built: with other features everything is built again
    command.args(["bench", "--quiet", "--workspace", "--bench", bench, "--"]);
    command.arg("--chapter").arg(&file);
    if arguments.quick {
        command.arg("--quick");
    }
    let status = command.status().context("cannot start cargo bench")?;
    ensure!(status.success(), "the bench `{bench}` failed");
    let text = std::fs::read(&file).context("the bench left no chapter")?;
    serde_json::from_slice(&text).context("the bench's chapter cannot be read")
}
