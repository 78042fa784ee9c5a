//! `rocketmq:connect@0.1`: generated from the published WIT, and moved in and out of the crate's
//! own types. Vectors are moved or lent, never copied.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    elided_lifetimes_in_paths,
    reason = "generated code; nothing of it leaves this crate"
)]

use std::time::Duration;

use bytes::Bytes;
use connect_record::{Queue, QueueOffset, ResumePoint};
use connect_rows::Parts;

use crate::call::Guest;
use crate::error::{CallError, Problem};
use crate::text;

use rocketmq::connect::records;

// One world of our own with every interface, used interface by interface: a plugin exports only
// some of them, and so each type exists once whatever the plugin's role.
wasmtime::component::bindgen!({
    path: "../../wit/connect/v0.1",
    inline: "
        package rocketmq:connect-host;
        world everything {
            import rocketmq:connect/log@0.1.0;
            import rocketmq:connect/source-context@0.1.0;
            import rocketmq:connect/sink-context@0.1.0;
            export rocketmq:connect/connector@0.1.0;
            export rocketmq:connect/source@0.1.0;
            export rocketmq:connect/sink@0.1.0;
            export rocketmq:connect/transform@0.1.0;
        }
    ",
    world: "rocketmq:connect-host/everything",
    ownership: Borrowing { duplicate_if_necessary: true },
    // The others answer at once and always; an async one costs a future on every call.
    imports: { "rocketmq:connect/source-context.resume-points": async | trappable },
    exports: { default: async },
    require_store_data_send: true,
});

/// Problems of one answer that are kept.
const PROBLEMS: usize = 100;

/// Settings as the guest gets them.
pub(crate) fn settings(of: &[(String, String)]) -> Vec<records::SettingParam<'_>> {
    of.iter()
        .map(|(key, value)| records::SettingParam { key, value })
        .collect()
}

/// Settings as the guest gave them.
pub(crate) fn setting_pairs(of: Vec<records::SettingResult>) -> Vec<(String, String)> {
    of.into_iter()
        .map(|setting| (setting.key, setting.value))
        .collect()
}

/// Problems as the guest gave them, cut to a sane number and length.
pub(crate) fn problems(of: Vec<records::Problem>) -> Vec<Problem> {
    let kept = of.into_iter().take(PROBLEMS);
    kept.map(|problem| Problem {
        key: text::reason(&problem.key),
        reason: text::reason(&problem.reason),
    })
    .collect()
}

/// Queue offsets as the guest gets them.
pub(crate) fn offsets(of: &[QueueOffset]) -> Vec<records::QueueOffsetParam<'_>> {
    of.iter()
        .map(|offset| records::QueueOffsetParam {
            queue: queue(&offset.queue),
            next: offset.next,
        })
        .collect()
}

/// A queue as the guest gets it.
pub(crate) fn queue(of: &Queue) -> records::QueueParam<'_> {
    records::QueueParam {
        topic: &of.topic,
        broker: &of.broker,
        id: of.id,
    }
}

/// A queue as the guest gave it.
pub(crate) fn own_queue(of: &records::QueueResult) -> Queue {
    Queue::new(&of.topic, &of.broker, of.id)
}

/// Resume points as the guest gets them.
pub(crate) fn points(of: &[ResumePoint]) -> Vec<records::ResumePointParam<'_>> {
    of.iter()
        .map(|point| records::ResumePointParam {
            partition: &point.partition,
            position: &point.position,
        })
        .collect()
}

/// Resume points as the guest gave them.
pub(crate) fn own_points(of: Vec<records::ResumePointResult>) -> Vec<ResumePoint> {
    of.into_iter()
        .map(|point| ResumePoint {
            partition: point.partition,
            position: Bytes::from(point.position),
        })
        .collect()
}

impl From<records::BatchResult> for Parts {
    fn from(batch: records::BatchResult) -> Self {
        Self {
            topics: batch.topics,
            partitions: batch.partitions,
            schemas: batch.schemas,
            names: batch.names,
            entry_size: batch.entry_size,
            header_size: batch.header_size,
            entries: batch.entries,
            headers: batch.headers,
            arena: batch.arena,
        }
    }
}

/// The four tables of a batch as slices of text, which is the form in which they can be lent.
pub(crate) struct Lent<'a> {
    parts: &'a Parts,
    topics: Vec<&'a str>,
    partitions: Vec<&'a str>,
    schemas: Vec<&'a str>,
    names: Vec<&'a str>,
}

impl<'a> Lent<'a> {
    pub(crate) fn new(parts: &'a Parts) -> Self {
        let texts = |table: &'a [String]| table.iter().map(String::as_str).collect();
        Self {
            parts,
            topics: texts(&parts.topics),
            partitions: texts(&parts.partitions),
            schemas: texts(&parts.schemas),
            names: texts(&parts.names),
        }
    }

    pub(crate) fn batch(&self) -> records::BatchParam<'_> {
        records::BatchParam {
            topics: &self.topics,
            partitions: &self.partitions,
            schemas: &self.schemas,
            names: &self.names,
            entry_size: self.parts.entry_size,
            header_size: self.parts.header_size,
            entries: &self.parts.entries,
            headers: &self.parts.headers,
            arena: &self.parts.arena,
        }
    }
}

/// What the exports answer that may fail.
pub(crate) type Answer<R> = Result<R, records::Failure>;

/// What a guest answered that did not work out.
pub(crate) fn failure<E>(
    guest: &Guest<E>,
    call: &'static str,
    failure: records::Failure,
) -> CallError {
    let plugin = guest.plugin();
    match failure {
        records::Failure::Retriable(retry) => CallError::Retriable {
            plugin,
            call,
            reason: text::reason(&retry.reason),
            after: Duration::from_millis(retry.after_ms.into()),
        },
        records::Failure::Invalid(found) => CallError::Invalid {
            plugin,
            call,
            problems: problems(found),
        },
        records::Failure::Fatal(reason) => CallError::Fatal {
            plugin,
            call,
            reason: text::reason(&reason),
        },
    }
}
