//! From a source straight to a sink, without a topic: the same promises.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::delivery::{Snapshot, landings};
use connect_tests::folder::alone;
use connect_tests::lines::{Chance, Feed};
use connect_tests::worker::{FailPoint, Setup, Worker};
use connect_tests::{check, outline, wait};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

fn create(worker: &Worker, records: &str) -> Result<()> {
    worker.rest()?.create(
        "direct",
        &json!({"connector.class": "file-source", "connector.direct.enable": "true",
                "sink.task.class": "file-sink", "source.filename": "in/*.txt",
                "sink.filename": "out.txt", "line.end": "lf", "batch.records": records}),
    )
}

/// Waits until the last line of the feed is the last line of the sink's file.
fn arrives(worker: &mut Worker, setup: &Setup, feed: &Feed) -> Result<Vec<u64>> {
    let path = setup.file("out.txt");
    let last = feed.last_line();
    wait::until_true("the last line arrives", PATIENCE, || {
        worker.process().check()?;
        Ok(std::fs::read(&path).is_ok_and(|content| content.ends_with(&last)))
    })
    .with_context(|| format!("{:?}", worker.rest().and_then(|rest| rest.tasks("direct"))))?;
    Ok(outline::read(&path)?.lines)
}

#[test]
fn content_is_identical() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let mut feed = Feed::create(&setup.file("in"), 0, 21, true)?;
        feed.append(20_000)?;
        feed.finish()?;
        let mut worker = setup.start()?;
        create(&worker, "1000")?;
        let arrived = arrives(&mut worker, &setup, &feed)?;
        ensure!(
            arrived == feed.hashes(),
            "what arrived is not what was sent"
        );
        let (_, status) = worker.terminate(PATIENCE)?;
        ensure!(status.success(), "ended with {status}");
        Ok(())
    })
}

/// Killed after the sink took a batch, after its flush, and at random.
#[test]
fn kills_lose_nothing() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        let mut feed = Feed::create(&setup.file("in"), 0, 22, true)?;
        let mut chance = Chance::new(22);
        let mut lives = Vec::new();
        for kill in 0..9_u64 {
            let durable = if kill == 0 {
                Default::default()
            } else {
                setup.durable()?
            };
            lives.push(Snapshot {
                durable,
                written: BTreeMap::new(),
            });
            feed.append(1_000)?;
            let fail = match kill % 3 {
                _ if kill == 0 => None,
                1 => Some("put-flush"),
                2 => Some("flush-offset"),
                _ => None,
            };
            let fail = fail.map(|point| FailPoint {
                point,
                pass: 1 + chance.below(6),
            });
            let before = std::fs::metadata(setup.file("out.txt")).map_or(0, |file| file.len());
            let mut worker = setup.start_with(fail)?;
            if kill == 0 {
                create(&worker, "50")?;
            }
            if fail.is_some() {
                worker.process().wait(PATIENCE)?;
            } else {
                let goal = before + 1 + chance.below(100_000);
                wait::until_true("some of it has arrived", PATIENCE, || {
                    worker.process().check()?;
                    Ok(
                        std::fs::metadata(setup.file("out.txt"))
                            .is_ok_and(|file| file.len() > goal),
                    )
                })?;
                worker.kill()?;
            }
        }
        lives.push(Snapshot {
            durable: setup.durable()?,
            written: BTreeMap::new(),
        });
        ensure!(
            setup.deaths()? == 6,
            "only {} kills at fail points",
            setup.deaths()?
        );
        feed.finish()?;
        let mut worker = setup.start()?;
        let arrived = arrives(&mut worker, &setup, &feed)?;
        let jumps = check::walk(feed.hashes(), &arrived)?;
        ensure!(
            !jumps.is_empty(),
            "nothing came twice: the kills hit nothing"
        );
        landings(&feed, "direct", &jumps, &lives)
    })
}

/// A direct connector with a sink that dies of one value, on lines of which that is the third.
fn poisoned(folder: &std::path::Path) -> Result<(Cluster, Setup, Worker)> {
    let cluster = Cluster::started(folder)?;
    let mut setup =
        Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_guests(&["poison-sink"])?;
    setup.extra = "[restart]\nfirst-ms = 200\nlongest-ms = 1000\nattempts = 1000\n".to_owned();
    std::fs::write(setup.file("in.txt"), "one\ntwo\npoison\nthree\nfour\n")?;
    let worker = setup.start()?;
    worker.rest()?.create("direct", &poison_config("poison"))?;
    Ok((cluster, setup, worker))
}

fn poison_config(poison: &str) -> serde_json::Value {
    json!({"connector.class": "file-source", "connector.direct.enable": "true",
           "sink.task.class": "poison-sink", "filename": "in.txt", "poison": poison,
           "out": "good.txt"})
}

/// The sink dies of the third of five records in one batch: those before it are durable, it is named,
/// and once the sink can take it the task goes on with exactly that record.
#[test]
fn a_record_that_kills_the_sink_is_found_and_not_passed() -> Result<()> {
    alone(|folder| {
        let (_cluster, setup, mut worker) = poisoned(folder)?;
        // a position of the file source tells the line's first byte: `one\ntwo\n` are eight
        let reason = worker.failure("direct", PATIENCE)?;
        for word in ["poison-sink", "task 0", "partition", "position"] {
            ensure!(reason.contains(word), "no `{word}` in: {reason}");
        }
        let good = setup.file("good.txt");
        wait::until_true("the lines before it are there", PATIENCE, || {
            Ok(std::fs::read_to_string(&good).is_ok_and(|content| content == "one\ntwo\n"))
        })?;
        worker.rest()?.create("direct", &poison_config("none"))?;
        wait::until_true("the rest follows", PATIENCE, || {
            worker.process().check()?;
            Ok(std::fs::read_to_string(&good)
                .is_ok_and(|content| content == "one\ntwo\npoison\nthree\nfour\n"))
        })
        .with_context(|| format!("{:?}", std::fs::read_to_string(&good)))
    })
}
