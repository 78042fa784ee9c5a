//! Sinks: batches in, refusals and progress out, and each lie about them found.

use std::sync::Arc;

use connect_sandbox::{CallError, Flushed, Late, Rejected, SinkContext};

use crate::fixtures::{Desk, at, batch, listen, plugin, queue, scope, settings, short, sink};
use crate::outside::Log;

#[tokio::test]
async fn a_sink_takes_batches_and_says_that_all_is_durable() {
    let (mut sink, _) = sink("counting-sink", &[]).await;
    assert_eq!(sink.put(&batch(10, &["a", "b", "c"])).await.unwrap(), []);
    assert_eq!(
        sink.flush().await.unwrap(),
        Flushed {
            upto: None,
            rejected: vec![]
        }
    );
    assert_eq!(sink.assigned(&[at(1, 0)]).await.unwrap(), []);
    sink.revoked(&[queue(0)], false).await.unwrap();
    sink.close().await.unwrap();
    assert!(matches!(
        sink.flush().await.unwrap_err(),
        CallError::Gone { .. }
    ));
}

#[tokio::test]
async fn refused_records_come_with_their_place_and_reason() {
    let (mut sink, _) = sink("reject-sink", &[("text", "bad")]).await;
    let refused = sink
        .put(&batch(10, &["bad 1", "good", "bad 2"]))
        .await
        .unwrap();
    let expected = [(0, 10), (2, 12)].map(|(index, offset)| Rejected {
        index,
        reason: format!("contains \"bad\", offset {offset}"),
    });
    assert_eq!(refused, expected);
}

#[tokio::test]
async fn records_refused_late_come_with_queue_and_offset() {
    let (mut sink, _) = sink("reject-sink", &[("text", "bad"), ("late", "true")]).await;
    assert_eq!(sink.put(&batch(10, &["good", "bad"])).await.unwrap(), []);
    let late = Late {
        queue: queue(0),
        offset: 11,
        reason: "contains \"bad\", offset 11".into(),
    };
    assert_eq!(sink.flush().await.unwrap().rejected, [late]);
}

#[tokio::test]
async fn a_sink_that_lies_about_what_it_was_given_ends() {
    for (what, expected) in [
        ("behind", "record 2 is rejected, but the batch has 2"),
        ("twice", "record 0 is rejected twice"),
        (
            "ahead",
            "durable up to 18446744073709551615, but was given up to 12",
        ),
        ("foreign", "queue no/such/7 is not one of its own"),
    ] {
        let (mut sink, _) = sink("bad-reject-index", &[("what", what)]).await;
        let put = sink.put(&batch(10, &["a", "b"])).await;
        let error = match put {
            Err(error) => error,
            Ok(_) => sink.flush().await.unwrap_err(),
        };
        assert!(
            matches!(error, CallError::Answer { .. }) && error.poisoned(),
            "{what}: {error:?}"
        );
        assert!(error.to_string().contains(expected), "{what}: {error}");
        assert!(matches!(
            sink.flush().await.unwrap_err(),
            CallError::Gone { .. }
        ));
    }
}

/// What the context of a sink that is opened with `open` was told of seeks after each of the puts.
async fn seeks(open: &str, puts: &[&[&str]]) -> Vec<Vec<(i32, u64)>> {
    let (mut sink, desk) = sink("seek-told-sink", &[("open", open)]).await;
    let told = || {
        let seeks = std::mem::take(&mut *desk.seeks.lock().unwrap());
        seeks
            .into_iter()
            .map(|(at, offset)| {
                assert_eq!((&*at.topic, &*at.broker), ("topic", "broker"));
                (at.id, offset)
            })
            .collect()
    };
    let mut all = vec![told()];
    for commands in puts {
        // A failure is an answer like any other; what it does to seeks is what is looked at.
        drop(sink.put(&batch(10, commands)).await);
        all.push(told());
    }
    all
}

#[tokio::test]
async fn the_last_seek_in_each_queue_of_its_own_reaches_the_worker_after_the_call() {
    assert_eq!(
        seeks("seek 0 3", &[&["seek 0 40", "seek 0 7"], &["nothing"]]).await,
        [vec![(0, 3)], vec![(0, 7)], vec![]]
    );
    // Queue 1 is another task's.
    assert_eq!(
        seeks("seek 1 3", &[&["seek 1 4", "seek 0 5"]]).await,
        [vec![], vec![(0, 5)]]
    );
}

#[tokio::test]
async fn seeks_elsewhere_are_ignored_with_one_line_in_the_plugin_s_log() {
    let log = Log::default();
    let guard = listen(log.clone());
    let commands = ["seek 1 4", "seek 2 5", "seek 0 6"];
    assert_eq!(seeks("", &[&commands]).await, [vec![], vec![(0, 6)]]);
    drop(guard);
    let lines = log.0.lock().unwrap();
    let ignored = lines.iter().filter(|line| line.contains("ignored"));
    assert_eq!(ignored.count(), 1, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("topic/broker/1")));
}

#[tokio::test]
async fn a_seek_counts_when_the_call_fails_but_not_when_it_traps() {
    assert_eq!(
        seeks("", &[&["seek 0 2", "fail"]]).await,
        [vec![], vec![(0, 2)]]
    );
    assert_eq!(
        seeks("", &[&["seek 0 2", "trap"], &["nothing"]]).await,
        [vec![], vec![], vec![]]
    );
}

#[tokio::test]
async fn a_sink_that_did_not_open_has_not_moved() {
    let plugin = plugin("seek-told-sink").await;
    let desk = Arc::new(Desk::default());
    let context = Arc::clone(&desk) as Arc<dyn SinkContext>;
    let mut sink = plugin.sink(scope(short()), context).await.unwrap();
    let failing = settings(&plugin, &[("open", "seek 0 5;fail")]);
    let error = sink.open(&failing, &[at(0, 10)]).await.unwrap_err();
    assert!(matches!(error, CallError::Retriable { .. }), "{error:?}");
    sink.open(&settings(&plugin, &[]), &[at(0, 10)])
        .await
        .unwrap();
    assert_eq!(*desk.seeks.lock().unwrap(), []);
}
