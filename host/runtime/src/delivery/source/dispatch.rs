//! One checked batch on its way to the queues: topic, message, queue, slot in the book.

use std::collections::HashMap;
use std::sync::Arc;

use connect_mapping::{MappingError, message_of};
use connect_record::{Batch, Queue, Record};
use connect_tracker::Tracker;
use foldhash::fast::RandomState;

use super::lanes::{Lanes, Parcel};
use super::route::Router;
use crate::delivery::{TaskContext, TaskError};
use crate::error::story;
use crate::spec::rocketmq_names::bad_topic;
use crate::spec::{Flow, QueueBy};

/// So many records are entered, some tens of microseconds, before sends that ended are looked after.
const LOOK_EVERY: usize = 64;

/// Turns records into messages in their queues.
pub(crate) struct Dispatch {
    topic: Option<String>,
    router: Router,
    /// Queues of each topic as they were when the task first wrote to it: a change in their
    /// number would move keys while earlier records are still in flight.
    queues: HashMap<String, Arc<Vec<Queue>>, RandomState>,
}

impl Dispatch {
    pub(crate) fn new(flow: &Flow) -> Self {
        let (topic, by) = wanted(flow);
        Self {
            topic,
            router: Router::new(by),
            queues: HashMap::default(),
        }
    }

    /// Goes on as `flow` says; what is known of topics stays.
    pub(crate) fn follow(&mut self, flow: &Flow) {
        let (topic, by) = wanted(flow);
        self.topic = topic;
        self.router.follow(by);
    }

    /// Topics of a batch whose queues are not known yet.
    pub(crate) fn unknown(&self, batch: &Batch) -> Vec<String> {
        let mut unknown: Vec<String> = Vec::new();
        let mut last = None;
        for record in batch.records() {
            let topic = topic_of(&record, self.topic.as_deref());
            // most batches are of one topic
            let Some(topic) = topic.filter(|topic| last != Some(*topic)) else {
                continue;
            };
            last = Some(topic);
            // an impossible name is the record's fault, told when the record's turn comes
            if !self.queues.contains_key(topic)
                && bad_topic(topic).is_none()
                && !unknown.iter().any(|known| known == topic)
            {
                unknown.push(topic.to_owned());
            }
        }
        unknown
    }

    pub(crate) fn learn(&mut self, topic: String, queues: Vec<Queue>) {
        self.queues.insert(topic, Arc::new(queues));
    }

    /// Enters a whole batch. Records before a bad one are on their way when this returns an error.
    pub(crate) async fn enter(
        &mut self,
        ctx: &TaskContext,
        batch: &Batch,
        number: u64,
        tracker: &mut Tracker,
        lanes: &mut Lanes,
    ) -> Result<(), TaskError> {
        for (at, record) in batch.records().enumerate() {
            if at % LOOK_EVERY == LOOK_EVERY - 1 {
                lanes.go_on().await;
            }
            let ticket = tracker.enter(number, record.partition(), record.position());
            match self.parcel(ctx, &record) {
                Ok((queue, message)) => lanes.push(queue, Parcel::new(ticket, message)),
                Err(error) if ctx.spec.skip_bad_records => {
                    let place = tracker.place(ticket);
                    tracing::warn!(connector = %ctx.spec.name, task = ctx.task, %place, error = %story(&error), "a bad record is skipped");
                    tracker.confirm(ticket);
                }
                Err(source) => {
                    let place = format!("{}, {}", ctx.who(), tracker.place(ticket));
                    return Err(TaskError::Record {
                        place,
                        source: Box::new(source),
                    });
                }
            }
        }
        Ok(())
    }

    fn parcel(
        &mut self,
        ctx: &TaskContext,
        record: &Record<'_>,
    ) -> Result<(&Queue, connect_broker::Outgoing), MappingError> {
        let topic = topic_of(record, self.topic.as_deref()).ok_or(MappingError::NoTopic)?;
        let Some(queues) = self.queues.get(topic) else {
            let refused = bad_topic(topic).map(MappingError::Topic);
            return Err(refused.unwrap_or(MappingError::NoTopic));
        };
        let key = record.key();
        let index = self
            .router
            .choose(key.as_deref(), record.partition(), queues);
        let queue = queues.get(index).ok_or(MappingError::NoTopic)?;
        let message = message_of(record, &*ctx.spec.key_converter, &*ctx.spec.value_converter)?;
        Ok((queue, message))
    }
}

fn wanted(flow: &Flow) -> (Option<String>, QueueBy) {
    match flow {
        Flow::Source { topic, queue_by } => (topic.clone(), *queue_by),
        Flow::Direct { topic, .. } => (topic.clone(), QueueBy::Partition),
        Flow::Sink { .. } => (None, QueueBy::Key),
    }
}

/// The record's topic, or the connector's where it names none.
pub(crate) fn topic_of<'a>(record: &Record<'a>, connector: Option<&'a str>) -> Option<&'a str> {
    let own = record.topic();
    if own.is_empty() { connector } else { Some(own) }
}
