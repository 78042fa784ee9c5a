//! Offsets that pass what no sink was given: messages that were skipped, topics that were made anew.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::wait;
use connect_tests::wire;
use connect_tests::worker::{Setup, Worker};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// A broker and a worker for topics of one queue.
fn one_queue(folder: &Path, guests: &[&str], limits: &str) -> Result<(Cluster, Setup)> {
    let cluster = Cluster::started(folder)?;
    let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
    let mut setup = setup.with_guests(guests)?;
    setup.extra = format!("[delivery]\ntopic-queues = 1\n{limits}");
    Ok((cluster, setup))
}

/// A file's lines in a topic of its name, up to a place in the file.
fn feed(worker: &Worker, setup: &Setup, topic: &str, lines: &str, bytes: u64) -> Result<()> {
    let file = format!("{topic}.txt");
    setup.append(&file, lines)?;
    let name = format!("{topic}-feed");
    worker.rest()?.create(
        &name,
        &json!({"connector.class": "file-source", "filename": file, "connect.topicname": topic}),
    )?;
    let place = format!("offset={bytes} ");
    wait::until_true("the lines are sent", PATIENCE, || {
        let durable = setup.durable()?;
        let position = durable.position(&name, &file);
        Ok(position.is_some_and(|position| position.starts_with(&place)))
    })
}

/// A sink that says how far it is does not say so of what it rejected. Such records must not count as in
/// flight for ever either.
#[test]
fn what_is_rejected_behind_the_last_record_is_passed() -> Result<()> {
    const LIMIT: &str = "[limits]\nin-flight-records = 2\n";
    alone(|folder| {
        let (_cluster, setup) = one_queue(folder, &["reject-sink"], LIMIT)?;
        let worker = setup.start()?;
        feed(
            &worker,
            &setup,
            "rejected",
            "good\nbad\nbad\nbad\nbad\n",
            21,
        )?;
        for (name, late) in [("at-once", "false"), ("late", "true")] {
            worker.rest()?.create(
                name,
                &json!({"connector.class": "reject-sink", "connect.topicnames": "rejected",
                        "text": "bad", "late": late, "honest": "true",
                        "errors.tolerance": "all", "flush.interval.ms": "50"}),
            )?;
            wait::until_true("all five are behind it", PATIENCE, || {
                Ok(setup.durable()?.offset(name, "rejected", 0) == 5)
            })
            .with_context(|| name)?;
        }
        worker.terminate(PATIENCE).map(drop)
    })
}

/// A sink that says how far it is knows nothing of messages that were skipped behind its last record. They
/// must not count as in flight for ever, or its queues stand still.
#[test]
fn what_is_skipped_behind_the_last_record_is_passed() -> Result<()> {
    const LIMIT: &str = "[limits.connector.\"sink\"]\nin-flight-records = 2\n";
    alone(|folder| {
        let (cluster, setup) = one_queue(folder, &["flush-sink"], LIMIT)?;
        let worker = setup.start()?;
        feed(&worker, &setup, "skipped", "one\n", 4)?;
        for _ in 0..3 {
            wire::send_as_compressed(&cluster.broker(), "skipped", 0, b"no zlib")?;
        }
        worker.rest()?.create(
            "sink",
            &json!({"connector.class": "flush-sink", "out": "out.txt", "flush.interval.ms": "50",
                    "errors.tolerance": "all", "connect.topicnames": "skipped"}),
        )?;
        let is_committed = |next| {
            wait::until_true("everything is committed", PATIENCE, || {
                Ok(setup.durable()?.committed("sink") == next)
            })
        };
        is_committed(4)?;
        setup.append("skipped.txt", "two\n")?;
        is_committed(5)?;
        let out = std::fs::read_to_string(setup.file("out.txt"))?;
        ensure!(out == "0 0 one\n0 4 two\n", "it holds {out:?}");
        Ok(())
    })
}

/// The offset of a topic that was made anew is durable before a record: by the next start the topic may
/// have grown beyond the old one.
#[test]
fn going_back_in_a_topic_made_anew_is_durable() -> Result<()> {
    alone(|folder| {
        let (mut cluster, setup) = one_queue(folder, &[], "")?;
        let mut worker = setup.start()?;
        feed(&worker, &setup, "anew", "one\ntwo\nthree\n", 14)?;
        worker.rest()?.create(
            "sink",
            &json!({"connector.class": "file-sink", "filename": "out.txt", "offset.lost": "earliest",
                    "connect.topicnames": "anew"}),
        )?;
        let is_committed = |next| {
            wait::until_true("the offset is stored", PATIENCE, || {
                Ok(setup.durable()?.offset("sink", "anew", 0) == next)
            })
        };
        is_committed(3)?;
        worker.kill()?;
        cluster.kill()?;
        std::fs::remove_dir_all(folder.join("broker")).context("the broker's data")?;
        cluster.start()?;

        worker = setup.start()?;
        is_committed(0)?;
        worker.kill()?;
        let _worker = setup.start()?;
        setup.append("anew.txt", "four\nfive\nsix\nseven\n")?;
        is_committed(4)?;
        let out = std::fs::read_to_string(setup.file("out.txt"))?;
        ensure!(
            out == "one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
            "it holds {out:?}"
        );
        Ok(())
    })
}
