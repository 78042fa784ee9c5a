//! Sending: per queue one line of messages and at most one send in flight, since more would
//! reorder. A send is repeated until the broker confirms it or refuses it for good.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connect_broker::{Broker, BrokerError, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, Outgoing};
use connect_record::Queue;
use foldhash::fast::RandomState;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::tracker::Ticket;
use crate::delivery::Report;
use crate::failpoint::{self, Point};

/// A message on its way, with the slot it confirms.
pub(crate) struct Parcel {
    pub(crate) ticket: Ticket,
    pub(crate) message: Outgoing,
}

impl Parcel {
    fn size(&self) -> usize {
        self.message.wire_size()
    }
}

/// How a flight ended.
pub(crate) struct Landed {
    pub(crate) confirmed: Vec<Ticket>,
    /// Bytes of the messages that are not waiting any more.
    pub(crate) bytes: usize,
    /// A message the broker will never take, and why. Everything behind it in its queue is held.
    pub(crate) refused: Option<(Ticket, BrokerError)>,
}

struct Flight {
    queue: Queue,
    bytes: usize,
    landed: Landed,
    /// What was neither confirmed nor refused, in order.
    left: Vec<Parcel>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Parcel>,
    flying: bool,
    held: bool,
}

/// All queues of one task.
pub(crate) struct Lanes {
    broker: Arc<dyn Broker>,
    report: Arc<dyn Report>,
    retry: (Duration, Duration),
    /// Once cancelled, a send that fails is given up instead of repeated.
    give_up: CancellationToken,
    lanes: HashMap<Queue, Lane, RandomState>,
    flights: FuturesUnordered<BoxFuture<'static, Flight>>,
    bytes: usize,
    /// Flights whose send failed and is being repeated.
    troubled: Arc<AtomicUsize>,
}

impl Lanes {
    pub(crate) fn new(
        broker: Arc<dyn Broker>,
        report: Arc<dyn Report>,
        retry: (Duration, Duration),
    ) -> Self {
        Self {
            broker,
            report,
            retry,
            give_up: CancellationToken::new(),
            lanes: HashMap::default(),
            flights: FuturesUnordered::new(),
            bytes: 0,
            troubled: Arc::default(),
        }
    }

    /// Bytes waiting and in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a send is being repeated: more from the source would only wait behind it.
    pub(crate) fn troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed) > 0
    }

    /// Whether anything is in flight.
    pub(crate) fn flying(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Stops repeating sends that fail.
    pub(crate) fn give_up(&self) {
        self.give_up.cancel();
    }

    /// Puts a message at the end of its queue's line.
    pub(crate) fn push(&mut self, queue: &Queue, parcel: Parcel) {
        self.bytes += parcel.size();
        if let Some(lane) = self.lanes.get_mut(queue) {
            lane.waiting.push_back(parcel);
        } else {
            let lane = Lane {
                waiting: VecDeque::from([parcel]),
                ..Lane::default()
            };
            self.lanes.insert(queue.clone(), lane);
        }
    }

    /// Starts a send for every queue that has messages and none in flight.
    pub(crate) fn launch(&mut self) {
        let mut flights = Vec::new();
        for (queue, lane) in &mut self.lanes {
            if lane.flying || lane.held || lane.waiting.is_empty() {
                continue;
            }
            lane.flying = true;
            let (parcels, bytes) = load(&mut lane.waiting);
            flights.push((queue.clone(), parcels, bytes));
        }
        for (queue, parcels, bytes) in flights {
            let courier = Courier {
                broker: self.broker.clone(),
                report: self.report.clone(),
                retry: self.retry,
                give_up: self.give_up.clone(),
                troubled: self.troubled.clone(),
            };
            self.flights
                .push(Box::pin(courier.fly(queue, parcels, bytes)));
        }
    }

    /// Waits for the next send to end. Never ready while nothing is in flight.
    pub(crate) async fn next(&mut self) -> Landed {
        let Some(flight) = self.flights.next().await else {
            return std::future::pending().await;
        };
        let left: usize = flight.left.iter().map(Parcel::size).sum();
        let gone = flight.bytes.saturating_sub(left);
        self.bytes = self.bytes.saturating_sub(gone);
        let mut landed = flight.landed;
        landed.bytes = gone;
        if let Some(lane) = self.lanes.get_mut(&flight.queue) {
            lane.flying = false;
            lane.held |= landed.refused.is_some()
                || (self.give_up.is_cancelled() && !flight.left.is_empty());
            for parcel in flight.left.into_iter().rev() {
                lane.waiting.push_front(parcel);
            }
        }
        landed
    }

    /// Lets all queues go on after a refused message was dealt with.
    pub(crate) fn release(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.held = false;
        }
    }
}

