//! `cargo xtask bench`: builds the worker and its baselines as they ship, then hands over to the
//! harness, which measures them from outside.

use anyhow::Result;

use crate::cargo::{self, Folders};
use crate::wasm;

/// Every argument is the harness's own.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let folders = Folders::find()?;
    wasm::ensure_target(&folders.root)?;
    wasm::build_plugins(&folders, None)?;
    wasm::build_guests(&folders, None)?;

    // One command, so that both are built with the same features of the client.
    let mut build = cargo::cargo(&folders.root);
    build.args(["build", "--release", "--workspace"]);
    build.args(["--bin", "rocketmq-connect", "--bin", "bench-native"]);
    cargo::run(&mut build)?;

    // The harness itself stays in the everyday profile: it only watches.
    let mut harness = cargo::cargo(&folders.root);
    harness.args(["run", "--quiet", "--workspace", "--bin", "bench", "--"]);
    harness.args(arguments);
    let release = folders.target.join("release");
    harness.env("ROCKETMQ_CONNECT_BINARY", release.join("rocketmq-connect"));
    harness.env("BENCH_NATIVE", release.join("bench-native"));
    Ok(harness.status()?.success())
}
