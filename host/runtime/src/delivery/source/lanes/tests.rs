//! One queue's trouble is no other's, and what is not a message's fault is not held against it.

use std::sync::Arc;
use std::time::Duration;

use connect_broker::{BoxFuture, Broker, BrokerError, MessageFault, Outgoing, Pulled};
use connect_record::Queue;
use connect_tracker::{Ticket, Tracker};

use super::{EAGER_SENDS, Landed, Lanes, MAX_BATCH_MESSAGES, Parcel};
use crate::delivery::Report;
use crate::status::Pause;

/// Takes all but batches with a message `bad`, and `shut` by itself, and is not there for `away`.
struct Choosy;

fn closed<'a, T>() -> BoxFuture<'a, Result<T, BrokerError>> {
    Box::pin(async { Err(BrokerError::Closed { step: "test" }) })
}

impl Broker for Choosy {
    fn topic_queues<'a>(
        &'a self,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Vec<Queue>>, BrokerError>> {
        closed()
    }

    fn ensure_topic<'a>(
        &'a self,
        _: &'a str,
        _: u32,
    ) -> BoxFuture<'a, Result<Vec<Queue>, BrokerError>> {
        closed()
    }

    fn ensure_group<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        closed()
    }

    fn send<'a>(
        &'a self,
        queue: &'a Queue,
        messages: &'a [Outgoing],
    ) -> BoxFuture<'a, Result<u64, BrokerError>> {
        let bad = messages.iter().position(|message| message.body == "bad");
        let shut = messages.iter().all(|message| message.body == "shut");
        let away = messages.iter().any(|message| message.body == "away");
        Box::pin(async move {
            match bad {
                Some(index) => Err(BrokerError::Message {
                    queue: queue.clone(),
                    index,
                    fault: MessageFault::EmptyBody,
                }),
                None if away => Err(BrokerError::NotConfirmed {
                    step: "test",
                    what: queue.to_string(),
                    status: "away",
                }),
                None if shut => Err(BrokerError::Closed { step: "test" }),
                None => Ok(0),
            }
        })
    }

    fn pull<'a>(
        &'a self,
        _: &'a str,
        _: &'a Queue,
        _: u64,
        _: u32,
        _: Duration,
    ) -> BoxFuture<'a, Result<Pulled, BrokerError>> {
        closed()
    }

    fn bounds<'a>(&'a self, _: &'a Queue) -> BoxFuture<'a, Result<(u64, u64), BrokerError>> {
        closed()
    }

    fn offset_at<'a>(&'a self, _: &'a Queue, _: u64) -> BoxFuture<'a, Result<u64, BrokerError>> {
        closed()
    }

    fn commit_offset<'a>(
        &'a self,
        _: &'a str,
        _: &'a Queue,
        _: u64,
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        closed()
    }

    fn committed_offset<'a>(
        &'a self,
        _: &'a str,
        _: &'a Queue,
    ) -> BoxFuture<'a, Result<Option<u64>, BrokerError>> {
        closed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), BrokerError>> {
        closed()
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// Nobody listens.
struct Silent;

impl Report for Silent {
    fn running(&self, _: Option<String>) {}
    fn reconfigure(&self) {}
    fn opened(&self) {}
    fn puts_off_opening(&self) {}
    fn committed(&self) {}
    fn draining(&self) {}
    fn exchanged(&self, _: Pause) {}
}

fn lanes() -> Lanes {
    let retry = (Duration::from_millis(1), Duration::from_millis(1));
    Lanes::new(Arc::new(Choosy), Arc::new(Silent), retry)
}

/// Puts messages into a queue's line; answers their tickets.
fn push(lanes: &mut Lanes, queue: &Queue, bodies: &[&'static str]) -> Vec<Ticket> {
    let mut tracker = Tracker::default();
    let batch = tracker.begin();
    let mut tickets = Vec::new();
    for body in bodies {
        let ticket = tracker.enter(batch, &queue.to_string(), None);
        tickets.push(ticket);
        lanes.push(queue, Parcel::new(ticket, Outgoing::new(*body)));
    }
    tickets
}

#[tokio::test]
async fn a_refused_message_holds_its_own_queue_until_it_was_dealt_with() {
    let mut lanes = lanes();
    let queues = [Queue::new("t", "b", 0), Queue::new("t", "b", 1)];
    for queue in &queues {
        push(&mut lanes, queue, &["one", "bad", "three"]);
    }
    lanes.launch();
    for _ in &queues {
        let Landed {
            confirmed, refused, ..
        } = lanes.next().await;
        assert_eq!(confirmed.len(), 1);
        assert!(refused.unwrap().1.permanent());
    }
    lanes.launch();
    assert!(!lanes.flying(), "both are held");
    lanes.release(&queues[0]);
    lanes.launch();
    let landed = lanes.next().await;
    assert!(landed.queue == queues[0] && landed.confirmed.len() == 1 && landed.refused.is_none());
    lanes.launch();
    assert!(!lanes.flying(), "the other one still is");
    assert!(lanes.bytes() > 0);
}

#[tokio::test]
async fn an_error_that_is_not_the_messages_own_keeps_it() {
    let mut lanes = lanes();
    let queue = Queue::new("t", "b", 0);
    let tickets = push(&mut lanes, &queue, &["shut", "bad"]);
    let before = lanes.bytes();
    lanes.launch();
    let landed = lanes.next().await;
    let (ticket, error) = landed.refused.unwrap();
    assert!(ticket == tickets[0] && !error.permanent(), "{error}");
    assert!(landed.confirmed.is_empty());
    assert_eq!(lanes.bytes(), before, "both are still there");
}

fn queues(count: usize) -> Vec<Queue> {
    let ids = (0..).take(count);
    ids.map(|id| Queue::new("t", "b", id)).collect()
}

/// What lands until nothing is under way, each queue as often as it had a send.
async fn all_landed(lanes: &mut Lanes) -> Vec<(Queue, usize)> {
    let mut all = Vec::new();
    lanes.launch();
    while lanes.flying() {
        let landed = lanes.next().await;
        all.push((landed.queue, landed.confirmed.len()));
        lanes.launch();
    }
    all
}

#[tokio::test]
async fn small_loads_wait_and_grow_while_enough_is_under_way() {
    let mut lanes = lanes();
    let queues = queues(2 * EAGER_SENDS + 1);
    let (whole, small) = queues.split_last().unwrap();
    for queue in small {
        push(&mut lanes, queue, &["one"]);
    }
    push(&mut lanes, whole, &["one"; MAX_BATCH_MESSAGES]);
    lanes.launch();
    assert_eq!(lanes.flights.len(), EAGER_SENDS + 1, "and the whole load");
    for queue in small {
        push(&mut lanes, queue, &["two"]);
    }
    let landed = all_landed(&mut lanes).await;
    let of = |queue: &Queue| -> Vec<usize> {
        let own = landed.iter().filter(|(landed, _)| landed == queue);
        own.map(|(_, count)| *count).collect()
    };
    assert_eq!(of(whole), [MAX_BATCH_MESSAGES]);
    let (eager, patient) = small.split_at(EAGER_SENDS);
    assert!(eager.iter().all(|queue| of(queue) == [1, 1]), "{landed:?}");
    assert!(patient.iter().all(|queue| of(queue) == [2]), "{landed:?}");
    assert_eq!((lanes.bytes(), lanes.ready.len()), (0, 0));
}

#[tokio::test]
async fn sends_that_are_repeated_keep_nobody_else() {
    let mut lanes = lanes();
    let queues = queues(EAGER_SENDS + 1);
    let (last, others) = queues.split_last().unwrap();
    for queue in others {
        push(&mut lanes, queue, &["away"]);
    }
    lanes.launch();
    // all of them have failed once
    lanes.go_on().await;
    push(&mut lanes, last, &["here"]);
    lanes.launch();
    let landed = tokio::time::timeout(Duration::from_secs(60), lanes.next()).await;
    let landed = landed.unwrap();
    assert!(landed.queue == *last && landed.confirmed.len() == 1);
}
