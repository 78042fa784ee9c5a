//! Hostile guests, export by export: whatever a plugin does in any of them, the call ends with an
//! error that names plugin, export and cause, and the instance with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use connect_sandbox::{Access, CallError, Limits, LoadError, SinkContext};

use crate::fixtures::{
    Desk, Stored, at, batch, bytes, plugin, poll, queue, sandbox, scope, settings, short, sink,
    source,
};

const QUESTIONS: [&str; 4] = ["describe", "needs", "validate", "task-settings"];
const SOURCE: [&str; 4] = ["open", "poll", "committed", "close"];
const SINK: [&str; 6] = ["open", "assigned", "revoked", "put", "flush", "close"];
const TRANSFORM: [&str; 3] = ["open", "apply", "close"];

/// What each of these guests does in the export that it is told.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Spins,
    Traps,
}

impl How {
    fn plugin(self, of: &str) -> String {
        let name = match (self, of) {
            (Self::Spins, "source") => "spin",
            (Self::Spins, "sink") => "spin-sink",
            (Self::Spins, "transform") => "spin-transform",
            (Self::Spins, _) => "spin-describe",
            (Self::Traps, "source") => "trap-source",
            (Self::Traps, "sink") => "trap-sink",
            (Self::Traps, "transform") => "trap-transform",
            (Self::Traps, _) => "trap-describe",
        };
        name.to_owned()
    }

    /// Whether the error is the one that is due.
    fn check(self, error: &CallError, name: &str, place: &str) {
        let found = match error {
            CallError::Cpu { plugin, call, .. } if self == Self::Spins => {
                assert!(error.to_string().contains("call-cpu-ms"), "{error}");
                (plugin, call)
            }
            CallError::Trap {
                plugin, call, said, ..
            } if self == Self::Traps => {
                let said = said.as_deref().unwrap_or_default();
                assert!(
                    said.contains(&format!("asked to trap in {place}")),
                    "{said}"
                );
                (plugin, call)
            }
            _ => panic!("{name} in {place}: {error:?}"),
        };
        assert_eq!((&**found.0, *found.1), (name, place));
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(place), "{text}");
        assert!(error.poisoned());
    }
}

async fn of_source(name: &str, place: &str) -> CallError {
    let plugin = plugin(name).await;
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope(short()), context).await.unwrap();
    let opened = source.open(&settings(&plugin, &[("in", place)])).await;
    let error = match place {
        "open" => opened,
        "poll" => poll(&mut source).await.map(drop),
        "committed" => source.committed(&[]).await,
        "close" => source.close().await,
        other => panic!("a source has no `{other}`"),
    };
    let error = error.unwrap_err();
    let gone = poll(&mut source).await.unwrap_err();
    assert!(matches!(gone, CallError::Gone { .. }), "{gone:?}");
    error
}

async fn of_sink(name: &str, place: &str) -> CallError {
    let plugin = plugin(name).await;
    let context = Arc::new(Desk::default()) as Arc<dyn SinkContext>;
    let mut sink = plugin.sink(scope(short()), context).await.unwrap();
    let opened = sink
        .open(&settings(&plugin, &[("in", place)]), &[at(0, 10)])
        .await;
    let error = match place {
        "open" => opened.map(drop),
        "assigned" => sink.assigned(&[at(1, 0)]).await.map(drop),
        "revoked" => sink.revoked(&[queue(0)], false).await,
        "put" => sink.put(&batch(10, &["a"])).await.map(drop),
        "flush" => sink.flush().await.map(drop),
        "close" => sink.close().await,
        other => panic!("a sink has no `{other}`"),
    };
    let error = error.unwrap_err();
    let gone = sink.flush().await.unwrap_err();
    assert!(matches!(gone, CallError::Gone { .. }), "{gone:?}");
    error
}

async fn of_transform(name: &str, place: &str) -> CallError {
    let plugin = plugin(name).await;
    let mut transform = plugin.transform(scope(short())).await.unwrap();
    let opened = transform.open(&settings(&plugin, &[("in", place)])).await;
    let error = match place {
        "open" => opened,
        "apply" => transform.apply(&batch(0, &["a"])).await.map(drop),
        "close" => transform.close().await,
        other => panic!("a transform has no `{other}`"),
    };
    let error = error.unwrap_err();
    let gone = transform.apply(&batch(0, &["a"])).await.unwrap_err();
    assert!(matches!(gone, CallError::Gone { .. }), "{gone:?}");
    error
}

/// A question about settings; `describe` is asked when a plugin is loaded.
async fn of_question(how: How, place: &str) -> (String, CallError) {
    if place == "describe" {
        let name = how.plugin("describe");
        let file = format!("{name}.wasm");
        let error = sandbox().load(&file, bytes(&name)).await.unwrap_err();
        assert!(error.to_string().contains(&file), "{error}");
        let LoadError::Describe { source, .. } = error else {
            panic!("{error:?}")
        };
        // It has not said its name yet.
        return (file, *source);
    }
    let name = how.plugin("source");
    let plugin = plugin(&name).await;
    let asked = settings(&plugin, &[("in", place)]);
    let none = Access::default();
    let error = match place {
        "needs" => plugin.needs(&asked).await.map(drop),
        "validate" => plugin.validate(&asked, &none).await.map(drop),
        "task-settings" => plugin.task_settings(&asked, 1, &none).await.map(drop),
        other => panic!("a connector has no `{other}`"),
    };
    (name, error.unwrap_err())
}

