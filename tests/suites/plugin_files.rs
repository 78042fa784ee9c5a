//! What an operator does to plugin files and by REST while connectors run: approving, pausing,
//! removing, pinning, replacing in place, going back, sending and withdrawing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::editions::{self, Editions, text};
use connect_tests::folder::alone;
use connect_tests::relay::{FIRST, Relay, at_least_once, boundaries, exactly_once, lines};
use connect_tests::wait;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn what_asks_for_more_waits_for_approval_and_what_refuses_settings_is_not_taken() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) =
            Relay::at_work(folder, "[reload]\nconfirm-batches = 3\n", 1, &[], 200)?;
        let approve = "/v1/connectors/source/plugin/approve";
        ensure!(rest.post(approve, "")?.status == 400);
        ensure!(rest.post(&format!("{approve}?digest=00"), "")?.status == 400);

        editions::install(&relay.plugins, "edition-source", "10.40.21")?;
        let refused = Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "refused"
        })?;
        ensure!(refused.version() == FIRST, "{}", refused.0);
        ensure!(
            text(&refused.0, "/change/reason").contains("likes no count"),
            "{}",
            refused.0
        );

        editions::install(&relay.plugins, "edition-source", "10.50.20")?;
        let waits = Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "needs-approval"
        })?;
        ensure!(waits.version() == FIRST, "{}", waits.0);
        ensure!(
            text(&waits.0, "/change/asks/0").contains("read directory"),
            "{}",
            waits.0
        );
        relay.moves(&mut worker, 200)?;
        // it waits over a restart too
        worker.terminate(PATIENCE)?;
        worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        let waits = Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "needs-approval"
        })?;
        ensure!(waits.version() == FIRST, "{}", waits.0);
        let digest = text(&waits.0, "/change/to/0/digest").to_owned();
        rest.post(&format!("{approve}?digest={digest}"), "")?
            .body()?;
        Editions::settled(&rest, "source", "10.50.20", PATIENCE)?;
        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)
    })
}

#[test]
fn paused_removed_pinned_and_replaced_in_place() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) =
            Relay::at_work(folder, "[reload]\nconfirm-batches = 3\n", 1, &[], 200)?;
        let file = |version: &str| relay.plugins.join(format!("edition-source-{version}.wasm"));

        // paused: taken up at once, on trial once it works
        rest.pause("source")?;
        editions::install(&relay.plugins, "edition-source", "10.01.00")?;
        Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.version() == "10.01.00" && editions.change() == "on-trial"
        })?;
        rest.resume("source")?;
        Editions::settled(&rest, "source", "10.01.00", PATIENCE)?;

        // removed while in use: an older one is there, so the connector goes back to that
        std::fs::remove_file(file("10.01.00"))?;
        Editions::settled(&rest, "source", FIRST, PATIENCE)?;
        // and now there is none: it goes on with what is loaded
        std::fs::remove_file(file(FIRST))?;
        Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "removed"
        })?;
        relay.moves(&mut worker, 200)?;

        // in place: other content under the same name and version
        editions::install_as(&relay.plugins, "mine", "edition-source", "10.02.00")?;
        Editions::settled(&rest, "source", "10.02.00", PATIENCE)?;
        editions::install_as(&relay.plugins, "mine", "edition-source", "10.03.00")?;
        Editions::settled(&rest, "source", "10.03.00", PATIENCE)?;
        // garbage in its place is told, and the last good one stays
        std::fs::write(relay.plugins.join("mine.wasm"), "garbage")?;
        let answer = rest.post("/v1/plugins/reload", "")?.body()?;
        ensure!(
            text(&answer, "/problems/0").contains("mine.wasm"),
            "{answer}"
        );
        ensure!(Editions::of(&rest, "source")?.version() == "10.03.00");
        relay.moves(&mut worker, 200)?;

        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)?;
        rest.resume("source")?;

        // pinned: newer ones are left alone
        let mut config = rest.config("source")?;
        config["connector.class"] = "edition-source@10.03.00".into();
        editions::install_as(&relay.plugins, "mine", "edition-source", "10.03.00")?;
        rest.create("source", &config)?;
        editions::install(&relay.plugins, "edition-source", "10.09.00")?;
        rest.get("/plugin/reload")?.body()?;
        ensure!(Editions::of(&rest, "source")?.version() == "10.03.00");
        // a change of configuration is a stop and a start, which may repeat
        relay.moves(&mut worker, 200)?;
        let sent = relay.drain(&worker, 1)?;
        at_least_once(&lines(&relay.out())?, &sent).map(drop)
    })
}

