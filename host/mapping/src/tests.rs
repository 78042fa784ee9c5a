//! What goes out as a message comes back as the same record.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use connect_broker::{Incoming, Outgoing};
use connect_convert::{Converter, converter};
use connect_record::{Batch, Limits, Origin, Queue};
use connect_rows::{Builder, View};
use proptest::prelude::*;

use crate::{append_message, message_of};

fn text() -> Arc<dyn Converter> {
    converter("string", &BTreeMap::new(), false).unwrap()
}

fn batch(build: impl FnOnce(&mut Builder)) -> Batch {
    let mut builder = Builder::new();
    build(&mut builder);
    Batch::check(builder.finish(), Origin::Source, &Limits::default()).unwrap()
}

fn outgoing(batch: &Batch) -> Result<Outgoing, crate::MappingError> {
    message_of(&batch.record(0).unwrap(), &*text(), &*text())
}

/// The message as a broker would give it back.
fn incoming(sent: Outgoing) -> Incoming {
    let mut properties = sent.properties;
    properties.extend(sent.keys.map(|keys| ("KEYS".to_owned(), keys)));
    properties.extend(sent.tags.map(|tags| ("TAGS".to_owned(), tags)));
    properties.push(("UNIQ_KEY".into(), "id-1".into()));
    Incoming {
        queue_offset: 7,
        broker_id: String::new(),
        born_timestamp: 99,
        store_timestamp: 100,
        body: sent.body,
        properties: properties.into_iter().collect(),
    }
}

fn back(sent: Outgoing) -> connect_rows::Parts {
    let queue = Queue::new("t", "b", 3);
    let mut builder = Builder::new();
    append_message(
        &mut builder,
        &queue,
        "t\tb\t3",
        &incoming(sent),
        &*text(),
        &*text(),
    )
    .unwrap();
    builder.finish()
}

#[test]
fn properties_carry_the_java_names() {
    let batch = batch(|builder| {
        let record = builder
            .add()
            .topic("t")
            .partition("p")
            .timestamp(1_700)
            .key(b"k1")
            .value(b"v");
        record
            .header("colour", b"red")
            .header("TAGS", b"blue")
            .finish()
            .unwrap();
    });
    let message = outgoing(&batch).unwrap();
    assert_eq!(message.keys.as_deref(), Some("k1"));
    assert_eq!(message.tags.as_deref(), Some("blue"));
    assert_eq!(&message.body[..], b"v");
    assert_eq!(
        message.properties,
        [
            ("connect.timestamp".to_owned(), "1700".to_owned()),
            ("connect-ext-colour".to_owned(), "red".to_owned())
        ]
    );
    let parts = back(message);
    let view = View::new(&parts);
    let record = view.record(0).unwrap();
    assert_eq!(
        (record.topic(), record.offset(), record.timestamp()),
        ("t", 7, 1_700)
    );
    assert_eq!(record.key(), Some(&b"k1"[..]));
    assert_eq!(record.header("colour"), Some(&b"red"[..]));
    assert_eq!(record.header("MQ-SYS-TAGS"), Some(&b"blue"[..]));
    assert_eq!(record.header("MQ-SYS-MSG_ID"), Some(&b"id-1"[..]));
    assert_eq!(record.header("KEYS"), None);
}

#[test]
fn null_and_empty_stay_apart() {
    let null = batch(|builder| builder.add().topic("t").partition("p").finish().unwrap());
    let message = outgoing(&null).unwrap();
    assert_eq!(
        message.properties,
        [("connect.value".to_owned(), "null".to_owned())]
    );
    let parts = back(message);
    assert_eq!(View::new(&parts).record(0).unwrap().value(), None);

    let empty = batch(|builder| {
        builder
            .add()
            .topic("t")
            .partition("p")
            .value(b"")
            .key(b"")
            .finish()
            .unwrap()
    });
    let message = outgoing(&empty).unwrap();
    assert_eq!(message.body.len(), 1);
    let parts = back(message);
    let view = View::new(&parts);
    assert_eq!(view.record(0).unwrap().value(), Some(&b""[..]));
    assert_eq!(view.record(0).unwrap().key(), Some(&b""[..]));
}

#[test]
fn a_header_that_cannot_be_a_property_is_an_error() {
    for name in ["", "a,b", "a\u{1}b"] {
        let batch = batch(|builder| {
            builder
                .add()
                .topic("t")
                .partition("p")
                .value(b"v")
                .header(name, b"x")
                .finish()
                .unwrap();
        });
        let error = outgoing(&batch).unwrap_err();
        assert!(
            error.to_string().contains("header name"),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn too_much_in_the_properties_is_an_error_that_says_so() {
    let batch = batch(|builder| {
        builder
            .add()
            .topic("t")
            .partition("p")
            .value(b"v")
            .header("big", &[b'x'; 40_000])
            .finish()
            .unwrap();
    });
    assert!(matches!(
        outgoing(&batch).unwrap_err(),
        crate::MappingError::Message(_)
    ));
}

#[test]
fn a_message_that_cannot_be_read_leaves_nothing_in_the_batch() {
    let queue = Queue::new("t", "b", 3);
    let mut builder = Builder::new();
    let mut append = |properties: Vec<(String, String)>| {
        let message = Incoming {
            queue_offset: 7,
            broker_id: "id".into(),
            born_timestamp: 99,
            store_timestamp: 100,
            body: Bytes::from_static(b"body"),
            properties: properties.into_iter().collect(),
        };
        append_message(&mut builder, &queue, "p", &message, &*text(), &*text())
    };
    // more names than a batch has places for
    for bad in 0..20 {
        let names = (0..5_000).map(|number| (format!("{bad}-{number}"), "x".to_owned()));
        let mut properties: Vec<_> = names.collect();
        properties.push(("connect.base64-headers".into(), "binary".into()));
        properties.push(("connect-ext-binary".into(), "no base64!".into()));
        let error = append(properties).unwrap_err();
        assert!(matches!(error, crate::MappingError::Property { .. }));
    }
    append(vec![("good".into(), "yes".into())]).unwrap();
    let parts = builder.finish();
    assert_eq!((View::new(&parts).len(), parts.names.len()), (1, 2));
}

proptest! {
    #[test]
    fn any_record_comes_back(
        key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        headers in proptest::collection::btree_map("[a-z-]{1,8}", proptest::collection::vec(any::<u8>(), 0..20), 0..5),
    ) {
        let batch = batch(|builder| {
            let mut record = builder.add().topic("t").partition("p").timestamp(5);
            if let Some(key) = &key {
                record = record.key(key);
            }
            if let Some(value) = &value {
                record = record.value(value);
            }
            for (name, value) in &headers {
                record = record.header(name, value);
            }
            record.finish().unwrap();
        });
        let parts = back(outgoing(&batch).unwrap());
        let view = View::new(&parts);
        let record = view.record(0).unwrap();
        prop_assert_eq!(record.key().map(<[u8]>::to_vec), key);
        prop_assert_eq!(record.value().map(Bytes::copy_from_slice), value.map(Bytes::from));
        for (name, value) in &headers {
            prop_assert_eq!(record.header(name), Some(value.as_slice()), "{}", name);
        }
    }
}
