//! What cannot be delivered is not hoarded: a sink that stops taking records, or a broker that is
//! away, holds the source back, and memory stays where it is.

use std::time::Duration;

use anyhow::{Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::wait;
use connect_tests::worker::{Setup, Worker};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Records of this size: a source without bound would pass [`ROOM`] within a second.
const BYTES: &str = "1000000";
/// What may be in flight beyond an idle worker: batches, pulls and the plugins' own memory.
const ROOM: u64 = 96 << 20;
/// How long memory is watched.
const WATCH: Duration = Duration::from_secs(6);

fn setup(folder: &std::path::Path, cluster: &Cluster) -> Result<Setup> {
    Setup::new(&folder.join("worker"), &cluster.namesrv())?
        .with_guests(&["seq-source", "stuck-sink"])
}

fn stays_small(worker: &Worker, idle: u64) -> Result<()> {
    let mut most = 0;
    wait::throughout(WATCH, || {
        most = most.max(worker.usage()?.anonymous);
        ensure!(
            most <= idle + ROOM,
            "{} MiB beside {} MiB of an idle worker",
            most >> 20,
            idle >> 20
        );
        Ok(())
    })
}

fn stuck(config: &mut Value, how: &str) {
    config["how"] = json!(how);
    config["ms"] = json!("1");
}

/// Straight from plugin to plugin.
#[test]
fn a_sink_without_topic_in_between() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let worker = setup(folder, &cluster)?.start()?;
        let idle = worker.usage()?.anonymous;
        let mut config = json!({"connector.class": "seq-source", "bytes": BYTES,
                                "connector.direct.enable": "true", "sink.task.class": "stuck-sink"});
        stuck(&mut config, "retry");
        worker.rest()?.create("direct", &config)?;
        let rest = worker.rest()?;
        wait::until_true("the sink says that it waits", PATIENCE, || {
            Ok(rest
                .tasks("direct")?
                .iter()
                .any(|task| task.reason.contains("not now")))
        })?;
        stays_small(&worker, idle)
    })
}

/// The topic holds what the sink does not take; the worker does not.
#[test]
fn a_sink_behind_a_topic() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = setup(folder, &cluster)?;
        let worker = setup.start()?;
        let idle = worker.usage()?.anonymous;
        let rest = worker.rest()?;
        let count = 250;
        rest.create(
            "source",
            &json!({"connector.class": "seq-source", "bytes": BYTES, "count": count.to_string(),
                    "partitions": "1", "key": "number", "connect.topicname": "full"}),
        )?;
        let mut config = json!({"connector.class": "stuck-sink", "connect.topicnames": "full"});
        stuck(&mut config, "retry");
        rest.create("sink", &config)?;
        wait::until_true("the source is through", PATIENCE, || {
            Ok(setup.durable()?.position("source", "p0") == Some(&count.to_string()))
        })?;
        wait::until_true("the sink says that it waits", PATIENCE, || {
            Ok(rest
                .tasks("sink")?
                .iter()
                .any(|task| task.reason.contains("not now")))
        })?;
        stays_small(&worker, idle)?;
        ensure!(
            setup.durable()?.committed("sink") == 0,
            "something was committed"
        );
        // Let go, it takes them all.
        stuck(&mut config, "slow");
        rest.create("sink", &config)?;
        wait::until_true("everything is taken", PATIENCE, || {
            Ok(setup.durable()?.committed("sink") == count)
        })
    })
}

/// An endless source whose broker is away.
#[test]
fn a_broker_that_is_away() -> Result<()> {
    alone(|folder| {
        let mut cluster = Cluster::started(folder)?;
        let setup = setup(folder, &cluster)?;
        let worker = setup.start()?;
        let idle = worker.usage()?.anonymous;
        worker.rest()?.create(
            "source",
            &json!({"connector.class": "seq-source", "bytes": BYTES, "partitions": "8",
                    "key": "partition", "rate": "40", "connect.topicname": "gone"}),
        )?;
        wait::until_true("it sends", PATIENCE, || {
            Ok(setup.durable()?.position("source", "p0").is_some())
        })?;
        cluster.kill()?;
        stays_small(&worker, idle)
    })
}
