//! Sinks and sources that use the finer parts of the wall: partial flushes, flushes that are put off,
//! rejections in several queues, seeks and pauses, forgotten partitions. Offsets and positions tell
//! the truth all the same, so a restart loses nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::store::Durable;
use connect_tests::wait;
use connect_tests::worker::{FailPoint, Setup, Worker};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
/// One queue for each of the two partitions of `seq-source`.
const TWO_QUEUES: &str = "[delivery]\ntopic-queues = 2\n";
const QUEUES: [i64; 2] = [0, 1];
/// What failed stays so until the test has looked.
const NO_RESTART: &str = "[restart]\nattempts = 0\n";

/// A line of a guest's `out`: queue, offset, value.
type Line = (i64, u64, String);

fn lines(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be half written still, or for ever by a worker that was killed.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(line).collect()
}

fn line(text: &str) -> Result<Line> {
    let mut parts = text.splitn(3, ' ');
    let mut part = || parts.next().with_context(|| format!("the line `{text}`"));
    Ok((part()?.parse()?, part()?.parse()?, part()?.to_owned()))
}

/// The offsets of one queue, in the order in which they arrived.
fn offsets(lines: &[Line], queue: i64) -> Vec<u64> {
    let own = lines.iter().filter(|(id, ..)| *id == queue);
    own.map(|(_, offset, _)| *offset).collect()
}

/// No offset of a queue is stored beyond what the sink has written of it.
fn is_covered(durable: &Durable, topic: &str, lines: &[Line]) -> Result<()> {
    for queue in QUEUES {
        let stored = durable.offset("sink", topic, queue);
        let written = offsets(lines, queue);
        for offset in 0..stored {
            ensure!(
                written.contains(&offset),
                "queue {queue}: {stored} is stored, but {offset} is not in {written:?}"
            );
        }
    }
    Ok(())
}

/// `count` records in each of two queues of `topic`, all of them in the broker.
fn fill(worker: &Worker, setup: &Setup, topic: &str, count: u64) -> Result<()> {
    worker.rest()?.create(
        "feed",
        &json!({"connector.class": "seq-source", "count": count.to_string(), "partitions": "2",
                "connect.topicname": topic}),
    )?;
    let end = count.to_string();
    wait::until_true("the topic is filled", PATIENCE, || {
        let durable = setup.durable()?;
        Ok(["p0", "p1"].map(|p| durable.position("feed", p) == Some(&end)) == [true, true])
    })
}

/// A broker and what a worker needs to try out these guests.
fn stage(folder: &Path, guests: &[&str], extra: &[&str]) -> Result<(Cluster, Setup)> {
    let cluster = Cluster::started(folder)?;
    let mut setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_guests(guests)?;
    setup.extra = extra.concat();
    Ok((cluster, setup))
}

