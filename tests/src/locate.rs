//! Where the things under test are: the binary, the shipped plugins, the plugins made to misbehave.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The `rocketmq-connect` to test: `ROCKETMQ_CONNECT_BINARY`, else the one built beside this test.
///
/// # Errors
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ROCKETMQ_CONNECT_BINARY") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "ROCKETMQ_CONNECT_BINARY is {}, which is no file",
                path.display()
            );
        }
        return Ok(path);
    }
    beside("rocketmq-connect")
        .context("run `cargo xtask test`, or `cargo build -p rocketmq-connect` first")
}

/// The `cargo xtask` binary itself, for what only it can start.
///
/// # Errors
/// It has not been built.
pub fn xtask() -> Result<PathBuf> {
    beside("xtask").context("run `cargo build -p xtask` first")
}

/// The folder of the shipped plugins.
///
/// # Errors
/// They have not been built.
pub fn plugins() -> Result<PathBuf> {
    let folder = root().join("plugins");
    if !folder.join("file-source.wasm").is_file() {
        bail!(
            "{} holds no file-source.wasm; run `cargo xtask plugins`",
            folder.display()
        );
    }
    Ok(folder)
}

/// The folder of the test plugins.
///
/// # Errors
/// They have not been built.
pub fn guests() -> Result<PathBuf> {
    let folder = profile()?.parent().map(|target| target.join("guests"));
    match folder {
        Some(folder) if folder.is_dir() => Ok(folder),
        Some(folder) => {
            bail!("there is no {}; run `cargo xtask guests`", folder.display())
        }
        None => bail!("this test runs outside a target folder"),
    }
}

/// The folder of compiled plugins that all workers under test share: compiling them anew for each
/// takes longer than most tests.
pub fn code_cache() -> PathBuf {
    let target = profile()
        .ok()
        .and_then(|folder| folder.parent().map(Path::to_owned));
    target.unwrap_or_else(std::env::temp_dir).join("code-cache")
}

fn beside(name: &str) -> Result<PathBuf> {
    let path = profile()?.join(name);
    if !path.is_file() {
        bail!("there is no {}", path.display());
    }
    Ok(path)
}

/// The folder of this build's profile, such as `target/debug`.
fn profile() -> Result<PathBuf> {
    let me = std::env::current_exe().context("this test does not know where it is")?;
    let folder = me.parent().context("this test is in no folder")?;
    let folder = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    Ok(folder
        .context("this test is in no target folder")?
        .to_owned())
}
