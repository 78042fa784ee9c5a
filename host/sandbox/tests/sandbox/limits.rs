//! What an instance may use at most: each limit is a stop, and its error says which one it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connect_sandbox::{CallError, Limit, Limits, SourceInstance};
use tracing::span;

use crate::fixtures::{Stored, plugin, poll, scope, settings, short, source, values};

#[tokio::test]
async fn more_bytes_than_the_limit_never_reach_the_host() {
    let mut source = source("too-much-source", &[("what", "arena")]).await;
    let error = poll(&mut source).await.unwrap_err();
    assert!(
        matches!(error, CallError::Limit { call: "poll", .. }),
        "{error:?}"
    );
    let breach = error.breach().unwrap();
    // None was set, and twice the largest batch is the default.
    assert_eq!(
        (breach.limit, breach.value),
        (Limit::HostcallBytes, 16 << 20)
    );
}

#[tokio::test]
async fn memory_beyond_the_limit_is_named_as_that_slowly_or_at_once() {
    for step in ["4194304", "500000000"] {
        let limits = Limits {
            memory_bytes: 32 << 20,
            ..short()
        };
        let plugin = plugin("memory-bomb").await;
        let mut source = plugin
            .source(scope(limits), Arc::new(Stored::default()))
            .await
            .unwrap();
        source
            .open(&settings(&plugin, &[("step", step)]))
            .await
            .unwrap();
        let mut polled = poll(&mut source).await;
        for _ in 0..20 {
            if polled.is_err() {
                break;
            }
            polled = poll(&mut source).await;
        }
        let error = polled.unwrap_err();
        assert!(matches!(error, CallError::Memory { .. }), "{error:?}");
        let breach = error.breach().unwrap();
        assert!(breach.value == 32 << 20 && breach.asked > Some(breach.value));
        let words = "the limit `memory-bytes` is 33554432 (32 MiB), ";
        assert!(error.to_string().contains(words), "{error}");
        let place = "[limits.plugin.\"memory-bomb\"] or [limits.connector.\"test\"]";
        assert!(error.to_string().ends_with(place), "{error}");
        assert!(source.memory_bytes() <= 32 << 20);
    }
}

#[tokio::test]
async fn a_limit_below_what_the_plugin_needs_to_start_is_named_too() {
    let plugin = plugin("seq-source").await;
    let limits = Limits {
        memory_bytes: 64 << 10,
        ..short()
    };
    let error = plugin
        .source(scope(limits), Arc::new(Stored::default()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Memory {
                call: "instantiate",
                ..
            }
        ),
        "{error:?}"
    );
}

/// An open source that takes `step` more of something with each poll.
async fn greedy(what: &str, step: &str, limits: Limits) -> SourceInstance {
    let plugin = plugin("greedy-source").await;
    let mut source = plugin
        .source(scope(limits), Arc::new(Stored::default()))
        .await
        .unwrap();
    let given = settings(&plugin, &[("what", what), ("step", step)]);
    source.open(&given).await.unwrap();
    source
}

#[tokio::test]
async fn handles_end_at_the_limit_and_are_given_back_with_the_instance() {
    let limits = Limits {
        // Two for each: the timer and the waiting for it.
        handles: 100,
        ..short()
    };
    for _ in 0..2 {
        let mut source = greedy("handles", "20", limits.clone()).await;
        for held in ["20", "40"] {
            assert_eq!(values(&poll(&mut source).await.unwrap()), [held]);
        }
        let error = poll(&mut source).await.unwrap_err();
        assert!(
            matches!(error, CallError::Limit { call: "poll", .. }),
            "{error:?}"
        );
        let breach = error.breach().unwrap();
        assert_eq!((breach.limit, breach.value), (Limit::Handles, 100));
        assert!(error.poisoned());
    }
}

#[tokio::test]
async fn random_bytes_have_a_limit_per_request() {
    let limits = Limits {
        random_bytes: 1_000,
        ..short()
    };
    let mut source = greedy("random", "1000", limits.clone()).await;
    for _ in 0..3 {
        assert_eq!(values(&poll(&mut source).await.unwrap()), ["1000"]);
    }
    let mut source = greedy("random", "1001", limits).await;
    let error = poll(&mut source).await.unwrap_err();
    assert!(
        matches!(error, CallError::Limit { call: "poll", .. }),
        "{error:?}"
    );
    let words = "the limit `random-bytes` is 1000, 1001 was asked for";
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.poisoned());
}

/// Counts what goes to the log of plugins.
struct Counting(Arc<AtomicUsize>);

impl tracing::Subscriber for Counting {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "plugin"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_flood_of_lines_is_held_back_and_the_call_succeeds() {
    let plugin = plugin("log-flood").await;
    let limits = Limits {
        log_lines_per_second: 100,
        ..Limits::default()
    };
    let lines = Arc::new(AtomicUsize::new(0));
    let guard = tracing::subscriber::set_default(Counting(Arc::clone(&lines)));
    let started = std::time::Instant::now();
    let mut source = plugin
        .source(scope(limits), Arc::new(Stored::default()))
        .await
        .unwrap();
    source
        .open(&settings(&plugin, &[("lines", "10000"), ("bytes", "100")]))
        .await
        .unwrap();
    assert_eq!(values(&poll(&mut source).await.unwrap()), ["logged"]);
    drop(source);
    drop(guard);
    let seconds = started.elapsed().as_secs() as usize + 1;
    let lines = lines.load(Ordering::SeqCst);
    // A second's worth at once, then the rate, and at most one report a second on the rest.
    assert!(
        (100..=100 + seconds * 101 + 1).contains(&lines),
        "{lines} lines in {seconds} s"
    );
}
