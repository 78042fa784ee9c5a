//! Hostile plugins beside well-behaved ones: the error names plugin, call and limit, nothing else
//! stops, nobody loses or swaps a record, and REST tells that the worker is ready all the while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use connect_tests::cluster::Cluster;
use connect_tests::folder::alone;
use connect_tests::house::{House, PATIENCE, content, in_a_house, in_a_house_with};
use connect_tests::worker::Setup;
use connect_tests::{files, locate, wait};
use serde_json::{Value, json};

/// Budgets and pauses that a test does not wait long for.
const SHORT: &str = "[delivery]\nflush-interval-ms = 100\npoll-wait-ms = 50\n[limits]\ncall-cpu-ms = 300\ncall-wall-ms = 1500\nmemory-bytes = 67108864\nlog-lines-per-second = 100\n";
/// How long the worker may take to say that it is ready, whatever its plugins do.
const AT_ONCE: Duration = Duration::from_secs(5);
/// What a plugin is asked about settings.
const QUESTIONS: [&str; 3] = ["needs", "validate", "task-settings"];

/// The worker says that it is ready, soon.
fn is_ready(house: &House) -> Result<()> {
    let asked = Instant::now();
    let readiness = house.worker.rest()?.readiness()?;
    ensure!(readiness.is_ok(), "not ready: {readiness:?}");
    let took = asked.elapsed();
    ensure!(took < AT_ONCE, "it took {} ms to say so", took.as_millis());
    Ok(())
}

/// Everything that must hold whatever happens.
fn unharmed(house: &mut House) -> Result<()> {
    is_ready(house)?;
    house.is_healthy()?;
    is_ready(house)
}

fn source(plugin: &str, settings: &Value) -> Value {
    with(
        json!({"connector.class": plugin, "connect.topicname": "hostile"}),
        settings,
    )
}

/// A sink of the neighbours' topic.
fn sink(plugin: &str, settings: &Value) -> Value {
    with(
        json!({"connector.class": plugin, "connect.topicnames": "neighbour"}),
        settings,
    )
}

fn with(mut config: Value, settings: &Value) -> Value {
    if let (Some(config), Some(settings)) = (config.as_object_mut(), settings.as_object()) {
        config.extend(settings.clone());
    }
    config
}

/// Waits until a line of the log holds all of `words`: a task that starts again soon does not stay
/// FAILED for long.
fn logged(house: &House, words: &[&str]) -> Result<()> {
    wait::until_true(&format!("the log says {words:?}"), PATIENCE, || {
        let log = house.setup.log();
        let told = |line: &str| words.iter().all(|word| line.contains(word));
        Ok(log.lines().any(told))
    })
}

/// A connector that fails for good with `words`, beside neighbours that go on.
fn fails(house: &mut House, name: &str, config: &Value, words: &[&str]) -> Result<()> {
    house.create(name, config)?;
    let reason = house.fails_with(name, words)?;
    ensure!(
        reason.len() < 8_192,
        "{name}: {} bytes of reason",
        reason.len()
    );
    unharmed(house).with_context(|| format!("beside {name}"))?;
    house.worker.rest()?.delete(name)
}

/// A connector whose settings its plugin is asked about when it is created, which fails with `words`.
fn refused(house: &mut House, name: &str, config: &Value, words: &[&str]) -> Result<()> {
    let asked = house.worker.rest()?.ask_for(name, config)?;
    let told = if asked.status == 200 {
        // Some of it the connector asks itself, once it is there.
        let rest = house.worker.rest()?.clone();
        let told = wait::until(&format!("{name} has failed"), PATIENCE, || {
            let own = rest.connector(name)?;
            Ok((own.state == "FAILED").then_some(own.reason))
        })?;
        rest.delete(name)?;
        told
    } else {
        asked.refusal()?
    };
    ensure!(told.len() < 65_536, "{name}: {} bytes", told.len());
    ensure!(
        words.iter().all(|word| told.contains(word)),
        "{name}: {told}"
    );
    unharmed(house).with_context(|| format!("beside {name}"))
}

/// A connector that runs until it is deleted, and is gone then, whatever its last calls do.
fn ends(house: &mut House, name: &str, config: &Value) -> Result<()> {
    house.create(name, config)?;
    house.worker.reaches(name, "RUNNING", PATIENCE)?;
    let rest = house.worker.rest()?.clone();
    rest.delete(name)?;
    wait::until_true(&format!("{name} is gone"), PATIENCE, || {
        Ok(!rest.connectors()?.iter().any(|known| known == name))
    })?;
    unharmed(house).with_context(|| format!("after {name}"))
}

