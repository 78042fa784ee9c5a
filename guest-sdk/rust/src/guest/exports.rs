//! The exports of each role: from the generated types to the SDK's and back. Vectors are moved,
//! never copied.

use connect_rows::Parts;

use super::bindings::common::rocketmq::connect::records as wit;
use super::bindings::connector::exports::rocketmq::connect::connector as own;
use super::bindings::sink::exports::rocketmq::connect::sink;
use super::bindings::source::exports::rocketmq::connect::source;
use super::bindings::transform::exports::rocketmq::connect::transform;
use super::{Exports, Slot};
use crate::connector::Connector;
use crate::describe::{Kind, Need, OptionSpec, Plan};
use crate::failure::{Failure, Problem};
use crate::settings::Settings;
use crate::sink::{Late, Queue, QueueOffset, Rejected, Sink};
use crate::source::{ResumePoint, Source};
use crate::task::{SinkTask, SourceTask, TransformTask};
use crate::transform::Transform;

fn all<A, B: From<A>>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}

fn settings(list: Vec<wit::Setting>) -> Settings {
    list.into_iter()
        .map(|setting| (setting.key, setting.value))
        .collect()
}

fn pairs(list: Vec<(String, String)>) -> Vec<wit::Setting> {
    list.into_iter()
        .map(|(key, value)| wit::Setting { key, value })
        .collect()
}

/// Both sides of the wall have their own type for the same thing. Each field is named, so that one
/// that is new on either side does not get lost.
macro_rules! moved {
    (both ways: $one:path, $other:path { $($field:ident),+ $(,)? }) => {
        moved!($one => $other { $($field),+ });
        moved!($other => $one { $($field),+ });
    };
    ($from:path => $to:path { $($field:ident),+ $(,)? }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                let $from { $($field),+ } = from;
                Self { $($field: $field.into()),+ }
            }
        }
    };
}

moved!(both ways: Parts, wit::Batch {
    topics, partitions, schemas, names, entry_size, header_size, entries, headers, arena,
});
moved!(both ways: ResumePoint, wit::ResumePoint { partition, position });
moved!(both ways: Queue, wit::Queue { topic, broker, id });
moved!(both ways: QueueOffset, wit::QueueOffset { queue, next });
moved!(Rejected => wit::Rejected { index, reason });
moved!(Late => sink::Late { queue, offset, reason });
moved!(Problem => wit::Problem { key, reason });
moved!(Need => own::Need { kind, target });

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retriable { reason, after } => Self::Retriable(wit::Retry {
                reason,
                after_ms: u32::try_from(after.as_millis()).unwrap_or(u32::MAX),
            }),
            Failure::Invalid(problems) => Self::Invalid(all(problems)),
            Failure::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

impl<S: Slot> own::Guest for Exports<S> {
    fn describe() -> own::Description {
        let description = S::Plugin::describe();
        own::Description {
            name: description.name,
            version: description.version,
            doc: description.doc,
            aliases: description.aliases,
            options: all(description.options),
            position_format: description.position_format,
            attributes: pairs(description.attributes),
        }
    }

    fn needs(list: Vec<wit::Setting>) -> Vec<own::Need> {
        all(S::Plugin::needs(&with_defaults::<S>(list)))
    }

    fn validate(list: Vec<wit::Setting>) -> Vec<wit::Problem> {
        all(S::Plugin::validate(&with_defaults::<S>(list)))
    }

    fn task_settings(list: Vec<wit::Setting>, max_tasks: u32) -> Result<own::Plan, wit::Failure> {
        let Plan { tasks, recheck } =
            S::Plugin::task_settings(&with_defaults::<S>(list), max_tasks)?;
        // Zero means never, so a recheck within the millisecond becomes one after it.
        let recheck_ms = recheck.map_or(0, |after| {
            u32::try_from(after.as_millis()).unwrap_or(u32::MAX).max(1)
        });
        let tasks = tasks
            .into_iter()
            .map(|task| pairs(task.into_pairs()))
            .collect();
        Ok(own::Plan { tasks, recheck_ms })
    }
}

fn with_defaults<S: Slot>(list: Vec<wit::Setting>) -> Settings {
    settings(list).with_defaults(&S::Plugin::describe())
}

