//! `cargo xtask torture`: builds everything that the full-size delivery tests need, then hands over
//! to the harness, which is the one the tests use.

use anyhow::Result;

use crate::cargo::{self, Folders};
use crate::wasm;

/// Every argument but `--release` is the harness's own.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let release = arguments.iter().any(|argument| argument == "--release");
    let folders = Folders::find()?;
    wasm::ensure_target(&folders.root)?;
    wasm::build_plugins(&folders, None)?;
    wasm::build_guests(&folders, None)?;

    let mut build = cargo::cargo(&folders.root);
    build.args(["build", "-p", "rocketmq-connect"]);
    if release {
        build.arg("--release");
    }
    cargo::run(&mut build)?;

    // The harness itself stays in the everyday profile: it only watches.
    let mut harness = cargo::cargo(&folders.root);
    harness.args([
        "run",
        "--quiet",
        "-p",
        "connect-tests",
        "--bin",
        "torture",
        "--",
    ]);
    harness.args(arguments.iter().filter(|argument| *argument != "--release"));
    if release {
        let worker = folders.target.join("release").join("rocketmq-connect");
        harness.env("ROCKETMQ_CONNECT_BINARY", worker);
    }
    Ok(harness.status()?.success())
}
