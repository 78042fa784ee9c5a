//! Records to messages and back: keys, headers, properties, and the text of 256 bytes between them.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use connect_bench::Case;
use connect_broker::Incoming;
use connect_mapping::{append_message, message_of};
use connect_record::{Batch, Limits, Origin, Queue};
use connect_rows::Builder;

use crate::Step;
use crate::converters::named;

/// Messages that make one batch.
const BATCH: usize = 512;
/// The headers of a record that has some.
const HEADERS: [(&str, &[u8]); 4] = [
    ("content-type", b"text/plain"),
    ("trace-id", b"4bf92f3577b34da6a3ce929d0e0e4736"),
    ("origin-host", b"shop-7"),
    ("attempt", b"1"),
];

/// Both ways, without headers and with some.
pub(crate) fn steps() -> Result<Vec<Step<'static>>> {
    let text = named("string", &[])?;
    let mut steps = Vec::new();
    for (headers, to, back) in [
        (
            &HEADERS[..0],
            "a record to a message, with a key",
            "a message to a record, with a key",
        ),
        (
            &HEADERS[..],
            "a record to a message, with a key and 4 headers",
            "a message to a record, with a key and 4 headers",
        ),
    ] {
        let batch = batch(headers)?;
        let record = batch.record(0).context("there is one record")?;
        let sent = message_of(&record, &*text, &*text)?;
        let mut properties = sent.properties;
        properties.extend(sent.keys.map(|keys| ("KEYS".to_owned(), keys)));
        // as a producer and a broker add them
        properties.push(("UNIQ_KEY".into(), "7F0000010A0B5A07C0DE00000001".into()));
        properties.push(("WAIT".into(), "true".into()));
        let message = Incoming {
            queue_offset: 7,
            broker_id: String::new(),
            born_timestamp: 1_700_000_000_000,
            store_timestamp: 1_700_000_000_001,
            body: sent.body,
            properties: properties.into_iter().collect(),
        };
        let (keys, values) = (text.clone(), text.clone());
        steps.push(Step {
            name: to,
            baseline: None,
            records: 1,
            case: Case::new(move || {
                let record = batch.record(0);
                drop(black_box(
                    record.map(|record| message_of(&record, &*keys, &*values)),
                ));
            }),
        });
        let (keys, values) = (text.clone(), text.clone());
        let queue = Queue::new("orders", "broker", 3);
        let fill = move || {
            let mut builder = Builder::with_capacity(BATCH, BATCH * message.bytes());
            for _ in 0..BATCH {
                append_message(
                    &mut builder,
                    &queue,
                    "orders/broker/3",
                    &message,
                    &*keys,
                    &*values,
                )?;
            }
            Ok::<_, connect_mapping::MappingError>(builder.finish())
        };
        ensure!(!fill()?.entries.is_empty(), "no message became a record");
        steps.push(Step {
            name: back,
            baseline: None,
            records: BATCH,
            case: Case::new(move || drop(black_box(fill()))),
        });
    }
    Ok(steps)
}

fn batch(headers: &[(&str, &[u8])]) -> Result<Batch> {
    let value = Bytes::from("x".repeat(256));
    let mut builder = Builder::new();
    let mut record = builder
        .add()
        .topic("orders")
        .partition("shop-7/orders.log")
        .key(b"order-4711")
        .value(&value)
        .timestamp(1_700_000_000_000);
    for (name, value) in headers {
        record = record.header(name, value);
    }
    record.finish()?;
    let parts = builder.finish();
    Ok(Batch::check(parts, Origin::Source, &Limits::default())?)
}