#[test]
fn an_endless_loop_in_any_export_stops_its_task_alone() -> Result<()> {
    in_a_house_with(&["spin", "spin-sink"], SHORT, |house| {
        for place in ["open", "poll", "committed"] {
            let config = source("spin", &json!({"in": place}));
            let words = [
                "`spin`",
                "task 0",
                place,
                "`call-cpu-ms` is 300",
                "processor",
            ];
            fails(house, &format!("spin-{place}"), &config, &words)?;
        }
        for place in ["open", "put", "flush"] {
            let config = sink("spin-sink", &json!({"in": place}));
            let words = [
                "`spin-sink`",
                "task 0",
                place,
                "`call-cpu-ms` is 300",
                "processor",
            ];
            fails(house, &format!("sink-{place}"), &config, &words)?;
        }
        for place in QUESTIONS {
            let config = source("spin", &json!({"in": place}));
            refused(
                house,
                &format!("asked-{place}"),
                &config,
                &["spin", place, "`call-cpu-ms` is 300"],
            )?;
        }
        for (name, config) in [
            ("close", source("spin", &json!({"in": "close"}))),
            ("sink-close", sink("spin-sink", &json!({"in": "close"}))),
            ("sink-revoked", sink("spin-sink", &json!({"in": "revoked"}))),
        ] {
            ends(house, name, &config)?;
        }
        Ok(())
    })
}

#[test]
fn a_trap_in_any_export_stops_its_task_alone() -> Result<()> {
    in_a_house_with(&["trap-source", "trap-sink"], SHORT, |house| {
        for place in ["open", "poll", "committed"] {
            let config = source("trap-source", &json!({"in": place}));
            let words = ["`trap-source`", "task 0", place, "asked to trap"];
            fails(house, &format!("trap-{place}"), &config, &words)?;
        }
        for place in ["open", "put", "flush"] {
            let config = sink("trap-sink", &json!({"in": place}));
            let words = ["`trap-sink`", "task 0", place, "asked to trap"];
            fails(house, &format!("sink-{place}"), &config, &words)?;
        }
        for place in QUESTIONS {
            let config = source("trap-source", &json!({"in": place}));
            let words = ["trap-source", place, "asked to trap"];
            refused(house, &format!("asked-{place}"), &config, &words)?;
        }
        for (name, config) in [
            ("close", source("trap-source", &json!({"in": "close"}))),
            ("sink-close", sink("trap-sink", &json!({"in": "close"}))),
            ("sink-revoked", sink("trap-sink", &json!({"in": "revoked"}))),
        ] {
            ends(house, name, &config)?;
        }
        Ok(())
    })
}

/// Whatever a plugin says, what is kept and shown of it fits on a page.
#[test]
fn words_without_measure_are_cut() -> Result<()> {
    in_a_house_with(
        &["wordy-source", "answer-source", "reject-sink"],
        SHORT,
        |house| {
            for (what, word) in [
                ("problems", "what"),
                ("problem", "bytes more"),
                ("needs", "needs"),
                ("need", "need"),
                ("tasks", "task-settings"),
                ("settings", "task-settings"),
            ] {
                let config = source("wordy-source", &json!({"what": what}));
                refused(house, &format!("wordy-{what}"), &config, &[word])?;
            }
            for answer in ["fatal", "invalid"] {
                let settings =
                    json!({"answer": answer, "reason-bytes": "3000000", "times": "1000000"});
                let config = source("answer-source", &settings);
                fails(
                    house,
                    answer,
                    &config,
                    &["answer-source", "poll", "bytes more"],
                )?;
            }
            let settings = json!({"text": "line", "reason-bytes": "3000000"});
            let config = sink("reject-sink", &settings);
            fails(
                house,
                "reject",
                &config,
                &["reject-sink", "offset 0", "bytes more"],
            )
        },
    )
}

