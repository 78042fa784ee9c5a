//! The imports, in the SDK's own types.

use super::bindings::common::rocketmq::connect::{
    log as wit_log, records, sink_context, source_context,
};
use crate::log::Level;
use crate::sink::Queue;
use crate::source::ResumePoint;

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => wit_log::Level::Trace,
        Level::Debug => wit_log::Level::Debug,
        Level::Info => wit_log::Level::Info,
        Level::Warn => wit_log::Level::Warn,
        Level::Error => wit_log::Level::Error,
    };
    wit_log::write(level, message);
}

pub(crate) fn resume_points(partitions: Option<&[String]>) -> Vec<ResumePoint> {
    source_context::resume_points(partitions)
        .into_iter()
        .map(ResumePoint::from)
        .collect()
}

pub(crate) fn reconfigure() {
    source_context::reconfigure();
}

pub(crate) fn assignment() -> Vec<Queue> {
    sink_context::assignment()
        .into_iter()
        .map(Queue::from)
        .collect()
}

pub(crate) fn seek(queue: &Queue, offset: u64) {
    sink_context::seek(&wit_queue(queue), offset);
}

pub(crate) fn pause(queues: &[Queue]) {
    sink_context::pause(&queues.iter().map(wit_queue).collect::<Vec<_>>());
}

pub(crate) fn resume(queues: &[Queue]) {
    sink_context::resume(&queues.iter().map(wit_queue).collect::<Vec<_>>());
}

fn wit_queue(queue: &Queue) -> records::Queue {
    records::Queue {
        topic: queue.topic.clone(),
        broker: queue.broker.clone(),
        id: queue.id,
    }
}
