//! What an instance may use at most: each limit is a stop, and its error says which one it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connect_sandbox::{CallError, Grant, Grants, Limit, Limits, SourceInstance, TaskScope};
use tracing::span;

use crate::fixtures::{Stored, listen, plugin, poll, scope, settings, short, source, values};

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

/// It is for the worker to act on: the instance itself goes on.
#[tokio::test]
async fn an_instance_shows_that_it_is_above_its_high_water_mark() {
    let limits = Limits {
        memory_bytes: 64 << 20,
        memory_high_water: 50,
        ..short()
    };
    let plugin = plugin("memory-bomb").await;
    let mut source = plugin
        .source(scope(limits), Arc::new(Stored::default()))
        .await
        .unwrap();
    let given = settings(&plugin, &[("step", "4194304")]);
    source.open(&given).await.unwrap();
    let mut polls = 0;
    while !source.above_high_water() {
        assert!(source.memory_bytes() <= 32 << 20);
        poll(&mut source).await.unwrap();
        polls += 1;
    }
    assert!(source.memory_bytes() > 32 << 20 && polls > 3, "{polls}");
    let polled = poll(&mut source).await.unwrap();
    assert_eq!(values(&polled), [(polls + 1).to_string()]);
    source.close().await.unwrap();
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

/// A directory that is read is open as well.
#[tokio::test]
async fn only_so_many_files_are_open_at_a_time() {
    for what in ["files", "listings"] {
        held_open(what).await;
    }
}

async fn held_open(what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let file = folder.join("file.txt");
    std::fs::write(&file, "content").unwrap();
    let plugin = plugin("greedy-source").await;
    let given = [
        ("what", what),
        ("step", "20"),
        ("directory", folder.to_str().unwrap()),
        ("path", file.to_str().unwrap()),
    ];
    let given = settings(&plugin, &given);
    let grant = Grant {
        plugin: "greedy-source".into(),
        read_directory: vec![folder.clone()],
        ..Grant::default()
    };
    let needs = plugin.needs(&given).await.unwrap();
    let limits = Limits {
        open_files: 32,
        ..short()
    };
    let scope = TaskScope {
        access: Grants::from(vec![grant])
            .allow("greedy-source", &needs)
            .unwrap(),
        ..scope(limits)
    };
    let meter = scope.meter.clone();
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope, context).await.unwrap();
    source.open(&given).await.unwrap();
    // Half of them are closed before the next are opened.
    for held in [20, 30] {
        let polled = poll(&mut source).await.unwrap();
        assert_eq!(values(&polled), [held.to_string()]);
        assert_eq!(meter.read().open_files, held);
    }
    let error = poll(&mut source).await.unwrap_err();
    let words = "the limit `open-files` is 32, 33 was asked for";
    assert!(error.to_string().contains(words), "{error}");
    assert!(matches!(error, CallError::Limit { .. }), "{error:?}");
    assert_eq!(meter.read().breaches, [(Limit::OpenFiles, 1)]);
    drop(source);
    assert_eq!(meter.read().open_files, 0);
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
    let scope = scope(limits);
    let meter = scope.meter.clone();
    let lines = Arc::new(AtomicUsize::new(0));
    let guard = listen(Counting(Arc::clone(&lines)));
    let started = std::time::Instant::now();
    let mut source = plugin
        .source(scope, Arc::new(Stored::default()))
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
    let usage = meter.read();
    assert_eq!(usage.log_lines + usage.log_lines_dropped, 30_000);
    assert_eq!(usage.log_bytes + usage.log_bytes_dropped, 3_000_000);
    assert!(
        usage.log_lines <= lines as u64 && usage.log_lines >= 100,
        "{usage:?}"
    );
    assert!(
        matches!(usage.breaches[..], [(Limit::LogLines, 1..)]),
        "{usage:?}"
    );
}

#[tokio::test]
async fn bytes_of_the_log_have_a_limit_of_their_own() {
    let plugin = plugin("log-flood").await;
    let limits = Limits {
        log_bytes_per_second: 10_000,
        ..Limits::default()
    };
    let scope = scope(limits);
    let meter = scope.meter.clone();
    let lines = Arc::new(AtomicUsize::new(0));
    let _guard = listen(Counting(Arc::clone(&lines)));
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope, context).await.unwrap();
    let given = settings(&plugin, &[("lines", "100"), ("bytes", "1000")]);
    source.open(&given).await.unwrap();
    poll(&mut source).await.unwrap();
    let usage = meter.read();
    assert_eq!(usage.log_bytes + usage.log_bytes_dropped, 300_000);
    assert!((10_000..150_000).contains(&usage.log_bytes), "{usage:?}");
    assert!(
        matches!(usage.breaches[..], [(Limit::LogBytes, 1..)]),
        "{usage:?}"
    );
}
