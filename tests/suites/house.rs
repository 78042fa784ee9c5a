//! Rules of the tree that the compiler does not know: who may use what, what a file must say, and
//! that no plugin made for a test is left without one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use connect_tests::locate;

/// Longest source file.
const LONGEST: usize = 500;

/// Every file below `folder` whose name ends in `ending`; build folders left out.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn sources() -> Result<Vec<(PathBuf, String)>> {
    let root = locate::root();
    let mut sources = Vec::new();
    for folder in [
        "wit",
        "host",
        "guest-sdk",
        "connectors-wasm",
        "bench",
        "fuzz",
        "tests",
        "xtask",
    ] {
        let folder = root.join(folder);
        if folder.is_dir() {
            for path in files(&folder, ".rs")? {
                let text = std::fs::read_to_string(&path)?;
                sources.push((path, text));
            }
        }
    }
    ensure!(
        sources.len() > 50,
        "only {} source files were found",
        sources.len()
    );
    Ok(sources)
}

#[test]
fn every_plugin_made_for_a_test_has_one() -> Result<()> {
    let guests = locate::root().join("tests/guests");
    let tests: Vec<String> = sources()?
        .into_iter()
        .filter(|(path, _)| !path.starts_with(&guests))
        .map(|(_, text)| text)
        .collect();
    let mut without = Vec::new();
    for manifest in files(&guests, "Cargo.toml")? {
        let folder = manifest.parent().context("a manifest in no folder")?;
        // What is no component is only shared by the others.
        if !std::fs::read_to_string(&manifest)?.contains("cdylib") {
            continue;
        }
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let quoted = [format!("\"{name}\""), format!("\"{name}.wasm\"")];
        if !tests
            .iter()
            .any(|text| quoted.iter().any(|name| text.contains(name)))
        {
            without.push(name);
        }
    }
    ensure!(without.is_empty(), "no test names {}", without.join(", "));
    Ok(())
}

#[test]
fn every_file_says_what_it_is_for() -> Result<()> {
    let silent: Vec<String> = sources()?
        .into_iter()
        .filter(|(_, text)| {
            // Attributes such as a recursion limit have to come first.
            let first = text
                .lines()
                .find(|line| !line.is_empty() && !line.starts_with("#!["));
            !first.unwrap_or_default().starts_with("//!")
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    ensure!(
        silent.is_empty(),
        "without a first line: {}",
        silent.join(", ")
    );
    Ok(())
}

#[test]
fn no_file_is_too_long_to_read() -> Result<()> {
    let long: Vec<String> = sources()?
        .into_iter()
        .filter(|(_, text)| text.lines().count() > LONGEST)
        .map(|(path, text)| format!("{} ({} lines)", path.display(), text.lines().count()))
        .collect();
    ensure!(long.is_empty(), "split {}", long.join(", "));
    Ok(())
}

/// The engine, RocketMQ and the database each have one crate that knows them.
#[test]
fn dependencies_keep_to_their_rooms() -> Result<()> {
    let root = locate::root();
    let rooms: [(&str, &[&str]); 4] = [
        ("wasmtime", &["host/sandbox", "bench"]),
        (
            "rocketmq-",
            &["host/broker", "host/broker-embedded", "bench"],
        ),
        ("redb", &["host/store"]),
        ("axum", &["host/server"]),
    ];
    let mut manifests = 0;
    for folder in [
        "wit",
        "host",
        "guest-sdk",
        "bench",
        "tests/src",
        "tests",
        "xtask",
    ] {
        for manifest in files(&root.join(folder), "Cargo.toml")? {
            manifests += 1;
            let folder = manifest.parent().context("a manifest in no folder")?;
            let room = folder.strip_prefix(&root)?.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&manifest)?;
            let dependencies = text
                .split_once("[dependencies]")
                .map_or("", |(_, rest)| rest);
            let dependencies = dependencies
                .split("\n[features]")
                .next()
                .unwrap_or_default();
            for (name, allowed) in rooms {
                let uses = dependencies.lines().any(|line| {
                    line.starts_with(name) && line.contains(['=', '.']) && !line.starts_with('#')
                });
                ensure!(
                    !uses || allowed.contains(&room.as_str()),
                    "{room} depends on {name}; only {} may",
                    allowed.join(", ")
                );
            }
        }
    }
    ensure!(manifests > 10, "only {manifests} manifests were found");
    Ok(())
}
