//! Time: a guest that does not come back is stopped, and until then it is in nobody's way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use connect_sandbox::{Access, CallError, Limits, LoadError};

use crate::fixtures::{
    Stored, batch, bytes, plugin, poll, sandbox, scope, settings, short, sink, source, values,
};

#[tokio::test]
async fn a_guest_that_turns_in_circles_is_stopped_in_every_call() {
    let plugin = plugin("spin").await;
    for (place, bulk) in [
        ("open", "false"),
        ("poll", "false"),
        ("poll", "true"),
        ("close", "false"),
    ] {
        let mut source = plugin
            .source(scope(short()), Arc::new(Stored::default()))
            .await
            .unwrap();
        let opened = source
            .open(&settings(&plugin, &[("in", place), ("bulk", bulk)]))
            .await;
        let error = match place {
            "open" => opened.unwrap_err(),
            "poll" => poll(&mut source).await.unwrap_err(),
            _ => source.close().await.unwrap_err(),
        };
        let CallError::Cpu { call, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*call, place);
        let words =
            "the limit `call-cpu-ms` is 300; it is set in [limits], [limits.plugin.\"spin\"]";
        assert!(
            error.poisoned() && error.to_string().contains(words),
            "{error}"
        );
        assert!(matches!(
            poll(&mut source).await.unwrap_err(),
            CallError::Gone { .. }
        ));
    }
}

#[tokio::test]
async fn a_question_that_is_never_answered_is_stopped() {
    let plugin = plugin("spin").await;
    let none = Access::default();
    let asked = settings(&plugin, &[("in", "needs")]);
    assert!(matches!(
        plugin.needs(&asked).await.unwrap_err(),
        CallError::Cpu { call: "needs", .. }
    ));
    let asked = settings(&plugin, &[("in", "validate")]);
    assert!(matches!(
        plugin.validate(&asked, &none).await.unwrap_err(),
        CallError::Cpu {
            call: "validate",
            ..
        }
    ));
    let asked = settings(&plugin, &[("in", "task-settings")]);
    let error = plugin.task_settings(&asked, 1, &none).await.unwrap_err();
    assert!(matches!(
        error,
        CallError::Cpu {
            call: "task-settings",
            ..
        }
    ));
}

#[tokio::test]
async fn a_plugin_that_never_says_what_it_is_cannot_be_loaded() {
    let error = sandbox()
        .load("spin-describe.wasm", bytes("spin-describe"))
        .await
        .unwrap_err();
    let LoadError::Describe { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(
            **source,
            CallError::Cpu {
                call: "describe",
                ..
            }
        ),
        "{source:?}"
    );
}

/// One thread for everything: without yielding, the first guest would stop the second one, the
/// timer and the test itself.
#[tokio::test]
async fn while_one_guest_turns_in_circles_another_one_answers() {
    let plugin = plugin("spin").await;
    let limits = Limits {
        call_cpu: Duration::from_secs(2),
        ..short()
    };
    let mut spinning = plugin
        .source(scope(limits), Arc::new(Stored::default()))
        .await
        .unwrap();
    spinning.open(&settings(&plugin, &[])).await.unwrap();
    let mut neighbour = source("seq-source", &[]).await;

    let spin = tokio::spawn(async move { poll(&mut spinning).await.map(|_| ()) });
    let mut slowest = Duration::ZERO;
    let mut answers = 0;
    while !spin.is_finished() {
        let asked = Instant::now();
        neighbour.poll(1, 1 << 20, Duration::ZERO).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        slowest = slowest.max(asked.elapsed());
        answers += 1;
    }
    assert!(matches!(
        spin.await.unwrap().unwrap_err(),
        CallError::Cpu { .. }
    ));
    // Two seconds of slices of a millisecond; a tenth of that is for machines that are busy.
    assert!(
        answers >= 100,
        "{answers} answers, the slowest after {slowest:?}"
    );
}

#[tokio::test]
async fn a_guest_that_waits_for_ever_is_stopped_and_its_time_is_not_processor_time() {
    let plugin = plugin("stuck-sink").await;
    let wall = Duration::from_millis(700);
    let limits = Limits {
        call_wall: wall,
        call_cpu: Duration::from_millis(200),
        ..Limits::default()
    };
    let mut sink = plugin
        .sink(scope(limits), Arc::new(crate::fixtures::Desk::default()))
        .await
        .unwrap();
    sink.open(&settings(&plugin, &[("how", "wait")]), &[])
        .await
        .unwrap();
    let started = Instant::now();
    let error = sink.put(&batch(0, &["a"])).await.unwrap_err();
    assert!(
        matches!(error, CallError::Wall { call: "put", .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("the limit `call-wall-ms` is 700"),
        "{error}"
    );
    assert!(started.elapsed() >= wall && error.poisoned());
    assert!(matches!(
        sink.flush().await.unwrap_err(),
        CallError::Gone { .. }
    ));
}

#[tokio::test]
async fn slow_is_not_stuck() {
    let (mut sink, _) = sink("stuck-sink", &[("how", "slow"), ("ms", "500")]).await;
    // Longer than the processor time it may use, which waiting does not.
    assert_eq!(sink.put(&batch(10, &["a"])).await.unwrap(), []);
}

#[tokio::test]
async fn an_abandoned_call_ends_the_instance() {
    let (mut sink, _) = sink("stuck-sink", &[("how", "wait")]).await;
    let batch = batch(10, &["a"]);
    let waited = tokio::time::timeout(Duration::from_millis(50), sink.put(&batch)).await;
    assert!(waited.is_err());
    let error = sink.flush().await.unwrap_err();
    assert!(
        matches!(error, CallError::Gone { .. })
            && error.to_string().contains("`put` was abandoned"),
        "{error}"
    );
}

#[tokio::test]
async fn an_instance_in_a_call_can_be_dropped_at_any_time() {
    let plugin = plugin("spin").await;
    for pause in [0, 1, 5, 20] {
        let mut spinning = plugin
            .source(scope(short()), Arc::new(Stored::default()))
            .await
            .unwrap();
        spinning.open(&settings(&plugin, &[])).await.unwrap();
        let task = tokio::spawn(async move { poll(&mut spinning).await.map(|_| ()) });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let mut next = source("spin", &[("in", "nowhere")]).await;
    assert_eq!(values(&poll(&mut next).await.unwrap()), ["works"]);
}