#[test]
fn whoever_takes_too_much_is_told_of_the_limit() -> Result<()> {
    let guests = [
        "memory-bomb",
        "stack-overflow",
        "greedy-source",
        "stuck-sink",
        "trap-source",
    ];
    in_a_house_with(&guests, SHORT, |house| {
        let cases = [
            (
                "slow-bomb",
                source("memory-bomb", &json!({"step": "4194304"})),
                ["memory-bomb", "poll", "64 MiB"],
            ),
            (
                "bomb",
                source("memory-bomb", &json!({"step": "500000000"})),
                ["memory-bomb", "poll", "64 MiB"],
            ),
            (
                "deep",
                source("stack-overflow", &json!({})),
                ["stack-overflow", "poll", "stack"],
            ),
            (
                "handles",
                source(
                    "greedy-source",
                    &json!({"what": "handles", "step": "1000000"}),
                ),
                ["greedy-source", "poll", "10000"],
            ),
            (
                "random",
                source(
                    "greedy-source",
                    &json!({"what": "random", "step": "2000000"}),
                ),
                ["greedy-source", "poll", "1048576"],
            ),
            (
                "waits",
                sink("stuck-sink", &json!({"how": "wait"})),
                ["stuck-sink", "put", "`call-wall-ms` is 1500"],
            ),
            (
                "turns",
                sink("stuck-sink", &json!({"how": "spin"})),
                ["stuck-sink", "put", "`call-cpu-ms` is 300"],
            ),
            (
                "twice",
                source("trap-source", &json!({"how": "twice"})),
                ["trap-source", "poll", "panicked while processing panic"],
            ),
        ];
        for (name, config, words) in cases {
            fails(house, name, &config, &words)?;
        }
        Ok(())
    })
}

/// Many at once, each with time enough to be in the way.
#[test]
fn a_house_full_of_hostile_plugins_goes_on() -> Result<()> {
    let guests = [
        "spin",
        "spin-sink",
        "idle-source",
        "stuck-sink",
        "memory-bomb",
        "back-source",
    ];
    in_a_house_with(&guests, "[limits]\ncall-cpu-ms = 2000\n", |house| {
        let all = [
            ("spin-1", source("spin", &json!({"in": "poll"}))),
            (
                "spin-2",
                source("spin", &json!({"in": "poll", "bulk": "true"})),
            ),
            ("spin-3", sink("spin-sink", &json!({"in": "put"}))),
            ("idle", source("idle-source", &json!({}))),
            ("stuck", sink("stuck-sink", &json!({"how": "retry"}))),
            ("waits", sink("stuck-sink", &json!({"how": "wait"}))),
            ("bomb", source("memory-bomb", &json!({"step": "16777216"}))),
            ("back", source("back-source", &json!({"what": "back"}))),
            ("forget", source("back-source", &json!({"what": "forget"}))),
        ];
        for (name, config) in &all {
            house.create(name, config)?;
        }
        for _ in 0..10 {
            unharmed(house)?;
        }
        for (name, call) in [
            ("spin-1", "`poll`"),
            ("spin-2", "`poll`"),
            ("spin-3", "`put`"),
        ] {
            let words = [name, call, "the limit `call-"];
            logged(house, &words)?;
        }
        logged(house, &["bomb", "256 MiB"])?;
        house.worker.reaches("idle", "RUNNING", PATIENCE)?;
        house.worker.reaches("back", "RUNNING", PATIENCE)?;
        house.worker.reaches("forget", "RUNNING", PATIENCE)?;
        unharmed(house)
    })
}

#[test]
fn a_source_that_is_always_about_to_have_something_burns_no_core() -> Result<()> {
    in_a_house(&["idle-source"], |house| {
        house.create("idle", &source("idle-source", &json!({})))?;
        house.worker.reaches("idle", "RUNNING", PATIENCE)?;
        let (begun, before) = (Instant::now(), house.worker.usage()?.cpu);
        wait::throughout(Duration::from_secs(4), || Ok(()))?;
        let (took, used) = (begun.elapsed(), house.worker.usage()?.cpu - before);
        ensure!(
            used < took / 2,
            "{} ms of processor in {} ms",
            used.as_millis(),
            took.as_millis()
        );
        unharmed(house)
    })
}

#[test]
fn a_flood_of_lines_does_not_fill_the_disk() -> Result<()> {
    in_a_house_with(&["log-flood"], SHORT, |house| {
        let before = house.setup.log().len();
        let begun = Instant::now();
        house.create(
            "flood",
            &source("log-flood", &json!({"lines": "1000", "bytes": "1000"})),
        )?;
        house.worker.reaches("flood", "RUNNING", PATIENCE)?;
        for _ in 0..10 {
            unharmed(house)?;
        }
        house.worker.rest()?.delete("flood")?;
        let seconds = usize::try_from(begun.elapsed().as_secs())? + 2;
        let grown = house.setup.log().len() - before;
        // A hundred lines a second of 1000 bytes, a second's worth beforehand, and the worker's own.
        let most = seconds * 100 * 1_200 + (1 << 20);
        ensure!(grown < most, "{grown} bytes of log in {seconds} s");
        Ok(())
    })
}

