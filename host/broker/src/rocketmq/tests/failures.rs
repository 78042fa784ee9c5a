//! Endpoints that go, hang, come back, and the end of it all.

use super::*;
use tokio::task::JoinSet;

async fn send(broker: &RocketMq) -> Result<u64, BrokerError> {
    broker.send(&queue(), &[Outgoing::new("x")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_breaker_never_holds() {
    let mut server = Server::start(|_| answer(0, &[("queueOffset", 5)])).await;
    let broker = client(&server);
    send(&broker).await.unwrap();
    server.stop().await;
    let away = Instant::now();
    let mut failures = 0;
    // Long enough that the client itself would have given up five times and blocked for 30 s.
    while away.elapsed() < Duration::from_secs(4) {
        let error = send(&broker).await.unwrap_err();
        assert!(error.retriable(), "{error}");
        assert!(
            error.to_string().contains(&server.address.to_string()),
            "{error}"
        );
        failures += 1;
    }
    assert!(
        (5..40).contains(&failures),
        "a caller that tries on is not paced: {failures}"
    );
    server.start_again().await;
    let back = Instant::now();
    while send(&broker).await.is_err() {}
    assert!(
        back.elapsed() < Duration::from_secs(2),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_away_at_the_start_is_used_when_it_comes() {
    let mut server = Server::start(|_| answer(0, &[("queueOffset", 5)])).await;
    server.stop().await;
    let broker = client(&server);
    for _ in 0..10 {
        assert!(matches!(
            send(&broker).await,
            Err(BrokerError::Unreachable { .. })
        ));
    }
    assert!(
        broker
            .check()
            .await
            .unwrap_err()
            .to_string()
            .contains("name server")
    );
    server.start_again().await;
    let back = Instant::now();
    while send(&broker).await.is_err() {}
    assert!(
        back.elapsed() < Duration::from_secs(2),
        "{:?}",
        back.elapsed()
    );
    broker.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_one_timeout_and_not_the_connection_for_good() {
    let silent = Arc::new(AtomicU64::new(1));
    let script = Arc::clone(&silent);
    let server = Server::start(move |_| match script.load(Ordering::SeqCst) {
        0 => answer(0, &[("queueOffset", 5)]),
        _ => Reply::Silence,
    })
    .await;
    let broker = client(&server);
    for _ in 0..3 {
        let started = Instant::now();
        assert!(matches!(
            send(&broker).await,
            Err(BrokerError::Unreachable { .. })
        ));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
    silent.store(0, Ordering::SeqCst);
    assert_eq!(send(&broker).await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_again_and_again_leave_nothing_behind() {
    let mut server = Server::start(|_| answer(0, &[("queueOffset", 5)])).await;
    let broker = client(&server);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let mut early = 0;
    for round in 0..60 {
        while send(&broker).await.is_err() {}
        server.stop().await;
        assert!(matches!(
            send(&broker).await,
            Err(BrokerError::Unreachable { .. })
        ));
        server.start_again().await;
        if round == 20 {
            early = tasks();
        }
    }
    // Clients on their way out take a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    while tasks() > early + 20 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        tasks() <= early + 20,
        "{early} tasks after 20 rounds, {} after 60",
        tasks()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_polls_do_not_use_up_the_connection() {
    let server = Server::start(|request| match request.fields["queueOffset"].as_str() {
        "7" => Reply::Silence,
        _ => answer(19, &[]),
    })
    .await;
    let broker = client(&server);
    // Beyond what a client admits at once.
    for _ in 0..600 {
        let queue = queue();
        let waiting = broker.pull("g", &queue, 7, 32, Duration::from_secs(15));
        assert!(
            tokio::time::timeout(Duration::from_millis(2), waiting)
                .await
                .is_err()
        );
    }
    let pulled = broker
        .pull("g", &queue(), 8, 32, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(pulled, Pulled::Nothing { next: 8 });
}

#[tokio::test(flavor = "multi_thread")]
async fn more_polls_than_one_client_admits_wait_side_by_side() {
    let waiting = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&waiting);
    let server = Server::start(move |request| match request.code {
        PULL => {
            counter.fetch_add(1, Ordering::SeqCst);
            Reply::Silence
        }
        _ => answer(0, &[("queueOffset", 5)]),
    })
    .await;
    let broker = Arc::new(client(&server));
    let mut polls = JoinSet::new();
    for _ in 0..900 {
        let broker = Arc::clone(&broker);
        polls.spawn(async move {
            broker
                .pull("g", &queue(), 7, 32, Duration::from_secs(15))
                .await
        });
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while waiting.load(Ordering::SeqCst) < 900 {
        if let Some(ended) = polls.try_join_next() {
            panic!("a poll ended: {:?}", ended.unwrap());
        }
        assert!(
            Instant::now() < deadline,
            "{} of 900 polls wait",
            waiting.load(Ordering::SeqCst)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        send(&broker).await.unwrap(),
        5,
        "polls stand in the way of a send"
    );
    let closing = Instant::now();
    broker.close().await;
    assert!(
        closing.elapsed() < Duration::from_secs(1),
        "{:?}",
        closing.elapsed()
    );
    while let Some(poll) = polls.join_next().await {
        assert!(matches!(poll.unwrap(), Err(BrokerError::Closed { .. })));
    }
    assert!(matches!(
        send(&broker).await,
        Err(BrokerError::Closed { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_end_at_once_when_the_broker_goes() {
    let mut server = Server::start(|_| Reply::Silence).await;
    let broker = Arc::new(client(&server));
    let polling = {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            broker
                .pull("g", &queue(), 7, 32, Duration::from_secs(15))
                .await
        })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!polling.is_finished());
    let stopped = Instant::now();
    server.stop().await;
    let error = polling.await.unwrap().unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert!(
        stopped.elapsed() < Duration::from_secs(1),
        "{:?}",
        stopped.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_is_away_is_passed_over() {
    let mut away = Server::start(|_| Reply::Silence).await;
    away.stop().await;
    let server = Server::start(|_| answer(0, &[("queueOffset", 5)])).await;
    let namesrv = format!("{};{}", away.address, server.address);
    let broker = RocketMq::connect(RocketMqSettings::new(namesrv, "test")).unwrap();
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(broker.topic_queues("t").await.unwrap(), Some(vec![queue()]));
    }
    assert_eq!(send(&broker).await.unwrap(), 5);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_starting_is_not_given_what_it_would_lose() {
    let server = Server::start(|_| answer(0, &[("queueOffset", 5)])).await;
    let broker = RocketMq::connect(RocketMqSettings::new(server.address.to_string(), "test"));
    let broker = Arc::new(broker.unwrap());
    server.mute.store(true, Ordering::SeqCst);
    let sending = {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move { while send(&broker).await.is_err() {} })
    };
    tokio::time::sleep(Duration::from_millis(1700)).await;
    server.mute.store(false, Ordering::SeqCst);
    let answers = Instant::now();
    sending.await.unwrap();
    // A request that had been written before would have been waited for until its 5 s are over.
    assert!(
        answers.elapsed() < Duration::from_secs(2),
        "{:?}",
        answers.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_alone_costs_one_timeout() {
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    let server = Server::start(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Disconnect,
        _ => answer(0, &[("queueOffset", 5)]),
    })
    .await;
    let broker = client(&server);
    let started = Instant::now();
    assert!(matches!(
        send(&broker).await,
        Err(BrokerError::Unreachable { .. })
    ));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(send(&broker).await.unwrap(), 5);
}
