//! Sending: per queue one line of messages and at most one send in flight, since more would
//! reorder. A send is repeated until the broker confirms it or refuses it for good.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use connect_broker::{Broker, BrokerError, MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, Outgoing};
use connect_record::Queue;
use connect_tracker::Ticket;
use foldhash::fast::RandomState;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::delivery::Report;
use crate::failpoint::{self, Point};

/// Loads of a queue that are in memory: one on its way, one ready to go, one to be filled meanwhile.
const LOADS_AHEAD: usize = 3;

/// Sends beside which a load that is not full waits for its turn, and grows meanwhile. More at once would
/// only cut what a topic of many queues gets into smaller pieces.
const EAGER_SENDS: usize = 8;

/// Queues for which a batch's bytes are enough to be in memory, and how many batches' there are at most.
const QUEUES_A_BATCH: usize = 8;
const MOST_BATCHES: usize = 4;

/// A message on its way, with the slot it confirms.
pub(crate) struct Parcel {
    ticket: Ticket,
    message: Outgoing,
    /// Bytes on the wire.
    size: usize,
}

impl Parcel {
    pub(crate) fn new(ticket: Ticket, message: Outgoing) -> Self {
        let size = message.wire_size();
        Self {
            ticket,
            message,
            size,
        }
    }
}

/// What goes in one send: messages, and of each its slot and its size.
#[derive(Default)]
struct Load {
    messages: Vec<Outgoing>,
    labels: Vec<(Ticket, usize)>,
    bytes: usize,
}

/// How a flight ended.
pub(crate) struct Landed {
    pub(crate) queue: Queue,
    pub(crate) confirmed: Vec<Ticket>,
    /// Bytes of the messages that are not waiting any more.
    pub(crate) bytes: usize,
    /// A message the broker will never take, and why. Everything behind it in its queue is held.
    pub(crate) refused: Option<(Ticket, BrokerError)>,
}

struct Flight {
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

impl Lane {
    /// Whether a send may start: such a queue stands in [`Lanes::ready`], once.
    fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && !self.flying && !self.held
    }
}

/// All queues of one task.
pub(crate) struct Lanes {
    broker: Arc<dyn Broker>,
    report: Arc<dyn Report>,
    retry: (Duration, Duration),
    /// Once cancelled, a send that fails is given up instead of repeated.
    give_up: CancellationToken,
    lanes: HashMap<Queue, Lane, RandomState>,
    /// Queues that have messages, none of them in flight, and are not held; whoever waits longest first.
    ready: VecDeque<Queue>,
    flights: FuturesUnordered<BoxFuture<'static, Flight>>,
    /// Flights that ended and that nobody was told of yet.
    landed: VecDeque<Landed>,
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
            ready: VecDeque::new(),
            flights: FuturesUnordered::new(),
            landed: VecDeque::new(),
            bytes: 0,
            troubled: Arc::default(),
        }
    }

    /// Bytes waiting and in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records that keep every queue's sends going: more would only wait, and nobody is served by that.
    pub(crate) fn plenty(&self) -> usize {
        LOADS_AHEAD * MAX_BATCH_MESSAGES * self.lanes.len().max(1)
    }

    /// Bytes that do so, where a batch has so many: one batch for each few queues, since what is cut into
    /// many small pieces costs the broker more, but never many.
    pub(crate) fn plenty_of_bytes(&self, batch: u32) -> usize {
        let batches = (self.lanes.len() / QUEUES_A_BATCH).clamp(1, MOST_BATCHES);
        let batch = usize::try_from(batch).unwrap_or(usize::MAX);
        batch.saturating_mul(batches)
    }

    /// Whether a send is being repeated: more from the source would only wait behind it.
    pub(crate) fn troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed) > 0
    }

    /// Whether anything is in flight, or was and is still to be told of.
    pub(crate) fn flying(&self) -> bool {
        !self.flights.is_empty() || !self.landed.is_empty()
    }

    /// Stops repeating sends that fail.
    pub(crate) fn give_up(&self) {
        self.give_up.cancel();
    }

    /// Puts a message at the end of its queue's line.
    pub(crate) fn push(&mut self, queue: &Queue, parcel: Parcel) {
        self.bytes += parcel.size;
        if let Some(lane) = self.lanes.get_mut(queue) {
            let waited = lane.is_ready();
            lane.waiting.push_back(parcel);
            if lane.is_ready() && !waited {
                self.ready.push_back(queue.clone());
            }
        } else {
            let lane = Lane {
                waiting: VecDeque::from([parcel]),
                ..Lane::default()
            };
            self.ready.push_back(queue.clone());
            self.lanes.insert(queue.clone(), lane);
        }
    }

    /// Starts a send for queues that have messages and none in flight: for a whole load at once, for less
    /// while few sends are on their way.
    pub(crate) fn launch(&mut self) {
        self.launch_up_to(EAGER_SENDS);
    }

    /// Starts whole loads, and others while fewer than `eager` sends are on their way. Those that are being
    /// repeated do not count: a broker that is away must not keep what is for another.
    fn launch_up_to(&mut self, eager: usize) {
        let troubled = self.troubled.load(Ordering::Relaxed);
        for _ in 0..self.ready.len() {
            let Some(queue) = self.ready.pop_front() else {
                return;
            };
            let Some(lane) = self.lanes.get_mut(&queue) else {
                continue;
            };
            let whole = lane.waiting.len() >= MAX_BATCH_MESSAGES;
            if !whole && self.flights.len().saturating_sub(troubled) >= eager {
                // all that stay keep their order
                self.ready.push_back(queue);
                continue;
            }
            lane.flying = true;
            let load = Load::take(&mut lane.waiting);
            let courier = Courier {
                broker: self.broker.clone(),
                report: self.report.clone(),
                retry: self.retry,
                give_up: self.give_up.clone(),
                troubled: self.troubled.clone(),
            };
            self.flights.push(Box::pin(courier.fly(queue, load)));
        }
    }

    /// Looks, without waiting, whether a send has ended, and has its queue's next one under way at once
    /// where there is a whole load for it: until then the broker waits for us. What landed is told by
    /// [`Self::next`].
    pub(crate) async fn go_on(&mut self) {
        loop {
            self.launch_up_to(0);
            // starts those that were launched, as far as they come by themselves
            let Poll::Ready(Some(flight)) = futures::poll!(self.flights.next()) else {
                return;
            };
            self.land(flight);
        }
    }

    /// Waits for the next send to end. Never ready while nothing is in flight. Nothing is lost when the
    /// future is dropped.
    pub(crate) async fn next(&mut self) -> Landed {
        loop {
            if let Some(landed) = self.landed.pop_front() {
                return landed;
            }
            let Some(flight) = self.flights.next().await else {
                return std::future::pending().await;
            };
            self.land(flight);
            self.go_on().await;
        }
    }

    fn land(&mut self, flight: Flight) {
        let landed = flight.landed;
        self.bytes = self.bytes.saturating_sub(landed.bytes);
        if let Some(lane) = self.lanes.get_mut(&landed.queue) {
            lane.flying = false;
            lane.held |= landed.refused.is_some()
                || (self.give_up.is_cancelled() && !flight.left.is_empty());
            for parcel in flight.left.into_iter().rev() {
                lane.waiting.push_front(parcel);
            }
            if lane.is_ready() {
                self.ready.push_back(landed.queue.clone());
            }
        }
        self.landed.push_back(landed);
    }

    /// Lets a queue go on after its refused message was dealt with.
    pub(crate) fn release(&mut self, queue: &Queue) {
        if let Some(lane) = self.lanes.get_mut(queue).filter(|lane| lane.held) {
            lane.held = false;
            if lane.is_ready() {
                self.ready.push_back(queue.clone());
            }
        }
    }
}

