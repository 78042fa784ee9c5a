//! `cargo xtask torture`: builds everything that the full-size delivery tests need, then hands over
//! to the harness, which is the one the tests use.

use anyhow::{Context, Result, bail};

use crate::cargo::{self, Folders};
use crate::wasm;

/// Instances of `torture recycle`.
const RECYCLES: u64 = 100_000;

/// Every argument but `--release` is the harness's own, except for `recycle`, which is a test of the
/// sandbox: it counts what a process of its own holds.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    if let Some(("recycle", rest)) = arguments.split_first().map(|(what, rest)| (&**what, rest)) {
        return recycle(rest);
    }
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

/// Makes and ends instances until nobody could call it a coincidence that nothing is left of them.
fn recycle(arguments: &[String]) -> Result<bool> {
    let count = match arguments {
        [] => RECYCLES,
        [option, count] if option == "--count" => count
            .replace('_', "")
            .parse()
            .with_context(|| format!("--count cannot be `{count}`"))?,
        other => bail!("`recycle` takes --count N, not `{}`", other.join(" ")),
    };
    let folders = Folders::find()?;
    wasm::ensure_target(&folders.root)?;
    wasm::build_guests(&folders, None)?;
    let mut test = cargo::cargo(&folders.root);
    // The whole workspace, as in `test`: it is built with the same features then.
    test.args(["test", "--workspace", "--test", "recycle"]);
    test.args(["--", "--nocapture"]);
    test.env("CONNECT_RECYCLES", count.to_string());
    Ok(test.status()?.success())
}