/// Takes the next send's worth from a line.
fn load(waiting: &mut VecDeque<Parcel>) -> (Vec<Parcel>, usize) {
    let mut parcels = Vec::new();
    let mut bytes = 0;
    while let Some(parcel) = waiting.front() {
        let size = parcel.size();
        if !parcels.is_empty()
            && (parcels.len() >= MAX_BATCH_MESSAGES || bytes + size > MAX_BATCH_BYTES)
        {
            break;
        }
        bytes += size;
        parcels.extend(waiting.pop_front());
    }
    (parcels, bytes)
}

/// Carries one load to its queue.
struct Courier {
    broker: Arc<dyn Broker>,
    report: Arc<dyn Report>,
    retry: (Duration, Duration),
    give_up: CancellationToken,
    troubled: Arc<AtomicUsize>,
}

/// Counts one troubled flight for as long as it lives.
struct Trouble(Arc<AtomicUsize>);

impl Trouble {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Courier {
    async fn fly(self, queue: Queue, mut parcels: Vec<Parcel>, bytes: usize) -> Flight {
        let mut landed = Landed {
            confirmed: Vec::new(),
            bytes: 0,
            refused: None,
        };
        match self.send(&queue, &parcels).await {
            Ok(()) => landed
                .confirmed
                .extend(parcels.drain(..).map(|parcel| parcel.ticket)),
            Err(error) if error.retriable() => {}
            // nothing is wrong with the messages: topic, permission or broker are
            Err(error) if !error.permanent() => {
                landed.refused = parcels.first().map(|parcel| (parcel.ticket, error));
            }
            Err(error) if parcels.len() == 1 => {
                landed.refused = parcels.pop().map(|parcel| (parcel.ticket, error));
            }
            // one of several is refused: go one by one, so that only that one is held against
            Err(_) => {
                let mut rest = VecDeque::from(std::mem::take(&mut parcels));
                while let Some(parcel) = rest.pop_front() {
                    match self.send(&queue, std::slice::from_ref(&parcel)).await {
                        Ok(()) => landed.confirmed.push(parcel.ticket),
                        Err(error) if error.retriable() => {
                            rest.push_front(parcel);
                            break;
                        }
                        Err(error) => {
                            landed.refused = Some((parcel.ticket, error));
                            break;
                        }
                    }
                }
                parcels = rest.into();
            }
        }
        Flight {
            queue,
            bytes,
            landed,
            left: parcels,
        }
    }

    /// Sends until confirmed. A retriable error comes back only after giving up.
    async fn send(&self, queue: &Queue, parcels: &[Parcel]) -> Result<(), BrokerError> {
        let mut pause = self.retry.0;
        let mut trouble = None;
        loop {
            let messages = parcels
                .iter()
                .map(|parcel| parcel.message.clone())
                .collect();
            match self.broker.send(queue, messages).await {
                Ok(_) => {
                    failpoint::pass(Point::SendConfirm);
                    if trouble.is_some() {
                        self.report.running(None);
                    }
                    return Ok(());
                }
                Err(error) if error.retriable() && !self.give_up.is_cancelled() => {
                    if trouble.is_none() {
                        tracing::warn!(%queue, %error, "a send failed and is repeated until it succeeds");
                        trouble = Some(Trouble::new(&self.troubled));
                    }
                    self.report
                        .running(Some(format!("waiting to send to queue {queue}: {error}")));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.give_up.cancelled() => return Err(error),
                    }
                    pause = (pause * 2).min(self.retry.1);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
