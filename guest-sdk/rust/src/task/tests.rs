//! What a task promises around the plugin's own code, seen through the drivers.

use super::*;
use crate::connector::Connector;
use crate::describe::{Description, OptionSpec};
use crate::testing::{SinkDriver, SourceDriver, record};
use connect_rows::TABLE_SIZE;

/// Emits its numbers up to a bad one, which fails once.
struct Stumbling {
    next: u32,
    bad: Option<u32>,
    topics: bool,
}

impl Connector for Stumbling {
    fn describe() -> Description {
        Description::new("stumbling", "1.0.0", "")
            .option(OptionSpec::integer("bad").default(u32::MAX))
            .option(OptionSpec::boolean("topics").default(false))
    }
}

impl Source for Stumbling {
    fn open(settings: &Settings, _: SourceContext) -> Result<Self> {
        let bad = Some(settings.parsed("bad", "a number")?);
        Ok(Self {
            next: 0,
            bad,
            topics: settings.boolean("topics")?,
        })
    }

    fn poll(&mut self, batch: &mut Batch) -> Result<Next> {
        while !batch.is_full() {
            if self.bad == Some(self.next) {
                self.bad = None;
                return Err(Failure::retriable("stumbled"));
            }
            let number = self.next.to_string();
            let topic = if self.topics { number.as_str() } else { "" };
            batch.add().topic(topic).value(number.as_bytes()).finish()?;
            self.next += 1;
        }
        Ok(Next::After(Duration::from_micros(1)))
    }
}

#[test]
fn records_before_a_failure_are_delivered_and_the_failure_comes_next() {
    let mut source = SourceDriver::<Stumbling>::open([("bad", "2")]).unwrap();
    let polled = source.poll_at_most(3, 1000).unwrap();
    assert_eq!(
        (polled.texts(), polled.wait),
        (vec!["0".into(), "1".into()], Duration::ZERO)
    );
    assert_eq!(
        source.poll_at_most(3, 1000),
        Err(Failure::retriable("stumbled"))
    );
    assert_eq!(source.poll_at_most(2, 1000).unwrap().texts(), ["2", "3"]);
}

#[test]
fn a_failure_without_records_comes_at_once() {
    let mut source = SourceDriver::<Stumbling>::open([("bad", "0")]).unwrap();
    assert_eq!(
        source.poll_at_most(3, 1000),
        Err(Failure::retriable("stumbled"))
    );
}

#[test]
fn a_full_table_ends_the_batch_and_loses_nothing() {
    let mut source = SourceDriver::<Stumbling>::open([("topics", "true")]).unwrap();
    let mut seen = 0;
    for _ in 0..4 {
        let Ok(polled) = source.poll_at_most(u32::MAX, u32::MAX) else {
            continue;
        };
        for record in polled.records {
            assert_eq!(record.text(), seen.to_string());
            seen += 1;
        }
    }
    assert!(seen >= 2 * TABLE_SIZE, "{seen}");
}

#[test]
fn waits_are_rounded_up() {
    let mut source = SourceDriver::<Stumbling>::open(Settings::default()).unwrap();
    assert_eq!(
        source.poll_at_most(1, 1000).unwrap().wait,
        Duration::from_millis(1)
    );
}

#[test]
fn calls_on_a_task_that_is_not_open_are_answers() {
    let mut task = SourceTask::<Stumbling>::new();
    assert!(matches!(task.poll(1, 1, 0), Err(Failure::Fatal(_))));
    assert!(matches!(task.committed(&[]), Err(Failure::Fatal(_))));
    assert_eq!(task.close(), Ok(()));
}

/// Knows where it was.
struct Remembering;

impl Connector for Remembering {
    fn describe() -> Description {
        Description::new("remembering", "1.0.0", "")
    }
}

impl Sink for Remembering {
    fn open(_: &Settings, context: SinkContext) -> Result<Self> {
        context.pause(&context.assignment());
        Ok(Self)
    }

    fn assigned(&mut self, queues: &[QueueOffset]) -> Result<Vec<QueueOffset>> {
        Ok(queues
            .iter()
            .map(|from| QueueOffset {
                next: from.next + 5,
                ..from.clone()
            })
            .collect())
    }

    fn put(&mut self, records: &View<'_>) -> Result<Vec<Rejected>> {
        let nulls = records.records().filter(|record| record.value().is_none());
        Ok(nulls.map(|record| Rejected::new(&record, "null")).collect())
    }
}

#[test]
fn a_sink_may_answer_where_to_start_for_the_first_queues_too() {
    let queue = QueueOffset {
        queue: Queue::new("t", "b", 3),
        next: 7,
    };
    let (sink, start) =
        SinkDriver::<Remembering>::open_with(Settings::default(), std::slice::from_ref(&queue))
            .unwrap();
    assert_eq!(
        start,
        [QueueOffset {
            next: 12,
            ..queue.clone()
        }]
    );
    assert_eq!(sink.paused(), [queue.queue]);
}

#[test]
fn null_and_empty_are_told_apart() {
    let mut sink = SinkDriver::<Remembering>::open(Settings::default()).unwrap();
    let null = crate::testing::TestRecord::default();
    assert_eq!(
        sink.put(&[record(""), null]).unwrap(),
        [Rejected {
            index: 1,
            reason: "null".into()
        }]
    );
}