impl From<OptionSpec> for own::OptionSpec {
    fn from(option: OptionSpec) -> Self {
        Self {
            key: option.key,
            kind: match option.kind {
                Kind::Boolean => own::Kind::Boolean,
                Kind::Integer => own::Kind::Integer,
                Kind::Decimal => own::Kind::Decimal,
                Kind::Text => own::Kind::Text,
                Kind::TextList => own::Kind::TextList,
                Kind::Duration => own::Kind::Duration,
                Kind::Size => own::Kind::Size,
                Kind::Secret => own::Kind::Secret,
            },
            required: option.required,
            default: option.default,
            doc: option.doc,
            allowed: option.allowed,
            attributes: pairs(option.attributes),
        }
    }
}

impl<S, T> source::Guest for Exports<S>
where
    S: Slot<Plugin = T, Task = SourceTask<T>>,
    T: Source,
{
    fn open(list: Vec<wit::Setting>) -> Result<(), wit::Failure> {
        Ok(S::with(|task| task.open(settings(list)))?)
    }

    fn poll(
        max_records: u32,
        max_bytes: u32,
        max_wait_ms: u32,
    ) -> Result<source::Polled, wit::Failure> {
        let polled = S::with(|task| task.poll(max_records, max_bytes, max_wait_ms))?;
        Ok(source::Polled {
            batch: polled.parts.into(),
            points: all(polled.points),
            forget: polled.forget,
            wait_ms: polled.wait_ms,
        })
    }

    fn committed(points: Vec<wit::ResumePoint>) -> Result<(), wit::Failure> {
        let points: Vec<ResumePoint> = all(points);
        Ok(S::with(|task| task.committed(&points))?)
    }

    fn close() -> Result<(), wit::Failure> {
        Ok(S::with(SourceTask::close)?)
    }
}

impl<S, T> sink::Guest for Exports<S>
where
    S: Slot<Plugin = T, Task = SinkTask<T>>,
    T: Sink,
{
    fn open(
        list: Vec<wit::Setting>,
        queues: Vec<wit::QueueOffset>,
    ) -> Result<Vec<wit::QueueOffset>, wit::Failure> {
        let queues: Vec<QueueOffset> = all(queues);
        Ok(all(S::with(|task| task.open(settings(list), &queues))?))
    }

    fn assigned(queues: Vec<wit::QueueOffset>) -> Result<Vec<wit::QueueOffset>, wit::Failure> {
        let queues: Vec<QueueOffset> = all(queues);
        Ok(all(S::with(|task| task.assigned(&queues))?))
    }

    fn revoked(queues: Vec<wit::Queue>, lost: bool) -> Result<(), wit::Failure> {
        let queues: Vec<Queue> = all(queues);
        Ok(S::with(|task| task.revoked(&queues, lost))?)
    }

    fn put(batch: wit::Batch) -> Result<Vec<wit::Rejected>, wit::Failure> {
        let parts = Parts::from(batch);
        Ok(all(S::with(|task| task.put(&parts))?))
    }

    fn flush() -> Result<sink::Flushed, wit::Failure> {
        let flushed = S::with(SinkTask::flush)?;
        Ok(sink::Flushed {
            upto: flushed.upto.map(all),
            rejected: all(flushed.rejected),
        })
    }

    fn close() -> Result<(), wit::Failure> {
        Ok(S::with(SinkTask::close)?)
    }
}

impl<S, T> transform::Guest for Exports<S>
where
    S: Slot<Plugin = T, Task = TransformTask<T>>,
    T: Transform,
{
    fn open(list: Vec<wit::Setting>) -> Result<(), wit::Failure> {
        Ok(S::with(|task| task.open(settings(list)))?)
    }

    fn apply(batch: wit::Batch) -> Result<transform::Applied, wit::Failure> {
        let parts = Parts::from(batch);
        let applied = S::with(|task| task.apply(&parts))?;
        Ok(transform::Applied {
            batch: applied.parts.into(),
            rejected: all(applied.rejected),
        })
    }

    fn close() -> Result<(), wit::Failure> {
        Ok(S::with(TransformTask::close)?)
    }
}
