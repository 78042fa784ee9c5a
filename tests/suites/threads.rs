//! Guests have threads of their own and compute nowhere else: while more of them spin than there are cores, the worker says
//! that it is ready, obeys, and moves other connectors' records.

use std::num::NonZero;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::rest::Rest;
use connect_tests::wait;
use connect_tests::worker::Setup;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(120);
/// A probe that waits longer than this counts a worker as dead.
const PROMPT: Duration = Duration::from_secs(10);
/// How often and how long the worker is probed at least.
const PROBES: u32 = 20;
const WATCH: Duration = Duration::from_secs(5);
/// Guests spin for longer than the test takes, and no share holds them back.
const LIMITS: &str = "[limits]\ncall-cpu-ms = 600000\ncall-wall-ms = 1200000\ncpu-share = 100\n";
/// Records for the sinks to spin on.
const RECORDS: u64 = 10;

/// Asks for connectors that spin in a question about their settings. Nobody waits for the answer:
/// it does not come.
fn ask_in_vain(rest: &Rest, export: &str) {
    let (rest, export) = (rest.clone(), export.to_owned());
    thread::spawn(move || {
        let config = json!({"connector.class": "spin", "in": export, "connect.topicname": "none"});
        drop(rest.ask_for(&format!("spin-{export}"), &config));
    });
}

fn probe(rest: &Rest) -> Result<Duration> {
    let asked = Instant::now();
    rest.readiness()?.map_err(anyhow::Error::msg)?;
    ensure!(rest.connectors()?.len() > 2, "a list without connectors");
    Ok(asked.elapsed())
}

#[test]
fn a_worker_full_of_spinning_guests_answers_and_works() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let mut setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_guests(&[
            "spin",
            "stuck-sink",
            "seq-source",
        ])?;
        setup.extra = LIMITS.into();
        let worker = setup.start()?;
        let rest = worker.rest()?;
        let cores = available_parallelism().map_or(2, NonZero::get);

        // In `put`: each sink has its records and does not come back from them.
        let count = RECORDS.to_string();
        rest.create(
            "feed",
            &json!({"connector.class": "seq-source", "count": count, "connect.topicname": "full"}),
        )?;
        wait::until_true("the sinks' records are there", PATIENCE, || {
            Ok(setup.durable()?.position("feed", "p0") == Some(&count))
        })?;
        for number in 0..=cores {
            let config = json!({"connector.class": "stuck-sink", "how": "spin",
                                "connect.topicnames": "full"});
            rest.create(&format!("sink-{number}"), &config)?;
        }
        // In `poll` and in `open`.
        for number in 0..=cores {
            for export in ["poll", "open"] {
                let config = json!({"connector.class": "spin", "in": export,
                                    "connect.topicname": "none"});
                rest.create(&format!("{export}-{number}"), &config)?;
            }
        }
        // And in what is asked while a connector is created.
        for export in ["needs", "validate", "task-settings"] {
            ask_in_vain(rest, export);
        }
        let before = worker.usage()?.cpu;
        wait::until_true("the guests spin", PATIENCE, || {
            Ok(worker.usage()?.cpu > before + Duration::from_millis(500))
        })?;

        let (all, theirs) = (worker.usage()?.cpu, worker.thread_cpu("guest-")?);
        let (mut probes, begun) = (0, Instant::now());
        while probes < PROBES || begun.elapsed() < WATCH {
            let took = probe(rest)?;
            ensure!(took < PROMPT, "a probe took {took:?}");
            probes += 1;
        }
        let all = worker.usage()?.cpu - all;
        let theirs = worker.thread_cpu("guest-")? - theirs;
        ensure!(
            theirs > all * 2 / 3,
            "of {all:?} only {theirs:?} were spent on the guests' threads"
        );

        // Records of others still come through, guests, broker, store and all.
        rest.create(
            "neighbour",
            &json!({"connector.class": "seq-source", "count": "2000", "connect.topicname": "through"}),
        )?;
        wait::until_true("the neighbour is through", PATIENCE, || {
            Ok(setup.durable()?.position("neighbour", "p0") == Some("2000"))
        })?;
        // An order to a connector that spins is obeyed, though its guest does not listen.
        rest.delete("poll-0")?;
        ensure!(!rest.connectors()?.contains(&"poll-0".to_owned()));
        Ok(())
    })
}
