//! What a task has used is counted over all its instances, also by those that ended badly.

use std::sync::Arc;
use std::time::Duration;

use connect_sandbox::{Access, Limit, Limits, Meter, TaskScope};

use crate::fixtures::{Stored, plugin, poll, scope, settings, short};

/// A scope whose figures can be read from outside.
fn metered(limits: Limits) -> (TaskScope, Meter) {
    let scope = scope(limits);
    let meter = scope.meter.clone();
    (scope, meter)
}

#[tokio::test]
async fn figures_outlive_the_instances_and_memory_goes_with_them() {
    let plugin = plugin("seq-source").await;
    let (scope, meter) = metered(short());
    let mut both = Vec::new();
    for _ in 0..2 {
        let context = Arc::new(Stored::default());
        let mut source = plugin.source(scope.clone(), context).await.unwrap();
        source.open(&settings(&plugin, &[])).await.unwrap();
        poll(&mut source).await.unwrap();
        both.push(source);
    }
    let held: u64 = both.iter().map(|source| source.memory_bytes()).sum();
    let usage = meter.read();
    // Making it is a call as well.
    assert_eq!((usage.instances, usage.calls), (2, 6));
    assert!(usage.memory_bytes == held && held > 0);
    assert!(usage.memory_peak_bytes < held && usage.cpu > Duration::ZERO);
    assert_eq!(usage.breaches, []);
    drop(both);
    let after = meter.read();
    assert_eq!(after.memory_bytes, 0);
    assert_eq!(
        (after.memory_peak_bytes, after.cpu),
        (usage.memory_peak_bytes, usage.cpu)
    );
}

#[tokio::test]
async fn processor_time_is_counted_and_so_is_what_stopped_it() {
    let plugin = plugin("spin").await;
    let (scope, meter) = metered(short());
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope, context).await.unwrap();
    source.open(&settings(&plugin, &[])).await.unwrap();
    poll(&mut source).await.unwrap_err();
    let usage = meter.read();
    assert!(usage.cpu >= short().call_cpu / 2, "{usage:?}");
    assert_eq!(usage.breaches, [(Limit::CallCpu, 1)]);
    // A call into an instance that is gone is none.
    let calls = usage.calls;
    poll(&mut source).await.unwrap_err();
    assert_eq!(meter.read().calls, calls);
}

/// They have no task, so the plugin itself keeps their figures.
#[tokio::test]
async fn questions_about_settings_are_counted_too() {
    let plugin = plugin("seq-source").await;
    let given = settings(&plugin, &[]);
    let before = plugin.asked().read();
    plugin.needs(&given).await.unwrap();
    plugin
        .clone()
        .validate(&given, &Access::default())
        .await
        .unwrap();
    let usage = plugin.asked().read();
    assert_eq!(usage.instances, before.instances + 2);
    assert_eq!(usage.calls, before.calls + 4);
    assert!(usage.cpu > before.cpu && usage.memory_bytes == 0 && usage.memory_peak_bytes > 0);
}

#[tokio::test]
async fn a_call_that_wants_too_much_memory_is_one_breach() {
    let plugin = plugin("memory-bomb").await;
    let limits = Limits {
        memory_bytes: 32 << 20,
        ..short()
    };
    let (scope, meter) = metered(limits);
    let context = Arc::new(Stored::default());
    let mut source = plugin.source(scope, context).await.unwrap();
    let given = settings(&plugin, &[("step", "500000000")]);
    source.open(&given).await.unwrap();
    poll(&mut source).await.unwrap_err();
    assert_eq!(meter.read().breaches, [(Limit::Memory, 1)]);
    assert_eq!(meter.read().memory_bytes, source.memory_bytes());
}
