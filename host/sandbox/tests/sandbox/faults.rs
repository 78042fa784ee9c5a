//! Broken guests: every trap and every lie ends the instance with an error that names plugin, call
//! and cause, and the next instance works.

use std::error::Error;
use std::sync::Arc;

use connect_sandbox::{Access, CallError};

use crate::fixtures::{Stored, batch, plugin, poll, scope, settings, short, sink, source};

fn assert_trap(error: &CallError, plugin: &str, call: &str) {
    let CallError::Trap {
        plugin: found,
        call: in_call,
        trap,
        said,
        backtrace,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!((&**found, *in_call), (plugin, call));
    assert!(trap.contains("unreachable"), "{trap}");
    let said = said.as_deref().unwrap_or_default();
    assert!(said.contains(&format!("asked to trap in {call}")), "{said}");
    assert!(error.to_string().contains(said));
    // The plugin's own stack, readable, down to the line.
    assert!(backtrace.contains("src/lib.rs:"), "{backtrace}");
    assert!(
        !backtrace.contains("_ZN") && !backtrace.contains("_RN"),
        "{backtrace}"
    );
    assert_eq!(error.backtrace(), Some(backtrace.as_str()));
    assert!(error.poisoned());
}

#[tokio::test]
async fn a_trap_in_any_call_of_a_source_is_named_and_the_next_instance_works() {
    let plugin = plugin("trap-source").await;
    for place in ["open", "poll", "committed", "close"] {
        let mut source = plugin
            .source(scope(short()), Arc::new(Stored::default()))
            .await
            .unwrap();
        let opened = source
            .open(&settings(&plugin, &[("in", place), ("polls", "1000")]))
            .await;
        let error = match (place, opened) {
            ("open", Err(error)) => error,
            ("poll", Ok(())) => {
                source = plugin
                    .source(scope(short()), Arc::new(Stored::default()))
                    .await
                    .unwrap();
                source
                    .open(&settings(&plugin, &[("in", "poll"), ("polls", "1")]))
                    .await
                    .unwrap();
                poll(&mut source).await.unwrap();
                poll(&mut source).await.unwrap_err()
            }
            ("committed", Ok(())) => source.committed(&[]).await.unwrap_err(),
            ("close", Ok(())) => source.close().await.unwrap_err(),
            (_, opened) => panic!("{place}: {opened:?}"),
        };
        assert_trap(&error, "trap-source", place);
        let gone = poll(&mut source).await.unwrap_err();
        assert!(
            matches!(gone, CallError::Gone { .. }) && gone.to_string().contains("crashed in"),
            "{gone}"
        );
    }
}

#[tokio::test]
async fn a_trap_in_any_call_of_a_sink_is_named() {
    for place in ["put", "flush", "close"] {
        let (mut sink, _) = sink("trap-sink", &[("in", place), ("records", "3")]).await;
        let put = sink.put(&batch(10, &["a", "b"])).await;
        assert!(put.is_ok());
        let error = match place {
            "put" => sink.put(&batch(12, &["c"])).await.unwrap_err(),
            "flush" => sink.flush().await.unwrap_err(),
            _ => sink.close().await.unwrap_err(),
        };
        assert_trap(&error, "trap-sink", place);
    }
}

#[tokio::test]
async fn a_trap_in_a_question_about_settings_is_named() {
    let plugin = plugin("trap-source").await;
    let none = Access::default();
    let error = plugin
        .needs(&settings(&plugin, &[("in", "needs")]))
        .await
        .unwrap_err();
    assert_trap(&error, "trap-source", "needs");
    let error = plugin
        .validate(&settings(&plugin, &[("in", "validate")]), &none)
        .await
        .unwrap_err();
    assert_trap(&error, "trap-source", "validate");
    let error = plugin
        .task_settings(&settings(&plugin, &[("in", "task-settings")]), 1, &none)
        .await
        .unwrap_err();
    assert_trap(&error, "trap-source", "task-settings");
    assert_eq!(plugin.needs(&settings(&plugin, &[])).await.unwrap(), []);
}

#[tokio::test]
async fn a_batch_that_breaks_the_interface_in_any_way_is_refused() {
    let lies = [
        (
            "bad-bit-source",
            &["unknown", "cleared", "gap", "origin"][..],
        ),
        (
            "bad-index-source",
            &["topic", "partition", "schema", "name"],
        ),
        ("bad-size-source", &["zero", "small", "huge", "ragged"]),
        (
            "bad-span-source",
            &["value", "overflow", "position", "run", "header", "amplify"],
        ),
        ("bad-text-source", &["value", "schema", "nested", "header"]),
        ("too-much-source", &["records", "topics", "name"]),
    ];
    for (name, variants) in lies {
        for what in variants {
            let mut source = source(name, &[("what", what)]).await;
            let Err(error) = poll(&mut source).await else {
                panic!("{name} {what}: taken for a good batch")
            };
            assert!(
                matches!(error, CallError::Batch { call: "poll", .. }) && error.poisoned(),
                "{name} {what}: {error:?}"
            );
            let cause = error.source().unwrap().to_string();
            assert!(
                !cause.is_empty() && cause.len() < 1_000,
                "{name} {what}: {cause}"
            );
            assert!(matches!(
                poll(&mut source).await.unwrap_err(),
                CallError::Gone { .. }
            ));
        }
    }
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    let mut source = source("stack-overflow", &[]).await;
    let error = poll(&mut source).await.unwrap_err();
    let CallError::Trap { backtrace, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        backtrace.contains("deeper") && backtrace.len() < 10_000,
        "{backtrace}"
    );
}
