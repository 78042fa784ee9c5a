//! What the adaptor makes of answers and failures that real brokers give too rarely to be waited
//! for. Everything else is tested on real brokers, in the tests of `connect-broker-embedded`.

mod failures;
mod server;

use super::{RocketMq, RocketMqSettings};
use crate::{Broker, BrokerError, Outgoing, Pulled};
use connect_record::Queue;
use server::{PULL, Reply, SEND, Server, answer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn client(server: &Server) -> RocketMq {
    let mut settings = RocketMqSettings::new(server.address.to_string(), "test");
    settings.request_timeout = Duration::from_millis(500);
    RocketMq::connect(settings).unwrap()
}

fn queue() -> Queue {
    Queue::new("t", "b", 0)
}

/// A stored message as a pull's answer holds it.
fn stored(offset: i64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(u32::try_from(91 + body.len() + 1).unwrap().to_be_bytes());
    out.extend((-626_843_481_i32).to_be_bytes());
    out.extend([0; 12]); // checksum, queue, flag
    out.extend(offset.to_be_bytes());
    out.extend([0; 8 + 4 + 8]); // place in the log, flags, born
    out.extend([127, 0, 0, 1, 0, 0, 0, 1]);
    out.extend([0; 8]); // stored
    out.extend([127, 0, 0, 1, 0, 0, 0, 1]);
    out.extend([0; 4 + 8]); // repeats, transaction
    out.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    out.extend(body);
    out.extend([1, b't', 0, 0]); // topic, no properties
    out
}

fn moved(min: u64, max: u64, next: u64) -> Reply {
    answer(
        21,
        &[
            ("minOffset", min),
            ("maxOffset", max),
            ("nextBeginOffset", next),
        ],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_offset_is_waited_for_and_a_smaller_one_never_followed() {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let server = Server::start(move |request| match request.code {
        SEND => answer(0, &[("queueOffset", 5)]),
        PULL => {
            assert_eq!(
                request.fields["queueOffset"], "5",
                "went on from what was proposed"
            );
            match counter.fetch_add(1, Ordering::SeqCst) {
                0..=3 => moved(0, 4, 4),
                _ => Reply::Answer {
                    code: 0,
                    fields: vec![],
                    body: stored(5, b"five"),
                },
            }
        }
        other => panic!("request {other}"),
    })
    .await;
    let broker = client(&server);
    assert_eq!(
        broker
            .send(&queue(), &[Outgoing::new("five")])
            .await
            .unwrap(),
        5
    );
    let pulled = broker
        .pull("g", &queue(), 5, 32, Duration::from_secs(5))
        .await
        .unwrap();
    let Pulled::Messages { messages, next: 6 } = pulled else {
        panic!("{pulled:?}")
    };
    assert_eq!(&messages.read().unwrap()[0].body[..], b"five");
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_index_lags_there_is_nothing_yet() {
    let server = Server::start(|request| match request.code {
        SEND => answer(0, &[("queueOffset", 5)]),
        _ => moved(0, 4, 4),
    })
    .await;
    let broker = client(&server);
    broker
        .send(&queue(), &[Outgoing::new("five")])
        .await
        .unwrap();
    let started = Instant::now();
    for offset in [5, 6] {
        let pulled = broker
            .pull("g", &queue(), offset, 32, Duration::from_millis(100))
            .await;
        assert_eq!(pulled.unwrap(), Pulled::Nothing { next: offset });
    }
    assert!(
        started.elapsed() >= Duration::from_millis(150),
        "did not wait"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
    // Beyond what was acknowledged, the broker is right.
    let pulled = broker
        .pull("g", &queue(), 7, 32, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(pulled, Pulled::Above { max: 4 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_and_not_jumped() {
    let server = Server::start(|_| moved(100, 200, 100)).await;
    let broker = client(&server);
    let pulled = broker
        .pull("g", &queue(), 7, 32, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(pulled, Pulled::Below { min: 100 });
    // Nothing proposed ahead of delivered messages is followed either.
    let server = Server::start(|_| answer(19, &[("nextBeginOffset", 900)])).await;
    let broker = client(&server);
    let pulled = broker
        .pull("g", &queue(), 7, 32, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(pulled, Pulled::Nothing { next: 7 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_an_error_and_not_skipped() {
    let mut body = stored(7, b"good");
    body.extend_from_slice(&stored(8, b"cut short")[..60]);
    let server = Server::start(move |_| Reply::Answer {
        code: 0,
        fields: vec![("nextBeginOffset", "9".to_owned())],
        body: body.clone(),
    })
    .await;
    let error = client(&server)
        .pull("g", &queue(), 7, 32, Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BrokerError::Answer { what, .. } if what.contains("t/b/0")),
        "{error}"
    );
    assert!(!error.retriable());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_plain_success_counts_as_sent() {
    let code = Arc::new(AtomicU64::new(0));
    let script = Arc::clone(&code);
    let server = Server::start(move |_| {
        let code = i32::try_from(script.load(Ordering::SeqCst)).unwrap();
        answer(code, &[("queueOffset", 5)])
    })
    .await;
    let broker = client(&server);
    for number in [1, 2, 10, 11, 12, 13, 14, 16, 17] {
        code.store(number, Ordering::SeqCst);
        let error = broker
            .send(&queue(), &[Outgoing::new("x")])
            .await
            .unwrap_err();
        assert_eq!(error.permanent(), number == 13, "{number}: {error}");
        assert_eq!(
            error.retriable(),
            !matches!(number, 13 | 16 | 17),
            "{number}: {error}"
        );
    }
    code.store(11, Ordering::SeqCst);
    let error = broker
        .send(&queue(), &[Outgoing::new("x")])
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        BrokerError::NotConfirmed {
            status: "SLAVE_NOT_AVAILABLE",
            ..
        }
    ));
    code.store(0, Ordering::SeqCst);
    assert_eq!(
        broker.send(&queue(), &[Outgoing::new("x")]).await.unwrap(),
        5
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_not_brought_back_by_a_send() {
    let server = Server::start(|request| {
        // The template for a missing topic must not be one the broker could use.
        assert_eq!(request.fields["c"], "t");
        answer(17, &[])
    })
    .await;
    let error = client(&server)
        .send(&queue(), &[Outgoing::new("x")])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "send: there is no topic \"t\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_when_there_are_keys() {
    let server = Server::start(|request| {
        assert_eq!(request.fields["AccessKey"], "who");
        assert!(request.fields["Signature"].len() > 20);
        assert!(!format!("{:?}", request.fields).contains("hush"));
        answer(0, &[("queueOffset", 5)])
    })
    .await;
    let mut settings = RocketMqSettings::new(server.address.to_string(), "test");
    settings.access_key = Some("who".into());
    settings.secret_key = Some("hush".into());
    let broker = RocketMq::connect(settings).unwrap();
    assert_eq!(
        broker.send(&queue(), &[Outgoing::new("x")]).await.unwrap(),
        5
    );
}