#[test]
fn plugins_by_rest() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let mut relay = Relay::new(folder, &cluster, "[reload]\nconfirm-batches = 3\n")?;
        let sent = folder.join("sent");
        std::fs::create_dir(&sent)?;
        relay.setup = relay.setup.with_first_plugins(&sent);
        let fresh = editions::make("edition-source", "20.00.00")?;
        {
            let worker = relay.setup.start()?;
            let refused = worker.rest()?.upload("/v1/plugins", &fresh)?;
            ensure!(refused.status == 403 && refused.refusal()?.contains("upload = true"));
        }
        relay.setup.extra.push_str("upload = true\n");
        let mut worker = relay.setup.start()?;
        let rest = worker.rest()?.clone();
        relay.create(&rest, 1)?;
        relay.moves(&mut worker, 200)?;
        let bad = rest.upload("/v1/plugins", b"no component")?;
        ensure!(bad.status == 400, "{}", bad.text);
        // it ends in the middle of the body, which the client may see as a broken connection
        let large = rest.upload("/v1/plugins", &vec![0; 40 << 20]);
        ensure!(large.is_err() || large?.status == 413);
        ensure!(
            std::fs::read_dir(&sent)?.next().is_none(),
            "something is left"
        );

        // what is good is written, and whoever names no version goes over to it
        let taken = rest.upload("/v1/plugins", &fresh)?.body()?;
        ensure!(text(&taken, "/version") == "20.00.00", "{taken}");
        ensure!(sent.join("edition-source-20.00.00.wasm").exists());
        Editions::settled(&rest, "source", "20.00.00", PATIENCE)?;
        // the same once more is no news; something else of the same name and version is refused
        rest.upload("/v1/plugins", &fresh)?.body()?;
        let mut other = fresh.clone();
        other.extend([0, 2, 1, b'x']);
        let other = rest.upload("/v1/plugins", &other)?;
        ensure!(other.status == 409, "{}: {}", other.status, other.text);
        ensure!(std::fs::read_dir(&sent)?.count() == 1);

        let listed = rest.get("/plugin/list/connectors")?.body()?;
        let own = listed.as_array().context("no list")?.iter();
        let own = own.filter(|it| text(it, "/name") == "edition-source");
        let used = own.map(|it| (text(it, "/version"), it.pointer("/tasks")));
        let used: Vec<_> = used.collect();
        let (none, one) = (Value::from(0), Value::from(1));
        ensure!(
            used.contains(&(FIRST, Some(&none))) && used.contains(&("20.00.00", Some(&one))),
            "{listed}"
        );
        let refused = rest.delete_at("/v1/plugins/edition-source/20.00.00")?;
        ensure!(
            refused.status == 409 && refused.refusal()?.contains("source"),
            "{}",
            refused.text
        );
        let records = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &records)?;
        rest.delete("source")?;
        rest.delete_at("/v1/plugins/edition-source/20.00.00")?
            .body()?;
        ensure!(!sent.join("edition-source-20.00.00.wasm").exists());
        let gone = rest.delete_at("/v1/plugins/edition-source/20.00.00")?;
        ensure!(gone.status == 404, "{}", gone.text);
        Ok(())
    })
}

/// What is in quarantine stays there over a restart, and is not begun with where nothing else is left.
#[test]
fn quarantine_outlives_the_worker() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let relay = Relay::new(folder, &cluster, "[reload]\nconfirm-batches = 30\n")?;
        let mut worker = relay.setup.start()?;
        relay.create(worker.rest()?, 1)?;
        relay.moves(&mut worker, 200)?;
        editions::install(&relay.plugins, "edition-source", "10.50.14")?;
        Editions::until(worker.rest()?, "source", PATIENCE, |editions| {
            editions.change() == "quarantined"
        })?;
        worker.terminate(PATIENCE)?;
        worker = relay.setup.start()?;
        let still = Editions::until(worker.rest()?, "source", PATIENCE, |editions| {
            editions.change() == "quarantined"
        })?;
        ensure!(still.version() == FIRST, "{}", still.0);
        relay.moves(&mut worker, 200)?;
        worker.terminate(PATIENCE)?;

        let file = relay.plugins.join(format!("edition-source-{FIRST}.wasm"));
        let aside = folder.join("aside.wasm");
        std::fs::rename(&file, &aside)?;
        worker = relay.setup.start()?;
        wait::until_true("it is held back", PATIENCE, || {
            let status = worker.rest()?.get("/connectors/source/status")?;
            Ok(status.text.contains("FAILED") && status.text.contains("is in quarantine"))
        })?;
        std::fs::rename(&aside, &file)?;
        worker.reaches("source", "RUNNING", PATIENCE)?;
        relay.moves(&mut worker, 200)?;
        let sent = relay.drain(&worker, 1)?;
        exactly_once(&lines(&relay.out())?, &sent)
    })
}

