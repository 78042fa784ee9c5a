//! Failures that are answers: the instance lives on, the texts are cut.

use std::sync::Arc;

use connect_sandbox::CallError;

use crate::fixtures::{Stored, batch, plugin, poll, scope, settings, short, sink, source, values};

#[tokio::test]
async fn after_a_retriable_answer_the_same_instance_goes_on() {
    let mut source = source("answer-source", &[("times", "2")]).await;
    for _ in 0..2 {
        let error = poll(&mut source).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Retriable { call: "poll", .. }) && !error.poisoned(),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            "plugin `answer-source`: `poll` cannot be done now: rrrrrrrrrr"
        );
    }
    assert_eq!(values(&poll(&mut source).await.unwrap()), ["works"]);
}

#[tokio::test]
async fn invalid_and_fatal_are_told_apart_and_open_can_be_tried_again() {
    let plugin = plugin("answer-source").await;
    for (answer, fatal) in [("invalid", false), ("fatal", true)] {
        let mut source = plugin
            .source(scope(short()), Arc::new(Stored::default()))
            .await
            .unwrap();
        let settings = settings(
            &plugin,
            &[("in", "open"), ("answer", answer), ("times", "1")],
        );
        let error = source.open(&settings).await.unwrap_err();
        assert_eq!(matches!(error, CallError::Fatal { .. }), fatal, "{error:?}");
        assert_eq!(
            matches!(error, CallError::Invalid { .. }),
            !fatal,
            "{error:?}"
        );
        assert!(!error.poisoned());
        source.open(&settings).await.unwrap();
    }
}

#[tokio::test]
async fn a_huge_reason_is_cut() {
    for answer in ["retriable", "invalid", "fatal"] {
        let mut source = source(
            "answer-source",
            &[("answer", answer), ("reason-bytes", "3000000")],
        )
        .await;
        let text = poll(&mut source).await.unwrap_err().to_string();
        assert!(
            text.len() < 3_000 && text.contains("bytes more"),
            "{} bytes",
            text.len()
        );
    }
}

#[tokio::test]
async fn the_same_batch_can_be_put_again() {
    let (mut sink, _) = sink("stuck-sink", &[("how", "retry"), ("ms", "7")]).await;
    let batch = batch(10, &["a", "b"]);
    for _ in 0..3 {
        let error = sink.put(&batch).await.unwrap_err();
        let CallError::Retriable { after, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(after.as_millis(), 7);
    }
    sink.flush().await.unwrap();
}
