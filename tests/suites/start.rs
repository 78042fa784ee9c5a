//! What a worker does with a start that cannot work: it says why and what to do, ends, and has
//! changed nothing.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::locate;
use connect_tests::worker::Setup;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn healthy() -> Value {
    json!({"connector.class": "file-source", "filename": "a.txt", "connect.topicname": "input"})
}

/// A start that must fail: what it says on standard error, within a few seconds.
fn refuses_to_start(setup: &Setup, words: &[&str]) -> Result<()> {
    let mut process = setup.spawn(None)?;
    let status = process.wait(Duration::from_secs(20))?;
    ensure!(!status.success(), "it ended as if all were well");
    let said = std::fs::read_to_string(setup.file("worker.log"))?;
    for word in words {
        ensure!(said.contains(word), "`{word}` is not in: {said}");
    }
    ensure!(!said.contains("panicked"), "it panicked: {said}");
    Ok(())
}

#[test]
fn a_port_that_is_in_use() -> Result<()> {
    alone(|folder| {
        let other = TcpListener::bind(("127.0.0.1", 0))?;
        let address = other.local_addr()?.to_string();
        let setup = Setup::new(&folder.join("worker"), "127.0.0.1:1")?;
        let text = setup.text().replace("127.0.0.1:0", &address);
        let conf = setup.file("taken.toml");
        std::fs::write(&conf, text)?;
        let output = standalone(&conf, &setup.directory)?;
        ensure!(!output.0, "it started on a port that is taken");
        for word in [address.as_str(), "listen"] {
            ensure!(output.1.contains(word), "`{word}` is not in: {}", output.1);
        }
        Ok(())
    })
}

#[test]
fn a_worker_configuration_with_mistakes() -> Result<()> {
    alone(|folder| {
        let setup = Setup::new(&folder.join("worker"), "127.0.0.1:1")?;
        let conf = setup.file("wrong.toml");
        let good = setup.text();
        let cases: [(String, &[&str]); 5] = [
            (
                good.replace("listen =", "lisen ="),
                &["lisen", "listen", "wrong.toml"],
            ),
            (
                good.replace("[broker]", "[brocker]"),
                &["brocker", "broker"],
            ),
            (
                good.replace("\"127.0.0.1:0\"", "\"nowhere\""),
                &["nowhere", "listen"],
            ),
            (
                good.replace("read-directory", "read-directroy"),
                &["read-directroy", "read-directory"],
            ),
            ("[worker\n".to_owned(), &["wrong.toml"]),
        ];
        for (text, words) in cases {
            std::fs::write(&conf, &text)?;
            let (ok, said) = standalone(&conf, &setup.directory)?;
            ensure!(!ok, "it started with {text}");
            for word in words {
                ensure!(said.contains(word), "`{word}` is not in: {said}");
            }
            ensure!(!setup.data().join("store.redb").exists(), "it made a store");
        }
        let (ok, said) = standalone(&folder.join("absent.toml"), &setup.directory)?;
        ensure!(!ok && said.contains("absent.toml"), "{said}");
        Ok(())
    })
}

fn standalone(conf: &Path, folder: &Path) -> Result<(bool, String)> {
    let output = Command::new("timeout")
        .arg("20")
        .arg(locate::binary()?)
        .args(["standalone", "-c"])
        .arg(conf)
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.code() != Some(124),
        "it was still running after 20 s"
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!said.contains("panicked"), "it panicked: {said}");
    Ok((output.status.success(), said))
}

#[test]
fn a_store_that_is_damaged() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let worker = setup.start()?;
        worker.rest()?.create("healthy", &healthy())?;
        worker.terminate(PATIENCE)?;
        let store = setup.data().join("store.redb");
        let mut bytes = std::fs::read(&store)?;
        for byte in bytes.iter_mut().take(4_096) {
            *byte ^= 0x5a;
        }
        std::fs::write(&store, &bytes)?;
        refuses_to_start(&setup, &["store.redb"])?;
        ensure!(
            std::fs::read(&store)? == bytes,
            "the damaged store was changed"
        );
        Ok(())
    })
}

#[test]
fn a_second_worker_on_the_same_store() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::new(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let worker = setup.start()?;
        refuses_to_start(&setup, &["data"])?;
        ensure!(worker.rest()?.get("/health/live")?.status == 200);
        Ok(())
    })
}

/// Files that are no plugins are told of; the others work.
#[test]
fn files_that_are_no_plugins() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let strange = folder.join("strange");
        std::fs::create_dir_all(&strange)?;
        let whole = std::fs::read(locate::plugins()?.join("file-source.wasm"))?;
        let half = whole.get(..whole.len() / 2).unwrap_or_default();
        // A core module, no component.
        let module: &[u8] = b"\0asm\x01\0\0\0";
        for (name, bytes) in [
            ("text.wasm", b"hello".as_slice()),
            ("half.wasm", half),
            ("module.wasm", module),
            ("empty.wasm", b""),
        ] {
            std::fs::write(strange.join(name), bytes)?;
            let inspected = Command::new(locate::binary()?)
                .args(["plugin", "inspect"])
                .arg(strange.join(name))
                .output()?;
            let said = String::from_utf8_lossy(&inspected.stderr);
            ensure!(!inspected.status.success(), "{name} was taken for a plugin");
            ensure!(
                said.contains(name) && !said.contains("panicked"),
                "{name}: {said}"
            );
        }
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_plugins(&strange);
        let worker = setup.start()?;
        worker.rest()?.create("healthy", &healthy())?;
        let log = std::fs::read_to_string(setup.file("worker.log"))?;
        for name in ["text.wasm", "half.wasm", "module.wasm", "empty.wasm"] {
            let line = log.lines().find(|line| line.contains(name));
            let line = line.with_context(|| format!("{name} is not in the log: {log}"))?;
            let says = line.contains("component") || line.contains("damaged");
            ensure!(says, "it does not say why: {line}");
        }
        Ok(())
    })
}
