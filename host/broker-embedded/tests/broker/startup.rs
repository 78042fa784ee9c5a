//! The embedded services themselves: ports, directories, restarts.

use crate::cluster::{free_ports, number, numbered, one_queue, read};
use connect_broker::{Broker, RocketMq, RocketMqSettings};
use connect_broker_embedded::{EmbeddedBroker, EmbeddedError, EmbeddedSettings};
use libtest_mimic::Trial;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

pub(crate) fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    vec![
        trial(runtime, "taken_ports_are_named", taken_ports_are_named),
        trial(
            runtime,
            "unusable_directory_is_named",
            unusable_directory_is_named,
        ),
        trial(
            runtime,
            "goes_on_with_its_directory",
            goes_on_with_its_directory,
        ),
    ]
}

fn trial<F>(runtime: &Arc<Runtime>, name: &str, test: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let runtime = Arc::clone(runtime);
    Trial::test(format!("startup::{name}"), move || {
        runtime.block_on(test());
        Ok(())
    })
}

fn settings(directory: &Path) -> EmbeddedSettings {
    let mut settings = EmbeddedSettings::new(directory);
    (settings.namesrv_port, settings.broker_port) = free_ports();
    settings
}

async fn taken_ports_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let free = settings(directory.path());
    for taken in [
        free.namesrv_port,
        free.broker_port,
        free.broker_port - 2,
        free.broker_port + 1,
    ] {
        let listener = std::net::TcpListener::bind(("127.0.0.1", taken)).unwrap();
        let error = EmbeddedBroker::start(free.clone()).await.unwrap_err();
        drop(listener);
        assert!(
            matches!(error, EmbeddedError::PortInUse { port, .. } if port == taken),
            "{error}"
        );
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
    let mut low = free.clone();
    low.broker_port = 2;
    let error = EmbeddedBroker::start(low).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Port { port: 2 }), "{error}");
    // Nothing of the failed starts is in the way.
    EmbeddedBroker::start(free).await.unwrap().shutdown().await;
}

async fn unusable_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = EmbeddedBroker::start(settings(&file)).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Directory { .. }), "{error}");
    assert!(
        error.to_string().contains(&*file.to_string_lossy()),
        "{error}"
    );
}

async fn goes_on_with_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory.path().join("made/by it"));
    let mut queue = None;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for round in 0..3 {
        let started = Instant::now();
        let embedded = EmbeddedBroker::start(settings.clone()).await.unwrap();
        println!("start {round} took {:?}", started.elapsed());
        let broker = RocketMq::connect(RocketMqSettings::new(embedded.namesrv_address(), "test"));
        let broker = broker.unwrap();
        let queue = match &mut queue {
            Some(queue) => &*queue,
            slot => slot.insert(one_queue(&broker).await),
        };
        let first = broker.send(queue, &numbered(round, 1)).await.unwrap();
        assert_eq!(first, round as u64, "messages of earlier rounds are there");
        let got = read(&broker, queue, 0, round + 1).await;
        assert!(
            got.iter()
                .enumerate()
                .all(|(at, message)| number(message) == at)
        );
        broker.close().await;
        let stopping = Instant::now();
        embedded.shutdown().await;
        println!(
            "stop {round} took {:?}, {} tasks left of {before}",
            stopping.elapsed(),
            tasks()
        );
        assert!(stopping.elapsed() < Duration::from_secs(10));
    }
    // All it wrote is in its own directory.
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}
