//! Good sources: records, positions, resuming, progress, closing.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connect_record::ResumePoint;
use connect_sandbox::{CallError, Role};

use crate::fixtures::{Stored, plugin, poll, scope, settings, short, source, values};

#[tokio::test]
async fn records_come_out_as_the_source_made_them() {
    let mut source = source(
        "seq-source",
        &[("count", "2"), ("partitions", "2"), ("key", "partition")],
    )
    .await;
    let polled = poll(&mut source).await.unwrap();
    assert_eq!(values(&polled), ["p0-0", "p1-0", "p0-1", "p1-1"]);
    let last = polled.batch.records().last().unwrap();
    assert_eq!((last.partition(), last.topic()), ("p1", ""));
    assert_eq!(last.key(), Some(Bytes::from_static(b"p1")));
    assert_eq!(last.position(), Some(Bytes::from_static(b"2")));
    assert_eq!(polled.wait, Duration::from_secs(1));
    let points = [ResumePoint {
        partition: "p1".into(),
        position: Bytes::from_static(b"2"),
    }];
    source.committed(&points).await.unwrap();
    let polled = poll(&mut source).await.unwrap();
    assert!(polled.batch.is_empty() && polled.points.is_empty());
    assert!(source.memory_bytes() > 0);
}

#[tokio::test]
async fn a_poll_keeps_to_the_wanted_number_of_records() {
    let mut source = source("seq-source", &[]).await;
    let polled = source.poll(7, 1 << 20, Duration::ZERO).await.unwrap();
    assert_eq!(polled.batch.len(), 7);
    assert_eq!(polled.wait, Duration::ZERO);
}

#[tokio::test]
async fn a_source_resumes_where_the_store_says() {
    let plugin = plugin("seq-source").await;
    let stored = Stored {
        points: [("p0".to_owned(), Bytes::from_static(b"41"))].into(),
        broken: None,
    };
    let mut source = plugin
        .source(scope(short()), Arc::new(stored))
        .await
        .unwrap();
    source
        .open(&settings(&plugin, &[("count", "43")]))
        .await
        .unwrap();
    assert_eq!(
        values(&poll(&mut source).await.unwrap()),
        ["p0-41", "p0-42"]
    );
}

/// An empty answer would make the source begin anew.
#[tokio::test]
async fn a_store_that_cannot_be_read_fails_the_call_with_its_own_reason() {
    let plugin = plugin("seq-source").await;
    let stored = Stored {
        broken: Some("page 7 is damaged"),
        ..Stored::default()
    };
    let mut source = plugin
        .source(scope(short()), Arc::new(stored))
        .await
        .unwrap();
    let error = source.open(&settings(&plugin, &[])).await.unwrap_err();
    assert!(
        matches!(error, CallError::Host { call: "open", .. }) && error.poisoned(),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "plugin `seq-source`: answering its import `resume-points` failed"
    );
    assert_eq!(error.source().unwrap().to_string(), "page 7 is damaged");
    let gone = poll(&mut source).await.unwrap_err();
    assert!(
        matches!(gone, CallError::Gone { .. }) && gone.to_string().contains("`resume-points`"),
        "{gone}"
    );
}

#[tokio::test]
async fn progress_without_records_and_forgotten_partitions_come_through() {
    let plugin = plugin("progress-source").await;
    let points = [("a", "1"), ("b", "2")]
        .map(|(name, at)| (name.to_owned(), Bytes::from_static(at.as_bytes())));
    let mut source = plugin
        .source(
            scope(short()),
            Arc::new(Stored {
                points: points.into(),
                broken: None,
            }),
        )
        .await
        .unwrap();
    source.open(&[]).await.unwrap();
    assert_eq!(values(&poll(&mut source).await.unwrap()), ["a=1 b=2"]);
    let polled = poll(&mut source).await.unwrap();
    assert_eq!(
        polled.points,
        [ResumePoint {
            partition: "moving".into(),
            position: Bytes::from_static(b"1")
        }]
    );
    assert_eq!(polled.forget, ["gone"]);
    assert_eq!(polled.wait, Duration::from_millis(10));
}

#[tokio::test]
async fn a_closed_source_cannot_be_called() {
    let mut source = source("seq-source", &[]).await;
    source.close().await.unwrap();
    let error = poll(&mut source).await.unwrap_err();
    assert!(
        matches!(error, CallError::Gone { .. }) && error.to_string().contains("closed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_source_is_no_sink_and_no_transform() {
    let plugin = plugin("seq-source").await;
    assert_eq!(plugin.role(), Role::Source);
    let error = plugin.transform(scope(short())).await.unwrap_err();
    assert!(
        error.to_string().contains("a source, not a transform"),
        "{error}"
    );
}

#[tokio::test]
async fn instances_of_one_plugin_know_nothing_of_each_other() {
    let mut first = source("seq-source", &[("count", "1")]).await;
    let mut second = source("seq-source", &[("count", "2")]).await;
    assert_eq!(poll(&mut first).await.unwrap().batch.len(), 1);
    assert_eq!(poll(&mut second).await.unwrap().batch.len(), 2);
}