/// The next version comes while the one before is still being gone over to; and then both go again.
#[test]
fn versions_on_each_other_s_heels_and_back() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) =
            Relay::at_work(folder, "[reload]\nconfirm-batches = 30\n", 2, &[], 500)?;
        let versions: Vec<String> = (1..=9).map(|step| format!("10.0{step}.00")).collect();
        for version in &versions {
            for guest in ["edition-source", "edition-sink"] {
                editions::install(&relay.plugins, guest, version)?;
            }
            // two at once, and the watch besides
            std::thread::scope(|scope| {
                let look = || rest.post("/v1/plugins/reload", "")?.body();
                let other = scope.spawn(look);
                look().and(other.join().map_err(|_| anyhow::anyhow!("it panicked"))?)
            })?;
        }
        let last = versions.last().context("no versions")?;
        for connector in ["source", "sink"] {
            Editions::settled(&rest, connector, last, PATIENCE)?;
        }
        relay.moves(&mut worker, 500)?;
        for version in &versions {
            for guest in ["edition-source", "edition-sink"] {
                std::fs::remove_file(relay.plugins.join(format!("{guest}-{version}.wasm")))?;
            }
        }
        for connector in ["source", "sink"] {
            Editions::settled(&rest, connector, FIRST, PATIENCE)?;
        }
        relay.moves(&mut worker, 500)?;
        let sent = relay.drain(&worker, 2)?;
        let lines = lines(&relay.out())?;
        exactly_once(&lines, &sent)?;
        let sinks = boundaries(&lines, |line| &line.sink);
        ensure!(
            sinks.first() == sinks.last() && sinks.iter().any(|version| version == last),
            "{sinks:?}"
        );
        Ok(())
    })
}

/// Versions `…23` have a task a partition: there the tasks start anew together, and between two of
/// them one after the other. `…24` has that too, but never opens.
#[test]
fn a_version_may_split_the_work_otherwise() -> Result<()> {
    alone(|folder| {
        let (_cluster, relay, mut worker, rest) = Relay::at_work(
            folder,
            "[reload]\nconfirm-batches = 3\n",
            3,
            &[("max.tasks", "3")],
            500,
        )?;
        let versions = ["10.01.23", "10.02.23", "10.03.00"];
        for (version, tasks) in versions.into_iter().zip([3, 3, 1]) {
            relay.swap(&rest, "source", version)?;
            relay.moves(&mut worker, 500)?;
            let listed = rest.get("/connectors/source/status")?.body()?;
            let seen = listed.pointer("/tasks").and_then(Value::as_array);
            ensure!(seen.map(Vec::len) == Some(tasks), "{listed}");
        }
        editions::install(&relay.plugins, "edition-source", "10.04.24")?;
        let back = Editions::until(&rest, "source", PATIENCE, |editions| {
            editions.change() == "quarantined"
        })?;
        ensure!(back.version() == "10.03.00", "{}", back.0);
        let reason = text(&back.0, "/change/reason");
        ensure!(reason.contains("did not open within"), "{reason}");
        relay.moves(&mut worker, 500)?;
        let sent = relay.drain(&worker, 3)?;
        let lines = lines(&relay.out())?;
        exactly_once(&lines, &sent)?;
        for partition in ["p0", "p1", "p2"] {
            let own = lines.iter().filter(|line| line.partition == partition);
            let own: Vec<_> = own.cloned().collect();
            let seen = boundaries(&own, |line| &line.source);
            ensure!(
                seen == [FIRST, "10.01.23", "10.02.23", "10.03.00"],
                "{partition}: {seen:?}"
            );
        }
        Ok(())
    })
}
