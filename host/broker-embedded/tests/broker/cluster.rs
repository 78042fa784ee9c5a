//! A name server and a broker that can be stopped and started one by one, and what tests do with
//! their client all the time.

use crate::java_broker::{JavaBroker, Service};
use connect_broker::{Broker, BrokerError, Incoming, Outgoing, Pulled, RocketMq, RocketMqSettings};
use connect_broker_embedded::{BrokerNode, EmbeddedSettings, NameServer};
use connect_record::Queue;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Cluster {
    // Ends last: the services write into it.
    services: Services,
    directory: TempDir,
    namesrv_port: u16,
    broker_port: u16,
}

enum Services {
    Embedded {
        name_server: Option<NameServer>,
        broker: Option<BrokerNode>,
    },
    Java {
        broker: JavaBroker,
        name_server_runs: bool,
        broker_runs: bool,
    },
}

/// A port for a name server, and a port p for a broker such that p − 2 and p + 1 are free too.
///
/// None of them is one that the system gives to outgoing connections: while a service is stopped,
/// any connection on this machine could take its place.
pub(crate) fn free_ports() -> (u16, u16) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let step = NEXT.fetch_add(1, Ordering::SeqCst) + std::process::id().wrapping_mul(31);
        let port = 12_000 + u16::try_from(step % 4_000).unwrap() * 5;
        if (port..port + 5).all(free) {
            return (port, port + 3);
        }
    }
}

/// A name nobody else has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{name}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::SeqCst)
    )
}

impl Cluster {
    pub(crate) fn embedded() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (namesrv_port, broker_port) = free_ports();
        let services = Services::Embedded {
            name_server: None,
            broker: None,
        };
        Self {
            services,
            directory,
            namesrv_port,
            broker_port,
        }
    }

    pub(crate) fn java() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (namesrv_port, broker_port) = free_ports();
        let broker = JavaBroker::new(directory.path(), namesrv_port, broker_port).unwrap();
        let services = Services::Java {
            broker,
            name_server_runs: false,
            broker_runs: false,
        };
        Self {
            services,
            directory,
            namesrv_port,
            broker_port,
        }
    }

    pub(crate) fn is_java(&self) -> bool {
        matches!(self.services, Services::Java { .. })
    }

    pub(crate) fn settings(&self) -> EmbeddedSettings {
        let mut settings = EmbeddedSettings::new(self.directory.path());
        settings.namesrv_port = self.namesrv_port;
        settings.broker_port = self.broker_port;
        settings
    }

    pub(crate) fn namesrv(&self) -> String {
        format!("127.0.0.1:{}", self.namesrv_port)
    }

    pub(crate) fn client(&self) -> RocketMq {
        RocketMq::connect(RocketMqSettings::new(self.namesrv(), "test")).unwrap()
    }

    /// A client that gives an answer up soon. The embedded broker may take a connection while it
    /// stops and then neither answer nor close it, since the process goes on; one that runs as a
    /// process of its own cannot.
    pub(crate) fn impatient_client(&self) -> RocketMq {
        let mut settings = RocketMqSettings::new(self.namesrv(), "test");
        settings.request_timeout = Duration::from_secs(2);
        RocketMq::connect(settings).unwrap()
    }

    pub(crate) async fn start_all(&mut self) {
        self.start_name_server().await;
        self.start_broker().await;
    }

    /// Everything runs, and the broker is known to the name server, which forgets it in a restart.
    pub(crate) async fn start_and_settle(&mut self) {
        self.start_all().await;
        let client = self.client();
        persist(Duration::from_secs(60), || client.check()).await;
        client.close().await;
    }

    pub(crate) async fn start_name_server(&mut self) {
        let settings = self.settings();
        match &mut self.services {
            Services::Embedded {
                name_server: slot @ None,
                ..
            } => {
                *slot = Some(NameServer::start(settings).await.unwrap());
            }
            Services::Java {
                broker,
                name_server_runs: runs @ false,
                ..
            } => {
                blocking(broker.clone(), |java| java.start(Service::NameServer)).await;
                *runs = true;
            }
            _ => {}
        }
    }

    /// Returns when the broker takes messages; a Java one is known at the name server then.
    pub(crate) async fn start_broker(&mut self) {
        let (settings, namesrv) = (self.settings(), self.namesrv());
        match &mut self.services {
            Services::Embedded {
                broker: slot @ None,
                ..
            } => {
                *slot = Some(BrokerNode::start(settings, namesrv).await.unwrap());
            }
            Services::Java {
                broker,
                broker_runs: runs @ false,
                ..
            } => {
                blocking(broker.clone(), |java| java.start(Service::Broker)).await;
                *runs = true;
            }
            _ => {}
        }
    }

    /// Kills a Java broker; stops the embedded one, which cannot be killed alone.
    pub(crate) async fn stop_broker(&mut self) {
        match &mut self.services {
            Services::Embedded { broker, .. } => {
                if let Some(broker) = broker.take() {
                    broker.shutdown().await;
                }
            }
            Services::Java {
                broker,
                broker_runs,
                ..
            } => {
                blocking(broker.clone(), |java| java.kill(Service::Broker)).await;
                *broker_runs = false;
            }
        }
    }

    pub(crate) async fn stop_name_server(&mut self) {
        match &mut self.services {
            Services::Embedded { name_server, .. } => {
                if let Some(name_server) = name_server.take() {
                    name_server.shutdown().await;
                }
            }
            Services::Java {
                broker,
                name_server_runs,
                ..
            } => {
                blocking(broker.clone(), |java| java.kill(Service::NameServer)).await;
                *name_server_runs = false;
            }
        }
    }

    pub(crate) async fn end(mut self) {
        self.stop_broker().await;
        self.stop_name_server().await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Only when a test run ends in the middle: no JVM may be left behind.
        if let Services::Java { broker, .. } = &self.services {
            drop(broker.kill(Service::Broker));
            drop(broker.kill(Service::NameServer));
        }
    }
}

