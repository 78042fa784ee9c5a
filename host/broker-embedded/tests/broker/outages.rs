//! Brokers and name servers that go and come back, under load and at the start.

use crate::cluster::{Cluster, number, numbered, one_queue, persist, read, unique};
use connect_broker::{Broker, BrokerError, Pulled, RocketMq};
use connect_record::Queue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How soon running tasks must go on.
const GO_ON_WITHIN: Duration = Duration::from_secs(3);

/// One task that sends numbers to a queue and one that reads them, both as tasks do: trying on.
struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    seen: Arc<AtomicU64>,
    sender: JoinHandle<Vec<(u64, usize)>>,
    reader: JoinHandle<Vec<usize>>,
}

impl Traffic {
    fn start(broker: &Arc<RocketMq>, queue: &Queue) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let sender = {
            let (broker, queue) = (Arc::clone(broker), queue.clone());
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                let mut next = 0;
                while !stop.load(Ordering::SeqCst) {
                    let messages = numbered(next, 20);
                    let send = || broker.send(&queue, &messages);
                    let first = persist(Duration::from_secs(120), send).await;
                    acknowledged.extend((0..20).map(|n| (first + n as u64, next + n)));
                    next += 20;
                    sent.fetch_add(20, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                acknowledged
            })
        };
        let reader = {
            let (broker, queue) = (Arc::clone(broker), queue.clone());
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            tokio::spawn(async move {
                let (mut numbers, mut next) = (Vec::new(), 0);
                while !stop.load(Ordering::SeqCst) {
                    let wait = Duration::from_secs(1);
                    let pull = || broker.pull("readers", &queue, next, 1024, wait);
                    match persist(Duration::from_secs(120), pull).await {
                        Pulled::Messages {
                            messages,
                            next: after,
                        } => {
                            numbers.extend(messages.read().unwrap().iter().map(number));
                            next = after;
                            seen.store(numbers.len() as u64, Ordering::SeqCst);
                        }
                        Pulled::Nothing { .. } => {}
                        other => panic!("at {next}: {other:?}"),
                    }
                }
                numbers
            })
        };
        Self {
            stop,
            sent,
            seen,
            sender,
            reader,
        }
    }

    /// Waits until more is sent and read, and returns how long that took.
    async fn goes_on(&self) -> Duration {
        let (sent, seen) = (&self.sent, &self.seen);
        let started = Instant::now();
        for counter in [sent, seen] {
            let before = counter.load(Ordering::SeqCst);
            while counter.load(Ordering::SeqCst) == before {
                assert!(
                    started.elapsed() < Duration::from_secs(60),
                    "nothing goes on"
                );
                assert!(!self.sender.is_finished() && !self.reader.is_finished());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        started.elapsed()
    }

    /// Stops, and checks content: everything acknowledged is where it was acknowledged, in order.
    async fn check(self, broker: &RocketMq, queue: &Queue) {
        self.stop.store(true, Ordering::SeqCst);
        let (acknowledged, read_along) = (self.sender.await.unwrap(), self.reader.await.unwrap());
        let end = acknowledged.last().unwrap().0 + 1;
        let stored = read(broker, queue, 0, usize::try_from(end).unwrap()).await;
        for (offset, sent) in &acknowledged {
            let message = &stored[usize::try_from(*offset).unwrap()];
            assert_eq!((message.queue_offset, number(message)), (*offset, *sent));
        }
        // What the reader saw is the queue from its beginning, nothing twice and nothing left out.
        let stored: Vec<usize> = stored.iter().map(number).collect();
        assert!(
            read_along.len() > 100,
            "the reader saw {} messages only",
            read_along.len()
        );
        let common = stored.len().min(read_along.len());
        assert_eq!(read_along[..common], stored[..common]);
        let repeated = stored.len() - acknowledged.len();
        println!(
            "{} acknowledged, {repeated} repeated after failures",
            acknowledged.len()
        );
    }
}

pub(crate) async fn broker_restarts_under_load(cluster: &mut Cluster) {
    let broker = Arc::new(cluster.impatient_client());
    let queue = one_queue(&broker).await;
    let traffic = Traffic::start(&broker, &queue);
    traffic.goes_on().await;
    for pause in [3000, 100] {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.stop_broker().await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        cluster.start_broker().await;
        let took = traffic.goes_on().await;
        println!("went on {took:?} after the broker was ready");
        assert!(took < GO_ON_WITHIN, "{took:?}");
    }
    traffic.check(&broker, &queue).await;
}

pub(crate) async fn cluster_is_absent_at_the_start(cluster: &mut Cluster) {
    cluster.stop_broker().await;
    cluster.stop_name_server().await;
    let broker = Arc::new(cluster.client());
    let (topic, namesrv) = (unique("topic"), cluster.namesrv());
    let started = Instant::now();
    let mut failures = 0;
    while started.elapsed() < Duration::from_secs(4) {
        let attempt = Instant::now();
        let error = broker.ensure_topic(&topic, 1).await.unwrap_err();
        assert!(
            error.retriable() && error.to_string().contains(&namesrv),
            "{error}"
        );
        assert!(attempt.elapsed() < Duration::from_millis(2500));
        failures += 1;
    }
    assert!(failures < 40, "{failures} attempts in 4 s");
    assert!(broker.check().await.is_err());
    // Trying on while everything starts.
    let trying = {
        let (broker, topic) = (Arc::clone(&broker), topic.clone());
        tokio::spawn(async move {
            let make = || broker.ensure_topic(&topic, 1);
            let queues = persist(Duration::from_secs(120), make).await;
            let messages = numbered(0, 1);
            let send = || broker.send(&queues[0], &messages);
            persist(Duration::from_secs(60), send).await;
        })
    };
    cluster.start_all().await;
    let ready = Instant::now();
    trying.await.unwrap();
    println!(
        "the first message went {:?} after the broker was ready",
        ready.elapsed()
    );
    assert!(ready.elapsed() < GO_ON_WITHIN, "{:?}", ready.elapsed());
    broker.check().await.unwrap();
}

pub(crate) async fn name_server_restarts_unnoticed(cluster: &mut Cluster) {
    let broker = Arc::new(cluster.client());
    let queue = one_queue(&broker).await;
    let traffic = Traffic::start(&broker, &queue);
    traffic.goes_on().await;
    cluster.stop_name_server().await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        slowest = slowest.max(traffic.goes_on().await);
        let known = broker.topic_queues(&queue.topic).await.unwrap();
        assert_eq!(known, Some(vec![queue.clone()]));
    }
    assert_eq!(
        broker.ensure_topic(&queue.topic, 1).await.unwrap(),
        std::slice::from_ref(&queue)
    );
    let error = broker.ensure_topic(&unique("topic"), 1).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert!(
        broker
            .check()
            .await
            .unwrap_err()
            .to_string()
            .contains("name server")
    );
    cluster.start_name_server().await;
    let started = Instant::now();
    // It knows nothing until the broker registers again; the topic is there all the time.
    while let Err(error) = broker.check().await {
        assert!(error.retriable(), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60), "{error}");
        let known = broker.topic_queues(&queue.topic).await.unwrap();
        assert_eq!(known, Some(vec![queue.clone()]));
        slowest = slowest.max(traffic.goes_on().await);
    }
    println!("the broker registered again after {:?}", started.elapsed());
    println!("the longest pause of the traffic was {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let make = || broker.ensure_topic("made-after-the-restart", 1);
    persist(Duration::from_secs(20), make).await;
    traffic.check(&broker, &queue).await;
}

