//! Sinks: batches in, refusals and progress out, and each lie about them found.

use connect_sandbox::{CallError, Flushed, Late, Rejected};

use crate::fixtures::{at, batch, queue, sink};

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
