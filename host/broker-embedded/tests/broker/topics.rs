//! Topics: looked up, made, grown.

use crate::cluster::{Cluster, unique};
use connect_broker::{Broker, BrokerError, Outgoing};
use connect_record::Queue;

pub(crate) async fn unknown_until_made(cluster: &mut Cluster) {
    let (broker, topic) = (cluster.client(), unique("topic"));
    assert_eq!(broker.topic_queues(&topic).await.unwrap(), None);
    let made = broker.ensure_topic(&topic, 2).await.unwrap();
    assert_eq!(
        broker.topic_queues(&topic).await.unwrap(),
        Some(made.clone())
    );
    // A client that did not make it sees the same.
    assert_eq!(
        cluster.client().topic_queues(&topic).await.unwrap(),
        Some(made.clone())
    );
    assert_eq!(
        made.iter().map(|queue| queue.id).collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(made.iter().all(|queue| *queue.topic == *topic));
    broker.check().await.unwrap();
}

pub(crate) async fn made_once_and_grown(cluster: &mut Cluster) {
    let (broker, topic) = (cluster.client(), unique("topic"));
    let two = broker.ensure_topic(&topic, 2).await.unwrap();
    assert_eq!(two.len(), 2);
    assert_eq!(broker.ensure_topic(&topic, 2).await.unwrap(), two);
    broker
        .send(&two[1], &[Outgoing::new("kept")])
        .await
        .unwrap();
    let six = broker.ensure_topic(&topic, 6).await.unwrap();
    assert_eq!(six.len(), 6);
    assert_eq!(six[..2], two[..]);
    assert_eq!(
        broker.send(&six[5], &[Outgoing::new("new")]).await.unwrap(),
        0
    );
    assert_eq!(
        broker.ensure_topic(&topic, 3).await.unwrap(),
        six,
        "never fewer"
    );
    assert_eq!(broker.bounds(&six[1]).await.unwrap(), (0, 1));
    // Two who make the same topic at the same time.
    let (other, topic) = (cluster.client(), unique("topic"));
    let (a, b) = tokio::join!(
        broker.ensure_topic(&topic, 4),
        other.ensure_topic(&topic, 4)
    );
    assert_eq!((a.unwrap().len(), b.unwrap().len()), (4, 4));
}

pub(crate) async fn names_are_checked(cluster: &mut Cluster) {
    let broker = cluster.client();
    for name in ["", "a b", "ü", "a/b", &"x".repeat(128)] {
        let error = broker.ensure_topic(name, 1).await.unwrap_err();
        assert!(
            matches!(error, BrokerError::Name { kind: "topic", .. }),
            "{error}"
        );
        assert!(!error.retriable());
    }
    let error = broker.ensure_group("a b").await.unwrap_err();
    assert!(
        matches!(error, BrokerError::Name { kind: "group", .. }),
        "{error}"
    );
}

pub(crate) async fn a_send_makes_no_topic(cluster: &mut Cluster) {
    let (broker, topic) = (cluster.client(), unique("topic"));
    let name = broker.ensure_topic(&unique("topic"), 1).await.unwrap()[0]
        .broker
        .clone();
    let queue = Queue::new(&topic, &name, 0);
    for messages in [
        vec![Outgoing::new("a")],
        vec![Outgoing::new("a"), Outgoing::new("b")],
    ] {
        let error = broker.send(&queue, &messages).await.unwrap_err();
        assert!(matches!(error, BrokerError::NoTopic { .. }), "{error}");
    }
    assert_eq!(broker.topic_queues(&topic).await.unwrap(), None);
}