/// What a directory of plugins may hold: none of it keeps the worker from starting.
#[test]
fn files_made_to_break_the_worker_are_left_out() -> Result<()> {
    alone(|folder| {
        let cluster = Cluster::started(folder)?;
        let bad = folder.join("bad");
        std::fs::create_dir_all(&bad)?;
        let plugin = std::fs::read(locate::guests()?.join("idle-source.wasm"))
            .context("run `cargo xtask guests`")?;
        let huge = bad.join("huge.wasm");
        std::fs::write(&huge, &plugin)?;
        std::fs::OpenOptions::new()
            .write(true)
            .open(&huge)?
            .set_len(100 << 20)?;
        let code = std::fs::read_dir(locate::code_cache())?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "cwasm"));
        let code = std::fs::read(code.context("no compiled code yet; run another suite first")?)?;
        let other = std::fs::read(locate::guests()?.join("answer-source.wasm"))?;
        let guests = locate::guests()?;
        let guest = |name: &str| std::fs::read(guests.join(name));
        let cases: [(&str, &[u8], &str); 7] = [
            (
                "many.wasm",
                &files::with_functions(&plugin, 100_000),
                "compile-ms",
            ),
            (
                "cut.wasm",
                plugin.get(..plugin.len() - 7).unwrap_or_default(),
                "damaged",
            ),
            (
                "code.wasm",
                code.get(32..).unwrap_or_default(),
                "precompiled code",
            ),
            ("kept.wasm", &code, "not a WebAssembly component"),
            (
                "spin-describe.wasm",
                &guest("spin-describe.wasm")?,
                "`describe` took too much",
            ),
            (
                "trap-describe.wasm",
                &guest("trap-describe.wasm")?,
                "asked to trap in describe",
            ),
            (
                "wordy-describe.wasm",
                &guest("wordy-describe.wasm")?,
                "describes itself wrongly",
            ),
        ];
        for (name, bytes, _) in &cases {
            std::fs::write(bad.join(name), bytes)?;
        }
        // Deep is strange, but no mistake.
        std::fs::write(bad.join("deep.wasm"), files::with_depth(&other, 2_000))?;
        // The same plugin twice is one plugin.
        for name in ["once.wasm", "twice.wasm"] {
            std::fs::write(bad.join(name), &plugin)?;
        }
        let mut setup = Setup::new(&folder.join("worker"), &cluster.namesrv())?.with_plugins(&bad);
        setup.worker = "compile-ms = 5000\n".to_owned();
        let worker = setup.start()?;
        let log = setup.log();
        for (name, words) in cases
            .iter()
            .map(|(name, _, words)| (*name, *words))
            .chain([("huge.wasm", "the limit of a plugin is 32 MiB")])
        {
            let told = |line: &&str| line.contains(name) && line.contains("is left out");
            let line = log.lines().find(told);
            let line = line.with_context(|| format!("{name} is not in the log: {log}"))?;
            ensure!(line.contains(words) && line.len() < 4_096, "{name}: {line}");
        }
        for name in ["once.wasm", "twice.wasm", "deep.wasm"] {
            ensure!(!log.contains(name), "{name} is complained of: {log}");
        }
        let rest = worker.rest()?;
        rest.create("deep", &source("answer-source", &json!({"times": "0"})))?;
        worker.reaches("deep", "RUNNING", PATIENCE)?;
        rest.create("idle", &source("idle-source", &json!({})))?;
        worker.reaches("idle", "RUNNING", PATIENCE)?;
        std::fs::write(setup.file("in.txt"), "one\ntwo\n")?;
        rest.create(
            "in",
            &json!({"connector.class": "file-source", "filename": "in.txt", "connect.topicname": "good"}),
        )?;
        rest.create(
            "out",
            &json!({"connector.class": "file-sink", "filename": "out.txt", "connect.topicnames": "good"}),
        )?;
        let out = setup.file("out.txt");
        wait::until_true("the good pair works", PATIENCE, || {
            Ok(content(&out) == "one\ntwo\n")
        })
    })
}