/// Processor time of this process until now, in seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0 // a tick is 10 ms on every Linux
}

pub(crate) async fn waiting_costs_nothing(cluster: &mut Cluster) {
    let broker = Arc::new(cluster.client());
    let queues = broker.ensure_topic(&unique("topic"), 32).await.unwrap();
    for queue in &queues {
        broker.send(queue, &numbered(0, 1)).await.unwrap();
    }
    // Nothing of the cluster may run in this process while its time is measured.
    cluster.stop_broker().await;
    if !cluster.is_java() {
        cluster.stop_name_server().await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let (broker, queue) = (Arc::clone(&broker), queues[n / 2].clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    // Trying again at once: the adaptor has to pace us by itself.
                    let failed = if n % 2 == 0 {
                        broker.send(&queue, &numbered(0, 1)).await.is_err()
                    } else {
                        broker
                            .pull("readers", &queue, 1, 32, Duration::from_secs(14))
                            .await
                            .is_err()
                    };
                    assert!(failed || stop.load(Ordering::SeqCst));
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, started) = (cpu_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(8)).await;
    let share = (cpu_seconds() - before) / started.elapsed().as_secs_f64();
    println!(
        "64 tasks wait for a broker with {:.2} % of a core",
        share * 100.0
    );
    stop.store(true, Ordering::SeqCst);
    cluster.start_all().await;
    for task in tasks {
        task.await.unwrap();
    }
    assert!(share < 0.02, "{:.2} % of a core", share * 100.0);
}
