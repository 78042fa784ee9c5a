//! After a restart every connector is there, where it was, in the state it was in.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::rest::Rest;
use connect_tests::wait;
use connect_tests::worker::{Setup, Worker};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// `name.txt` to a topic of that name to `name-out.txt`.
fn create_pair(rest: &Rest, name: &str) -> Result<()> {
    rest.create(
        &format!("{name}-source"),
        &json!({"connector.class": "file-source", "filename": format!("{name}.txt"),
                "connect.topicname": name}),
    )?;
    rest.create(
        &format!("{name}-sink"),
        &json!({"connector.class": "file-sink", "filename": format!("{name}-out.txt"),
                "connect.topicnames": name}),
    )
}

fn content(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn arrives(setup: &Setup, name: &str, expected: &str) -> Result<()> {
    let path = setup.file(&format!("{name}-out.txt"));
    wait::until_true(&format!("{name} has arrived"), PATIENCE, || {
        Ok(content(&path) == expected)
    })
    .with_context(|| format!("there is {:?}", content(&path)))
}

fn comes_back_as_it_was(stop: impl FnOnce(Worker) -> Result<()>) -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        setup.append("running.txt", "one\n")?;
        setup.append("held.txt", "one\n")?;
        let worker = setup.start()?;
        let rest = worker.rest()?;
        create_pair(rest, "running")?;
        create_pair(rest, "held")?;
        arrives(&setup, "running", "one\n")?;
        arrives(&setup, "held", "one\n")?;
        // Paused is paused only once its last record is through.
        rest.pause("held-source")?;
        worker.reaches("held-source", "PAUSED", PATIENCE)?;
        let before = rest.connectors()?;
        stop(worker)?;

        setup.append("running.txt", "two\n")?;
        setup.append("held.txt", "two\n")?;
        let worker = setup.start()?;
        let rest = worker.rest()?;
        ensure!(
            rest.connectors()? == before,
            "{:?} are there",
            rest.connectors()?
        );
        arrives(&setup, "running", "one\ntwo\n")?;
        ensure!(
            rest.connector("held-source")?.state == "PAUSED",
            "it is no longer paused"
        );
        ensure!(
            rest.tasks("held-source")?
                .iter()
                .all(|task| task.state == "PAUSED"),
            "tasks run"
        );
        // What its neighbour sent in the same moment has arrived; give it as long again.
        let held = setup.file("held-out.txt");
        wait::throughout(Duration::from_secs(1), || {
            ensure!(
                content(&held) == "one\n",
                "a paused source sent {:?}",
                content(&held)
            );
            Ok(())
        })?;
        rest.resume("held-source")?;
        arrives(&setup, "held", "one\ntwo\n")
    })
}

#[test]
fn after_a_stop_in_good_order() -> Result<()> {
    comes_back_as_it_was(|worker| {
        let (_, status) = worker.terminate(PATIENCE)?;
        ensure!(status.success(), "ended with {status}");
        Ok(())
    })
}

#[test]
fn after_a_kill() -> Result<()> {
    comes_back_as_it_was(Worker::kill)
}

/// What is deleted stays deleted, and its name begins anew.
#[test]
fn a_deleted_connector_does_not_come_back() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?;
        setup.append("some.txt", "one\n")?;
        let worker = setup.start()?;
        create_pair(worker.rest()?, "some")?;
        arrives(&setup, "some", "one\n")?;
        wait::until_true("the sink has committed", PATIENCE, || {
            Ok(setup.durable()?.committed("some-sink") == 1)
        })?;
        worker.rest()?.delete("some-source")?;
        worker.kill()?;

        let worker = setup.start()?;
        let rest = worker.rest()?;
        ensure!(
            rest.connectors()? == ["some-sink"],
            "{:?} are there",
            rest.connectors()?
        );
        rest.create(
            "some-source",
            &json!({"connector.class": "file-source", "filename": "some.txt",
                    "connect.topicname": "some"}),
        )?;
        // From the start of the file: no position of its namesake is left.
        arrives(&setup, "some", "one\none\n")
    })
}

/// A source that has nothing to do yet runs without tasks, and is asked again.
#[test]
fn a_plan_without_tasks_is_made_again() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?
            .with_guests(&["late-source"])?;
        let worker = setup.start()?;
        let rest = worker.rest()?;
        rest.create(
            "late-source",
            &json!({"connector.class": "late-source", "connect.topicname": "late"}),
        )?;
        wait::until_true("the source runs", PATIENCE, || {
            Ok(rest.connector("late-source")?.state == "RUNNING")
        })?;
        ensure!(
            rest.tasks("late-source")?.is_empty(),
            "it has a task already"
        );
        rest.create(
            "late-sink",
            &json!({"connector.class": "file-sink", "filename": "late-out.txt",
                    "connect.topicnames": "late"}),
        )?;
        std::fs::write(setup.file("go"), "")?;
        arrives(&setup, "late", "here\n")
    })
}