async fn blocking(
    java: JavaBroker,
    what: impl FnOnce(&JavaBroker) -> anyhow::Result<()> + Send + 'static,
) {
    tokio::task::spawn_blocking(move || what(&java))
        .await
        .unwrap()
        .unwrap();
}

/// A new topic with one queue.
pub(crate) async fn one_queue(broker: &RocketMq) -> Queue {
    broker
        .ensure_topic(&unique("topic"), 1)
        .await
        .unwrap()
        .remove(0)
}

/// Messages "from", "from + 1", …, numbered in their bodies.
pub(crate) fn numbered(from: usize, count: usize) -> Vec<Outgoing> {
    (from..from + count)
        .map(|n| Outgoing::new(format!("{n}")))
        .collect()
}

pub(crate) fn number(message: &Incoming) -> usize {
    std::str::from_utf8(&message.body).unwrap().parse().unwrap()
}

/// Reads `count` messages from `offset` on, whatever number comes at once.
pub(crate) async fn read(
    broker: &RocketMq,
    queue: &Queue,
    offset: u64,
    count: usize,
) -> Vec<Incoming> {
    let mut all = Vec::new();
    let mut next = offset;
    let deadline = Instant::now() + Duration::from_secs(30);
    while all.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} messages of {queue} read",
            all.len()
        );
        match broker
            .pull("readers", queue, next, 1024, Duration::from_secs(1))
            .await
            .unwrap()
        {
            Pulled::Messages {
                messages,
                next: after,
            } => {
                all.extend(messages.read().unwrap());
                next = after;
            }
            Pulled::Nothing { next: same } => assert_eq!(same, next),
            other => panic!("at {next} of {queue}: {other:?}"),
        }
    }
    all
}

/// Tries an operation until it succeeds, as a task does; every failure must be worth trying again.
pub(crate) async fn persist<T, F>(within: Duration, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, BrokerError>>,
{
    let deadline = Instant::now() + within;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                assert!(error.retriable(), "{error}");
                assert!(
                    Instant::now() < deadline,
                    "still failing after {within:?}: {error}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