async fn in_every_export(how: How) {
    for place in QUESTIONS {
        let (name, error) = of_question(how, place).await;
        how.check(&error, &name, place);
    }
    for place in SOURCE {
        let name = how.plugin("source");
        how.check(&of_source(&name, place).await, &name, place);
    }
    for place in SINK {
        let name = how.plugin("sink");
        how.check(&of_sink(&name, place).await, &name, place);
    }
    for place in TRANSFORM {
        let name = how.plugin("transform");
        how.check(&of_transform(&name, place).await, &name, place);
    }
}

#[tokio::test]
async fn an_endless_loop_in_any_export_is_stopped() {
    in_every_export(How::Spins).await;
}

#[tokio::test]
async fn a_trap_in_any_export_is_named() {
    in_every_export(How::Traps).await;
}

/// The lists above are all there is to export.
#[test]
fn no_export_is_forgotten() {
    let wit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit/connect/v0.1/connect.wit");
    let wit = std::fs::read_to_string(wit).unwrap();
    for (interface, known) in [
        ("connector", &QUESTIONS[..]),
        ("source", &SOURCE),
        ("sink", &SINK),
        ("transform", &TRANSFORM),
    ] {
        let (_, body) = wit
            .split_once(&format!("interface {interface} {{"))
            .unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        let declared: Vec<&str> = body
            .lines()
            .filter_map(|line| line.trim().split_once(": func(").map(|(name, _)| name))
            .collect();
        assert_eq!(declared, known, "{interface}");
    }
}

#[tokio::test]
async fn a_panic_inside_a_panic_is_one_trap() {
    let mut source = source("trap-source", &[("how", "twice")]).await;
    let error = poll(&mut source).await.unwrap_err();
    let CallError::Trap {
        call: "poll", said, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    let said = said.as_deref().unwrap_or_default();
    assert!(said.contains("panicked while processing panic"), "{said}");
    assert!(error.poisoned());
}

#[tokio::test]
async fn a_huge_reason_of_a_rejected_record_is_cut() {
    for late in ["false", "true"] {
        let given = [("text", "bad"), ("reason-bytes", "3000000"), ("late", late)];
        let (mut sink, _) = sink("reject-sink", &given).await;
        let mut reasons: Vec<String> = Vec::new();
        let put = sink.put(&batch(10, &["bad"])).await.unwrap();
        reasons.extend(put.into_iter().map(|one| one.reason));
        let late = sink.flush().await.unwrap().rejected;
        reasons.extend(late.into_iter().map(|one| one.reason));
        let [reason] = reasons.as_slice() else {
            panic!("{} reasons", reasons.len())
        };
        assert!(reason.len() < 3_000 && reason.ends_with(" bytes more)"));
    }
}

#[tokio::test]
async fn a_description_that_is_too_long_is_refused_in_few_words() {
    let error = sandbox()
        .load("wordy-describe.wasm", bytes("wordy-describe"))
        .await
        .unwrap_err();
    assert!(matches!(error, LoadError::Description { .. }), "{error:?}");
    assert!(
        error.to_string().len() < 1_000,
        "{} bytes",
        error.to_string().len()
    );
}

#[tokio::test]
async fn answers_without_measure_are_refused_or_cut() {
    let plugin = plugin("wordy-source").await;
    let none = Access::default();
    let told = |what| settings(&plugin, &[("what", what)]);

    let problems = plugin.validate(&told("problems"), &none).await.unwrap();
    assert!(problems.len() < 1_000, "{} problems", problems.len());
    let problem = plugin.validate(&told("problem"), &none).await.unwrap();
    assert!(problem[0].key.len() < 3_000 && problem[0].reason.len() < 3_000);

    let mut errors = Vec::new();
    for what in ["needs", "need"] {
        errors.push(("needs", plugin.needs(&told(what)).await.unwrap_err()));
    }
    for what in ["tasks", "settings"] {
        let planned = plugin.task_settings(&told(what), 2, &none).await;
        errors.push(("task-settings", planned.unwrap_err()));
    }
    for (place, error) in errors {
        let CallError::Answer { call, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*call, place);
        assert!(error.to_string().len() < 1_000, "{error}");
    }
}

/// It costs its own task a call each time, and nobody anything else.
#[tokio::test]
async fn polls_that_bring_nothing_are_answers() {
    let mut source = source("idle-source", &[]).await;
    for _ in 0..1_000 {
        let polled = poll(&mut source).await.unwrap();
        assert!(polled.batch.is_empty() && polled.wait.is_zero());
    }
}

/// Positions are the source's own words: the sandbox hands them on as they are.
#[tokio::test]
async fn positions_that_go_back_are_handed_on() {
    for what in ["back", "forget"] {
        let mut source = source("back-source", &[("what", what)]).await;
        for expected in ["999999", "999998"] {
            let polled = poll(&mut source).await.unwrap();
            let record = polled.batch.records().next().unwrap();
            assert_eq!(record.position().unwrap(), expected.as_bytes());
            assert_eq!(polled.forget.len(), usize::from(what == "forget"));
        }
    }
}

#[tokio::test]
async fn one_endless_line_is_cut_and_a_line_beyond_the_limit_ends_the_call() {
    for (size, fits) in [("4000000", true), ("100000000", false)] {
        let plugin = plugin("log-flood").await;
        let limits = Limits {
            memory_bytes: 1 << 30,
            call_cpu: Duration::from_secs(30),
            ..short()
        };
        let context = Arc::new(Stored::default());
        let mut source = plugin.source(scope(limits), context).await.unwrap();
        let given = settings(&plugin, &[("lines", "1"), ("bytes", size)]);
        source.open(&given).await.unwrap();
        let polled = poll(&mut source).await;
        assert_eq!(polled.is_ok(), fits, "{size}: {polled:?}");
    }
}
