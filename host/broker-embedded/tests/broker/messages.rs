//! Messages: content, order, and when they can be read.

use crate::cluster::{Cluster, number, numbered, one_queue, read, unique};
use connect_broker::{
    Broker, BrokerError, MAX_BATCH_BYTES, MAX_PROPERTIES_BYTES, MessageFault, Outgoing, Pulled,
};
use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A message with every byte in its body and awkward properties.
fn awkward(seed: u8) -> Outgoing {
    let properties = [
        ("connect.timestamp", "1795447359923".to_owned()),
        ("ascii", (3..127_u8).map(char::from).collect()),
        (
            "latin",
            (0x80..0x180_u32).filter_map(char::from_u32).collect(),
        ),
        ("wide", "😀漢字\u{200b}\u{fffd}".to_owned()),
        ("nul", "a\u{0}b".to_owned()),
        ("space", "  x\r\n\t".to_owned()),
        ("e=q&l", "{\"a\":[1,\"\\n\"]}".to_owned()),
        ("nämé", "v".to_owned()),
        ("n", "x".to_owned()),
        ("long", "L".repeat(20_000)),
    ];
    Outgoing {
        keys: Some(format!("key-{seed} ü two")),
        tags: Some("täg".to_owned()),
        properties: properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body: (0..=255_u8)
            .map(|byte| byte.wrapping_add(seed))
            .collect::<Vec<u8>>()
            .into(),
    }
}

pub(crate) async fn come_back_as_they_were(cluster: &mut Cluster) {
    let broker = cluster.client();
    let queue = one_queue(&broker).await;
    let before = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64;
    // One alone, some together, and one without anything but a body.
    let sent: Vec<Outgoing> = (0..20)
        .map(awkward)
        .chain([Outgoing::new("plain")])
        .collect();
    assert_eq!(broker.send(&queue, &sent[..1]).await.unwrap(), 0);
    assert_eq!(broker.send(&queue, &sent[1..]).await.unwrap(), 1);
    let got = read(&broker, &queue, 0, sent.len()).await;
    assert_eq!(got.len(), sent.len());
    for (at, (sent, got)) in sent.iter().zip(&got).enumerate() {
        assert_eq!(got.queue_offset, at as u64);
        assert_eq!(got.body, sent.body, "body of {at}");
        assert_eq!(got.property("KEYS"), sent.keys.as_deref());
        assert_eq!(got.property("TAGS"), sent.tags.as_deref());
        for (name, value) in &sent.properties {
            assert_eq!(
                got.property(name),
                Some(value.as_str()),
                "property {name:?} of {at}"
            );
        }
        assert_eq!(got.property("UNIQ_KEY"), Some(got.message_id()));
        for time in [got.born_timestamp, got.store_timestamp] {
            assert!(
                (before..before + 600_000).contains(&time),
                "{time} against {before}"
            );
        }
    }
    let ids: HashSet<&str> = got.iter().map(|message| message.message_id()).collect();
    assert_eq!(ids.len(), got.len());
}

pub(crate) async fn largest_message_and_properties(cluster: &mut Cluster) {
    let broker = cluster.client();
    let queue = one_queue(&broker).await;
    let room = MAX_BATCH_BYTES - Outgoing::default().wire_size();
    // Bytes that no compression makes smaller.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    });
    let large = Outgoing::new(noise.take(room).collect::<Vec<u8>>());
    broker
        .send(&queue, std::slice::from_ref(&large))
        .await
        .unwrap();
    let mut wide = Outgoing::new("x");
    let value = "v".repeat(MAX_PROPERTIES_BYTES - 3);
    wide.properties = vec![("p".to_owned(), value.clone())];
    broker
        .send(&queue, std::slice::from_ref(&wide))
        .await
        .unwrap();
    broker
        .send(&queue, &[wide.clone(), Outgoing::new("y")])
        .await
        .unwrap();
    // As much as fits into one batch.
    let half = Outgoing::new(large.body.slice(..(room - 100) / 2));
    assert!(
        half.wire_size() * 2 <= MAX_BATCH_BYTES && half.wire_size() * 2 > MAX_BATCH_BYTES - 400
    );
    broker
        .send(&queue, &[half.clone(), half.clone()])
        .await
        .unwrap();
    let got = read(&broker, &queue, 0, 6).await;
    assert!(
        got[0].body == large.body,
        "the largest body came back changed"
    );
    for at in [1, 2] {
        assert!(
            got[at].property("p") == Some(value.as_str()),
            "the largest property changed"
        );
    }
    assert!(got[4].body == half.body && got[5].body == half.body);
}

