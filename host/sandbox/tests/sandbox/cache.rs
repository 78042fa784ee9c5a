//! The code cache: the second load compiles and asks nothing, and damage is mended.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use connect_sandbox::{Compiler, CompilerCommand, LoadError, Plugin, Sandbox, SandboxSettings};
use sha2::{Digest, Sha256};

use crate::fixtures::bytes;

async fn load(directory: &Path) -> Plugin {
    let settings = SandboxSettings {
        code_cache: Some(directory.to_owned()),
        ..SandboxSettings::default()
    };
    Sandbox::new(settings)
        .unwrap()
        .load("seq-source.wasm", bytes("seq-source"))
        .await
        .unwrap()
}

fn entry(directory: &Path, extension: &str) -> PathBuf {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .last()
        .unwrap()
}

#[tokio::test]
async fn the_second_load_takes_what_is_there_and_damage_is_made_anew() {
    let keep = tempfile::tempdir().unwrap();
    let directory = keep.path().join("code");
    let started = Instant::now();
    let first = load(&directory).await;
    let compiled_in = started.elapsed();
    let (code, description) = (entry(&directory, "cwasm"), entry(&directory, "json"));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let (code_inode, description_inode) = (inode(&code), inode(&description));

    let started = Instant::now();
    let second = load(&directory).await;
    let loaded_in = started.elapsed();
    assert_eq!(
        (first.digest(), first.description()),
        (second.digest(), second.description())
    );
    assert_eq!(
        (inode(&code), inode(&description)),
        (code_inode, description_inode)
    );
    assert!(
        loaded_in * 2 < compiled_in,
        "{loaded_in:?} after {compiled_in:?}"
    );

    for damage in [&b""[..], b"short", &[0; 100_000]] {
        for path in [&code, &description] {
            fs::write(path, damage).unwrap();
        }
        assert_eq!(load(&directory).await.description(), first.description());
        assert!(
            fs::metadata(&code).unwrap().len() > 100_000,
            "not written again"
        );
    }
    // One byte somewhere in the middle of machine code, which nothing but the seal would notice.
    let mut damaged = fs::read(&code).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&code, &damaged).unwrap();
    load(&directory).await;
    assert_ne!(fs::read(&code).unwrap(), damaged);
}

/// A worker with many plugins starts soon: what is there needs no process.
#[tokio::test]
async fn a_known_plugin_needs_no_compiler() {
    let keep = tempfile::tempdir().unwrap();
    let directory = keep.path().join("code");
    let digest = load(&directory).await.digest().to_owned();
    let none = CompilerCommand {
        program: "/no/such/compiler".into(),
        ..CompilerCommand::this_program([])
    };
    let sandbox = Sandbox::new(SandboxSettings {
        code_cache: Some(directory),
        compiler: Compiler::Child(none),
        ..SandboxSettings::default()
    })
    .unwrap();
    for number in 0..100 {
        let name = format!("{number}.wasm");
        let plugin = sandbox.load(&name, bytes("seq-source")).await.unwrap();
        assert_eq!(plugin.digest(), digest);
    }
    let error = sandbox
        .load("new.wasm", bytes("probe-source"))
        .await
        .unwrap_err();
    assert!(matches!(error, LoadError::Compiler { .. }), "{error:?}");
}

#[tokio::test]
async fn a_known_plugin_is_not_asked_what_it_is() {
    let keep = tempfile::tempdir().unwrap();
    let directory = keep.path().join("code");
    let plugin = load(&directory).await;
    let mut other = plugin.description().clone();
    other.doc = "not what the plugin says".into();
    let content = serde_json::to_vec(&other).unwrap();
    let sealed = [Sha256::digest(&content).as_slice(), &content].concat();
    fs::write(entry(&directory, "json"), sealed).unwrap();
    assert_eq!(load(&directory).await.description(), &other);
}
