//! HTTP messages that are never sent, made without any grant: what a guest keeps of them lies on the
//! worker's side, where the limit of linear memory does not count it.

use std::sync::Arc;

use connect_sandbox::{CallError, EgressLimits, Limit, Limits, SourceInstance};

use crate::fixtures::{Stored, plugin, poll, scope, settings, short, values};

const CONNECTIONS: u32 = 4;
/// Four for each connection, and 16.
const MOST: usize = 32;

async fn hoarder(what: &str, step: usize, keep: &str) -> SourceInstance {
    let plugin = plugin("http-hoarder").await;
    let limits = Limits {
        egress: EgressLimits {
            connections: CONNECTIONS,
            ..EgressLimits::default()
        },
        ..short()
    };
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope(limits), context).await.unwrap();
    let step = step.to_string();
    let given = [("what", what), ("step", &step), ("keep", keep)];
    source.open(&settings(&plugin, &given)).await.unwrap();
    source
}

/// How many were made, how many are kept, and the bytes that were taken of the guest so far.
async fn made(source: &mut SourceInstance) -> Result<[usize; 3], CallError> {
    let said = values(&poll(source).await?).concat();
    let figures: Vec<usize> = said.split(' ').map(|word| word.parse().unwrap()).collect();
    Ok(figures.try_into().unwrap())
}

/// Bodies are buffered in two pieces of 64 KiB, headers have 15 of the 16 KiB they may have.
#[tokio::test]
async fn what_a_guest_keeps_has_a_size_and_a_number() {
    for (what, bytes) in [
        ("bodies", 128 << 10),
        ("fields", 16 << 10),
        ("headers", 16 << 10),
    ] {
        // One at a time is being made, beside those that are kept.
        let mut source = hoarder(what, MOST - 1, "true").await;
        let [count, kept, taken] = made(&mut source).await.unwrap();
        assert_eq!((count, kept), (MOST - 1, MOST - 1), "{what}");
        let (least, most) = (kept * bytes / 2, kept * bytes);
        assert!((least..=most).contains(&taken), "{what}: {taken}");

        let error = made(&mut source).await.unwrap_err();
        assert!(
            matches!(error, CallError::Limit { call: "poll", .. }),
            "{error:?}"
        );
        let breach = error.breach().unwrap();
        assert_eq!((breach.limit, breach.value), (Limit::Connections, 4));
        assert!(error.poisoned());
    }
}

#[tokio::test]
async fn headers_end_at_their_limit() {
    let error = made(&mut hoarder("overfull", 1, "true").await).await;
    let error = error.unwrap_err();
    let words = "total size of fields exceeds limit";
    assert!(
        matches!(&error, CallError::Trap { trap, .. } if trap.contains(words)),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_a_guest_lets_go_makes_room() {
    for what in ["bodies", "fields", "headers"] {
        let mut source = hoarder(what, 3 * MOST, "false").await;
        for _ in 0..2 {
            let [count, kept, _] = made(&mut source).await.unwrap();
            assert_eq!((count, kept), (3 * MOST, 0), "{what}");
        }
    }
}

#[tokio::test]
async fn the_texts_of_a_request_have_a_length() {
    for what in ["method", "authority", "path"] {
        for (bytes, taken) in [(8 << 10, "true"), ((8 << 10) + 1, "false")] {
            let mut source = hoarder(what, bytes, "true").await;
            let said = values(&poll(&mut source).await.unwrap());
            assert_eq!(said, [taken], "{what} of {bytes}");
        }
    }
}