pub(crate) async fn keep_their_order(cluster: &mut Cluster) {
    let broker = cluster.client();
    let queues = broker.ensure_topic(&unique("topic"), 3).await.unwrap();
    let (mut sent, sizes) = (0, [1, 2, 500, 3, 77, 1, 250, 166]);
    for (round, size) in sizes.iter().cycle().take(24).enumerate() {
        let first = broker
            .send(&queues[0], &numbered(sent, *size))
            .await
            .unwrap();
        assert_eq!(first, sent as u64, "round {round}");
        sent += size;
        // Other queues have their own offsets.
        assert_eq!(
            broker.send(&queues[2], &numbered(0, 1)).await.unwrap(),
            round as u64
        );
    }
    let got = read(&broker, &queues[0], 0, sent).await;
    for (at, message) in got.iter().enumerate() {
        assert_eq!((number(message), message.queue_offset), (at, at as u64));
    }
    // From the middle on, and a single one.
    let got = read(&broker, &queues[0], 700, sent - 700).await;
    assert_eq!(number(&got[0]), 700);
    let pulled = broker
        .pull("readers", &queues[0], 7, 1, Duration::ZERO)
        .await
        .unwrap();
    let Pulled::Messages { messages, next: 8 } = pulled else {
        panic!("{pulled:?}")
    };
    assert_eq!(messages.read().unwrap().len(), 1);
    assert_eq!(broker.bounds(&queues[1]).await.unwrap(), (0, 0));
}

pub(crate) async fn acknowledged_means_readable_soon(cluster: &mut Cluster) {
    let broker = cluster.client();
    let queue = one_queue(&broker).await;
    let mut end = 0;
    for _ in 0..40 {
        let first = broker
            .send(&queue, &numbered(end as usize, 500))
            .await
            .unwrap();
        assert_eq!(first, end);
        end += 500;
        // At once at the end, where a Java broker may still deny it.
        let pulled = broker
            .pull("readers", &queue, end, 32, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(pulled, Pulled::Nothing { next: end });
        assert_eq!(broker.bounds(&queue).await.unwrap().1, end);
        // And the last message itself, without going back.
        let got = read(&broker, &queue, end - 1, 1).await;
        assert_eq!(number(&got[0]) as u64, end - 1);
    }
    let got = read(&broker, &queue, 0, end as usize).await;
    assert!(
        got.iter()
            .enumerate()
            .all(|(at, message)| number(message) == at)
    );
}

pub(crate) async fn what_cannot_be_sent_is_named(cluster: &mut Cluster) {
    let broker = cluster.client();
    let queue = one_queue(&broker).await;
    let mut reserved = Outgoing::new("x");
    reserved.properties = vec![("UNIQ_KEY".to_owned(), "v".to_owned())];
    let mut separator = Outgoing::new("x");
    separator.properties = vec![("p".to_owned(), "a\u{1}b".to_owned())];
    let mut wide = Outgoing::new("x");
    wide.properties = vec![("p".to_owned(), "v".repeat(MAX_PROPERTIES_BYTES))];
    for bad in [
        Outgoing::new(""),
        reserved,
        separator,
        wide,
        Outgoing::new(vec![0; 5 << 20]),
    ] {
        let messages = vec![Outgoing::new("good"), bad];
        let error = broker.send(&queue, &messages).await.unwrap_err();
        assert!(error.permanent() && !error.retriable(), "{error}");
        assert!(
            matches!(error, BrokerError::Message { index: 1, .. }),
            "{error}"
        );
    }
    let error = broker.send(&queue, &[Outgoing::new("")]).await.unwrap_err();
    assert!(matches!(
        error,
        BrokerError::Message {
            fault: MessageFault::EmptyBody,
            ..
        }
    ));
    let error = broker.send(&queue, &numbered(0, 501)).await.unwrap_err();
    assert!(!error.permanent() && !error.retriable(), "{error}");
    // Nothing of all that was stored.
    assert_eq!(broker.bounds(&queue).await.unwrap(), (0, 0));
}