#[test]
fn a_partial_flush_is_committed_as_far_as_it_goes() -> Result<()> {
    const COUNT: u64 = 60;
    alone(|folder| {
        let (_cluster, setup) = stage(folder, &["seq-source", "flush-sink"], &[TWO_QUEUES])?;
        let out = setup.file("out.txt");
        let mut worker = setup.start()?;
        fill(&worker, &setup, "partly", COUNT)?;
        worker.rest()?.create(
            "sink",
            &json!({"connector.class": "flush-sink", "out": "out.txt", "most": "3",
                    "flush.interval.ms": "50", "connect.topicnames": "partly"}),
        )?;
        // At work: what is stored is looked at before what is written.
        let goal = usize::try_from(COUNT / 2)?;
        wait::until_true("a part is written", PATIENCE, || {
            worker.process().check()?;
            let durable = setup.durable()?;
            let written = lines(&out)?;
            is_covered(&durable, "partly", &written)?;
            Ok(written.len() >= goal && durable.committed("sink") > 0)
        })?;
        worker.kill()?;
        let first = setup.durable()?;
        let before = lines(&out)?;
        is_covered(&first, "partly", &before)?;
        ensure!(
            before.len() < usize::try_from(2 * COUNT)?,
            "all of it was written before the kill"
        );

        // Killed once more, between the sink's flush and the commit.
        let mut worker = setup.start_with(Some(FailPoint {
            point: "flush-offset",
            pass: 4,
        }))?;
        worker.process().wait(PATIENCE)?;
        ensure!(setup.deaths()? == 1, "it did not die at the fail point");
        let second = setup.durable()?;
        let between = lines(&out)?;
        is_covered(&second, "partly", &between)?;

        // No record arrives any more: the rest is asked for all the same.
        let _worker = setup.start()?;
        wait::until_true("everything is committed", PATIENCE, || {
            Ok(setup.durable()?.committed("sink") == 2 * COUNT)
        })?;
        let all = lines(&out)?;
        is_covered(&setup.durable()?, "partly", &all)?;
        for queue in QUEUES {
            // Each life begins exactly where the store says.
            let lives = [
                (0, before.len(), 0),
                (
                    before.len(),
                    between.len(),
                    first.offset("sink", "partly", queue),
                ),
                (
                    between.len(),
                    all.len(),
                    second.offset("sink", "partly", queue),
                ),
            ];
            for (begin, end, from) in lives {
                let life = offsets(all.get(begin..end).unwrap_or_default(), queue);
                let expected: Vec<u64> = (from..).take(life.len()).collect();
                ensure!(life == expected, "queue {queue}, from {from}: {life:?}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_flush_that_is_put_off_until_the_stop_commits_nothing() -> Result<()> {
    alone(|folder| {
        let (_cluster, setup) = stage(folder, &["flush-sink"], &[])?;
        let (out, open) = (setup.file("out.txt"), setup.file("open"));
        let values = |lines: &[Line]| -> Vec<String> {
            lines.iter().map(|(.., value)| value.clone()).collect()
        };
        std::fs::write(&open, "")?;
        setup.append("feed.txt", "one\ntwo\n")?;
        let worker = setup.start()?;
        let rest = worker.rest()?;
        rest.create(
            "feed",
            &json!({"connector.class": "file-source", "filename": "feed.txt",
                    "connect.topicname": "put-off"}),
        )?;
        rest.create(
            "sink",
            &json!({"connector.class": "flush-sink", "out": "out.txt", "needs": "open",
                    "flush.interval.ms": "50", "connect.topicnames": "put-off"}),
        )?;
        wait::until_true("two are committed", PATIENCE, || {
            Ok(setup.durable()?.committed("sink") == 2)
        })?;

        std::fs::remove_file(&open)?;
        setup.append("feed.txt", "three\nfour\n")?;
        // It says so only of a flush, which it is asked for only with records in its hands.
        wait::until_true("the sink puts off its flush", PATIENCE, || {
            let tasks = rest.tasks("sink")?;
            Ok(tasks.iter().any(|task| {
                task.state == "RUNNING" && task.reason.contains("waits to flush: there is no open")
            }))
        })?;
        let (_, status) = worker.terminate(PATIENCE)?;
        ensure!(status.success(), "ended with {status}");
        ensure!(
            setup.durable()?.committed("sink") == 2,
            "what was never flushed is committed"
        );
        ensure!(
            values(&lines(&out)?) == ["one", "two"],
            "something was written"
        );

        std::fs::write(&open, "")?;
        let _worker = setup.start()?;
        wait::until_true("all four are committed", PATIENCE, || {
            Ok(setup.durable()?.committed("sink") == 4)
        })?;
        let arrived = values(&lines(&out)?);
        ensure!(arrived == ["one", "two", "three", "four"], "{arrived:?}");
        Ok(())
    })
}

#[test]
fn rejections_in_two_queues_hold_each_queue_by_itself() -> Result<()> {
    const COUNT: u64 = 6;
    alone(|folder| {
        let guests = ["seq-source", "reject-two-sink"];
        let (_cluster, setup) = stage(folder, &guests, &[TWO_QUEUES, NO_RESTART])?;
        let worker = setup.start()?;
        fill(&worker, &setup, "both", COUNT)?;
        let mut config = json!({"connector.class": "reject-two-sink", "text": "-3",
                                "out": "before.txt", "flush.interval.ms": "200",
                                "connect.topicnames": "both"});
        worker.rest()?.create("sink", &config)?;
        let reason = worker.failure("sink", PATIENCE)?;
        for word in [
            "reject-two-sink",
            "task 0",
            "both/",
            "offset 3",
            "number 1 ends",
        ] {
            ensure!(reason.contains(word), "no `{word}` in: {reason}");
        }
        let durable = setup.durable()?;
        for queue in QUEUES {
            let stored = durable.offset("sink", "both", queue);
            ensure!(stored == 3, "{stored} is stored of queue {queue}");
        }

        config["text"] = json!("nothing like it");
        config["out"] = json!("after.txt");
        worker.rest()?.create("sink", &config)?;
        wait::until_true("everything is committed", PATIENCE, || {
            Ok(setup.durable()?.committed("sink") == 2 * COUNT)
        })?;
        let after = lines(&setup.file("after.txt"))?;
        for queue in QUEUES {
            let arrived = offsets(&after, queue);
            ensure!(
                arrived == [3, 4, 5],
                "queue {queue}: {arrived:?} came again"
            );
        }
        Ok(())
    })
}

#[test]
fn a_sink_reads_where_it_seeks_and_what_it_has_not_paused() -> Result<()> {
    const COUNT: u64 = 6;
    alone(|folder| {
        let (_cluster, setup) = stage(folder, &["seq-source", "seek-sink"], &[TWO_QUEUES])?;
        let out = setup.file("out.txt");
        let worker = setup.start()?;
        fill(&worker, &setup, "sought", COUNT)?;
        // One record at a time, so that a seek comes before the next one.
        worker.rest()?.create(
            "sink",
            &json!({"connector.class": "seek-sink", "out": "out.txt", "from": "2", "paused": "1",
                    "until": "go", "again": "p0-4", "back": "3", "batch.records": "1",
                    "flush.interval.ms": "50", "connect.topicnames": "sought"}),
        )?;
        let arrives = |queue: i64, expected: &[u64]| {
            wait::until_true(&format!("queue {queue} has arrived"), PATIENCE, || {
                Ok(offsets(&lines(&out)?, queue) == expected)
            })
            .with_context(|| format!("there is {:?}", lines(&out)))
        };
        arrives(0, &[2, 3, 4, 3, 4, 5])?;
        // The other one has been waiting all the while; give it as long again and more.
        wait::throughout(Duration::from_secs(1), || {
            let paused = offsets(&lines(&out)?, 1);
            ensure!(paused.is_empty(), "a paused queue brought {paused:?}");
            Ok(())
        })?;
        let stored = setup.durable()?.offset("sink", "sought", 1);
        ensure!(stored <= 2, "{stored} is stored of the paused queue");
        std::fs::write(setup.file("go"), "")?;
        arrives(1, &[2, 3, 4, 5])?;
        wait::until_true("everything is committed", PATIENCE, || {
            Ok(setup.durable()?.committed("sink") == 2 * COUNT)
        })?;
        for (queue, offset, value) in lines(&out)? {
            ensure!(
                value == format!("p{queue}-{offset}"),
                "{value} came as offset {offset} of queue {queue}"
            );
        }
        worker.kill()?;

        // Opened again, it seeks behind what is stored: that is durable at once, and comes.
        std::fs::remove_file(&out)?;
        std::fs::remove_file(setup.file("go"))?;
        let _worker = setup.start()?;
        arrives(0, &[2, 3, 4, 3, 4, 5])?;
        let stored = setup.durable()?.offset("sink", "sought", 1);
        ensure!(
            stored == 2,
            "{stored} is stored of the queue that was sought back"
        );
        std::fs::write(setup.file("go"), "")?;
        arrives(1, &[2, 3, 4, 5])
    })
}

#[test]
fn a_partition_is_forgotten_after_its_records_in_flight() -> Result<()> {
    const COUNT: usize = 1_000;
    alone(|folder| {
        let (_cluster, setup) = stage(folder, &["forget-source", "flush-sink"], &[])?;
        let out = setup.file("out.txt");
        let values = || -> Result<Vec<String>> {
            Ok(lines(&out)?.into_iter().map(|(.., value)| value).collect())
        };
        let worker = setup.start()?;
        worker.rest()?.create(
            "sink",
            &json!({"connector.class": "flush-sink", "out": "out.txt", "flush.interval.ms": "50",
                    "connect.topicnames": "partings"}),
        )?;
        worker.kill()?;
        // The only batch goes out in several sends; the worker dies when one has been committed.
        let mut worker = setup.start_with(Some(FailPoint {
            point: "confirm-commit",
            pass: 2,
        }))?;
        // It may die before it answers.
        let _answer = worker.rest()?.ask_for(
            "source",
            &json!({"connector.class": "forget-source", "count": COUNT.to_string(),
                    "batch.records": COUNT.to_string(), "connect.topicname": "partings"}),
        );
        worker.process().wait(PATIENCE)?;
        ensure!(setup.deaths()? == 1, "it did not die at the fail point");
        let durable = setup.durable()?;
        let at: usize = durable
            .position("source", "gone")
            .context("the partition is forgotten before all its records are through")?
            .parse()?;
        ensure!(at < COUNT, "all records were through before the death");
        ensure!(
            durable.position("source", "kept").is_none(),
            "it is done before all its records are through"
        );

        let worker = setup.start()?;
        wait::until_true("the partition is forgotten", PATIENCE, || {
            let durable = setup.durable()?;
            Ok(durable.position("source", "gone").is_none()
                && durable.position("source", "kept") == Some("done"))
        })?;
        // What had been sent and not committed comes twice.
        wait::until_true("all records have arrived", PATIENCE, || {
            let arrived = values()?;
            let there = |n: usize| arrived.contains(&format!("gone-{n}"));
            Ok(arrived.len() == 2 * COUNT - at && (0..COUNT).all(there))
        })?;
        let (_, status) = worker.terminate(PATIENCE)?;
        ensure!(status.success(), "ended with {status}");
        let mut expected = values()?;

        let _worker = setup.start()?;
        expected.push("found kept=done".to_owned());
        wait::until_true("the source has started again", PATIENCE, || {
            Ok(values()?.iter().any(|value| value.starts_with("found")))
        })?;
        let arrived = values()?;
        let new = arrived.get(expected.len() - 1..);
        ensure!(arrived == expected, "after the restart came {new:?}");
        Ok(())
    })
}

#[test]
fn a_late_rejection_stops_a_direct_connector() -> Result<()> {
    alone(|folder| {
        let guests = ["seq-source", "reject-sink"];
        let (_cluster, setup) = stage(folder, &guests, &[NO_RESTART])?;
        let worker = setup.start()?;
        // One record a batch, so that what stands before the bad one is through.
        let mut config = json!({"connector.class": "seq-source", "count": "5",
                                "connector.direct.enable": "true", "batch.records": "1",
                                "sink.task.class": "reject-sink", "text": "-2", "late": "true"});
        worker.rest()?.create("direct", &config)?;
        // Named by what is true after a restart too: a number from the task's start would not be.
        let names_it = |reason: &str| -> Result<()> {
            for word in [
                "`seq-source`",
                "`reject-sink`",
                "`direct`",
                "task 0",
                "partition `p0`",
                "position 3",
                "contains \"-2\"",
            ] {
                ensure!(reason.contains(word), "no `{word}` in: {reason}");
            }
            Ok(())
        };
        names_it(&worker.failure("direct", PATIENCE)?)?;
        let stands = |expected: &str| -> Result<bool> {
            Ok(setup.durable()?.position("direct", "p0") == Some(expected))
        };
        ensure!(stands("2")?, "the position is not before the record");
        worker.kill()?;

        // A restart begins with that record and does not pass it either.
        let worker = setup.start()?;
        names_it(&worker.failure("direct", PATIENCE)?)?;
        ensure!(stands("2")?, "the restart moved the position");

        config["errors.tolerance"] = json!("all");
        worker.rest()?.create("direct", &config)?;
        wait::until_true("the rest is through", PATIENCE, || stands("5"))
    })
}

/// Five records in one batch, one of them refused at once or late, by a sink that says up to where it
/// is durable or says nothing: what stands before it is committed, and nothing behind it.
#[test]
fn a_rejection_within_a_batch_of_a_direct_connector() -> Result<()> {
    alone(|folder| {
        let guests = ["seq-source", "reject-sink"];
        let (_cluster, setup) = stage(folder, &guests, &[NO_RESTART])?;
        let worker = setup.start()?;
        for (at, before) in [("0", None), ("2", Some("2")), ("4", Some("4"))] {
            for late in ["false", "true"] {
                for honest in ["false", "true"] {
                    let name = format!("direct-{at}-{late}-{honest}");
                    let mut config = json!({"connector.class": "seq-source", "count": "5",
                                            "connector.direct.enable": "true",
                                            "sink.task.class": "reject-sink",
                                            "text": format!("-{at}"), "late": late,
                                            "honest": honest});
                    worker.rest()?.create(&name, &config)?;
                    let reason = worker.failure(&name, PATIENCE)?;
                    let word = format!("contains \"-{at}\", offset {at}");
                    ensure!(reason.contains(&word), "{name} fails with {reason}");
                    let durable = setup.durable()?;
                    let stands = durable.position(&name, "p0");
                    ensure!(stands == before, "{name} stands at {stands:?}");

                    config["text"] = json!("none");
                    worker.rest()?.create(&name, &config)?;
                    wait::until_true("the rest is through", PATIENCE, || {
                        Ok(setup.durable()?.position(&name, "p0") == Some("5"))
                    })?;
                }
            }
        }
        Ok(())
    })
}

/// The same sinks, skipped instead of stopped at: the batch goes on over what they leave out.
#[test]
fn skipped_records_of_a_direct_connector() -> Result<()> {
    alone(|folder| {
        let guests = ["seq-source", "reject-sink"];
        let (_cluster, setup) = stage(folder, &guests, &[NO_RESTART])?;
        let worker = setup.start()?;
        for late in ["false", "true"] {
            let name = format!("direct-{late}");
            worker.rest()?.create(
                &name,
                &json!({"connector.class": "seq-source", "count": "5",
                        "connector.direct.enable": "true", "sink.task.class": "reject-sink",
                        "text": "-4", "late": late, "honest": "true",
                        "errors.tolerance": "all"}),
            )?;
            wait::until_true("all is through", PATIENCE, || {
                Ok(setup.durable()?.position(&name, "p0") == Some("5"))
            })?;
        }
        Ok(())
    })
}
