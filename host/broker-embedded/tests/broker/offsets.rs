//! Where queues begin and end, and what groups store.

use crate::cluster::{Cluster, number, numbered, one_queue, read, unique};
use connect_broker::{Broker, BrokerError, Pulled};
use connect_record::Queue;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) async fn bounds_and_times(cluster: &mut Cluster) {
    let broker = cluster.client();
    let queue = one_queue(&broker).await;
    let pull = async |offset, wait| {
        broker
            .pull("readers", &queue, offset, 32, wait)
            .await
            .unwrap()
    };
    assert_eq!(broker.bounds(&queue).await.unwrap(), (0, 0));
    assert_eq!(pull(0, Duration::ZERO).await, Pulled::Nothing { next: 0 });
    assert_eq!(pull(7, Duration::ZERO).await, Pulled::Above { max: 0 });
    assert_eq!(broker.offset_at(&queue, 0).await.unwrap(), 0);
    broker.send(&queue, &numbered(0, 10)).await.unwrap();
    read(&broker, &queue, 9, 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let between = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    tokio::time::sleep(Duration::from_millis(50)).await;
    broker.send(&queue, &numbered(10, 10)).await.unwrap();
    read(&broker, &queue, 19, 1).await;
    assert_eq!(broker.bounds(&queue).await.unwrap(), (0, 20));
    assert_eq!(pull(20, Duration::ZERO).await, Pulled::Nothing { next: 20 });
    assert_eq!(pull(21, Duration::ZERO).await, Pulled::Above { max: 20 });
    assert_eq!(
        pull(1_000_000, Duration::from_secs(1)).await,
        Pulled::Above { max: 20 }
    );
    assert_eq!(broker.offset_at(&queue, 0).await.unwrap(), 0);
    assert_eq!(broker.offset_at(&queue, between).await.unwrap(), 10);
    assert_eq!(
        broker.offset_at(&queue, between + 3_600_000).await.unwrap(),
        20
    );
}

pub(crate) async fn commits_go_forward_and_backward(cluster: &mut Cluster) {
    let broker = cluster.client();
    let (queue, group) = (one_queue(&broker).await, unique("group"));
    broker.ensure_group(&group).await.unwrap();
    broker.ensure_group(&group).await.unwrap();
    broker.send(&queue, &numbered(0, 100)).await.unwrap();
    assert_eq!(broker.committed_offset(&group, &queue).await.unwrap(), None);
    for next in [10, 20, 20, 3, 5, 4, 0, 100, 1, 2, 3, 50] {
        broker.commit_offset(&group, &queue, next).await.unwrap();
        let stored = broker.committed_offset(&group, &queue).await.unwrap();
        assert_eq!(stored, Some(next), "after a commit of {next}");
    }
    // A client that does not know what was stored before goes backward too.
    let other = cluster.client();
    other.commit_offset(&group, &queue, 7).await.unwrap();
    assert_eq!(
        broker.committed_offset(&group, &queue).await.unwrap(),
        Some(7)
    );
    // Reading and committing in turn, as a sink does.
    let mut next = 7;
    while next < 100 {
        let pulled = broker
            .pull(&group, &queue, next, 10, Duration::from_secs(1))
            .await
            .unwrap();
        let Pulled::Messages {
            messages,
            next: after,
        } = pulled
        else {
            panic!("{pulled:?}")
        };
        assert_eq!(number(&messages.read().unwrap()[0]) as u64, next);
        broker.commit_offset(&group, &queue, after).await.unwrap();
        assert_eq!(
            broker.committed_offset(&group, &queue).await.unwrap(),
            Some(after)
        );
        next = after;
    }
    // Another group, another offset.
    let second = unique("group");
    broker.ensure_group(&second).await.unwrap();
    assert_eq!(
        broker.committed_offset(&second, &queue).await.unwrap(),
        None
    );
}

pub(crate) async fn commits_need_a_group_and_a_queue(cluster: &mut Cluster) {
    let broker = cluster.client();
    let (queue, group) = (one_queue(&broker).await, unique("group"));
    let missing = unique("group");
    assert_eq!(
        broker.committed_offset(&missing, &queue).await.unwrap(),
        None
    );
    let error = broker.commit_offset(&missing, &queue, 1).await.unwrap_err();
    assert!(
        matches!(&error, BrokerError::NoGroup { group, .. } if *group == missing),
        "{error}"
    );
    broker.ensure_group(&group).await.unwrap();
    let none = Queue::new(&queue.topic, &queue.broker, 77);
    let error = broker.commit_offset(&group, &none, 1).await.unwrap_err();
    assert!(matches!(error, BrokerError::NoQueue { .. }), "{error}");
    let error = broker
        .pull(&group, &none, 0, 32, Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        !error.retriable() && error.to_string().contains("/77"),
        "{error}"
    );
    let none = Queue::new(&unique("topic"), &queue.broker, 0);
    let error = broker
        .pull(&group, &none, 0, 32, Duration::ZERO)
        .await
        .unwrap_err();
    assert!(matches!(error, BrokerError::NoTopic { .. }), "{error}");
}