impl Load {
    /// Takes the next send's worth from a line.
    fn take(waiting: &mut VecDeque<Parcel>) -> Self {
        let mut load = Self::default();
        let most = waiting.len().min(MAX_BATCH_MESSAGES);
        load.messages.reserve_exact(most);
        load.labels.reserve_exact(most);
        while let Some(parcel) = waiting.front() {
            let full = load.messages.len() >= MAX_BATCH_MESSAGES
                || load.bytes + parcel.size > MAX_BATCH_BYTES;
            if full && !load.messages.is_empty() {
                break;
            }
            let Some(parcel) = waiting.pop_front() else {
                break;
            };
            load.bytes += parcel.size;
            load.labels.push((parcel.ticket, parcel.size));
            load.messages.push(parcel.message);
        }
        load
    }

    /// Its parcels from the `from`th on.
    fn parcels(self, from: usize) -> Vec<Parcel> {
        let labels = self.labels.into_iter();
        let all = labels.zip(self.messages).skip(from);
        all.map(|((ticket, size), message)| Parcel {
            ticket,
            message,
            size,
        })
        .collect()
    }
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
    async fn fly(self, queue: Queue, load: Load) -> Flight {
        // How many of the load are confirmed, from its beginning.
        let mut confirmed = 0;
        let mut refused = None;
        match self.send(&queue, &load.messages).await {
            Ok(()) => confirmed = load.messages.len(),
            Err(error) if error.retriable() => {}
            // nothing is wrong with the messages: topic, permission or broker are
            Err(error) if !error.permanent() => refused = Some((error, false)),
            Err(error) if load.messages.len() == 1 => refused = Some((error, true)),
            // one of several is refused: go one by one, so that only that one is held against
            Err(_) => {
                for message in &load.messages {
                    match self.send(&queue, std::slice::from_ref(message)).await {
                        Ok(()) => confirmed += 1,
                        Err(error) if error.retriable() => break,
                        Err(error) => {
                            let permanent = error.permanent();
                            refused = Some((error, permanent));
                            break;
                        }
                    }
                }
            }
        }
        // A message that is refused for itself does not wait any more.
        let gone = confirmed + usize::from(matches!(refused, Some((_, true))));
        let refused = refused.and_then(|(error, _)| {
            let (ticket, _) = load.labels.get(confirmed)?;
            Some((*ticket, error))
        });
        let taken = load.labels.iter().take(gone);
        let landed = Landed {
            queue,
            confirmed: taken.clone().take(confirmed).map(|label| label.0).collect(),
            bytes: taken.map(|label| label.1).sum(),
            refused,
        };
        Flight {
            landed,
            left: load.parcels(gone),
        }
    }

    /// Sends until confirmed. A retriable error comes back only after giving up.
    async fn send(&self, queue: &Queue, messages: &[Outgoing]) -> Result<(), BrokerError> {
        let mut pause = self.retry.0;
        let mut trouble = None;
        loop {
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

#[cfg(test)]
mod tests;
