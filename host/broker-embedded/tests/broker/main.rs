//! What the worker relies on, shown on real brokers: the embedded Rust one always, and a Java
//! RocketMQ where java and its jars (or mvn to fetch them) are found; else each of its tests prints
//! `skipped: needs java` and is counted as ignored.
//!
//! All tests of one broker share it and run one after the other, since some stop it. Arguments are
//! those of any Rust test binary: `cargo test -p connect-broker-embedded --test broker -- java::`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends with a panic that says what was expected"
)]

mod cluster;
#[path = "../../../../xtask/src/java_broker.rs"]
#[allow(dead_code, reason = "the command line of xtask is not used here")]
mod java_broker;
mod messages;
mod offsets;
mod outages;
mod polls;
mod startup;
mod topics;

use cluster::Cluster;
use libtest_mimic::{Arguments, Trial};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

type Case = for<'a> fn(&'a mut Cluster) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Names an async function of each module as a case.
macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$((
            concat!(stringify!($module), "::", stringify!($name)),
            (|cluster| Box::pin($module::$name(cluster))) as Case,
        )),*]
    };
}

fn cases() -> Vec<(&'static str, Case)> {
    cases![
        topics::unknown_until_made,
        topics::made_once_and_grown,
        topics::names_are_checked,
        topics::a_send_makes_no_topic,
        messages::come_back_as_they_were,
        messages::largest_message_and_properties,
        messages::keep_their_order,
        messages::acknowledged_means_readable_soon,
        messages::what_cannot_be_sent_is_named,
        offsets::bounds_and_times,
        offsets::commits_go_forward_and_backward,
        offsets::commits_need_a_group_and_a_queue,
        polls::wake_at_once,
        polls::can_be_dropped,
        polls::do_not_disturb_sends,
        polls::are_abandoned_by_close,
        outages::broker_restarts_under_load,
        outages::cluster_is_absent_at_the_start,
        outages::name_server_restarts_unnoticed,
        outages::waiting_costs_nothing,
    ]
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "off,connect_broker=warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let runtime = Arc::new(runtime);
    let no_java = java_broker::missing();
    let clusters = [("embedded", None), ("java", no_java)]
        .map(|(name, missing)| (name, missing, Arc::new(Mutex::new(None::<Cluster>))));
    let mut trials = startup::trials(&runtime);
    for (kind, missing, cluster) in &clusters {
        let kind = *kind;
        for (name, case) in cases() {
            if missing.is_some() {
                println!("skipped: needs java: {name}");
            }
            let (runtime, cluster) = (Arc::clone(&runtime), Arc::clone(cluster));
            let all: Vec<_> = clusters
                .iter()
                .map(|(_, _, cluster)| Arc::clone(cluster))
                .collect();
            let trial = Trial::test(format!("{kind}::{name}"), move || {
                end_others(&runtime, &all, &cluster);
                run(&runtime, kind, &cluster, case);
                Ok(())
            });
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for (_, _, cluster) in clusters {
        let cluster = runtime.block_on(cluster.lock()).take();
        if let Some(cluster) = cluster {
            runtime.block_on(cluster.end());
        }
    }
    conclusion.exit();
}

/// Ends the cluster of the tests before: what runs in this process would be measured along.
fn end_others(
    runtime: &Runtime,
    all: &[Arc<Mutex<Option<Cluster>>>],
    mine: &Arc<Mutex<Option<Cluster>>>,
) {
    for other in all.iter().filter(|other| !Arc::ptr_eq(other, mine)) {
        let other = runtime.block_on(other.lock()).take();
        if let Some(other) = other {
            runtime.block_on(other.end());
        }
    }
}

/// Runs a case on the cluster, which is started by the first one; a case that fails leaves it to
/// the next one, which makes sure that everything runs.
fn run(runtime: &Arc<Runtime>, kind: &str, cluster: &Mutex<Option<Cluster>>, case: Case) {
    runtime.block_on(async {
        let mut slot = cluster.lock().await;
        let cluster = match slot.take() {
            Some(cluster) => cluster,
            None if kind == "java" => Cluster::java(),
            None => Cluster::embedded(),
        };
        let cluster = slot.insert(cluster);
        cluster.start_and_settle().await;
        case(cluster).await;
    });
}
