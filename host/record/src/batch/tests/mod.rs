//! Tests of the check and of what it lets through.

mod errors;
mod oracle;
mod random;
mod round;

use connect_rows::{Builder, EntryRow, HeaderRow, Parts, View};

use super::{Batch, BatchError, Origin};
use crate::Limits;

fn check(parts: Parts) -> Result<Batch, BatchError> {
    Batch::check(parts, Origin::Source, &Limits::default())
}

/// Three records with everything that a record can have.
fn sample() -> Parts {
    let mut builder = Builder::new();
    for number in 0..3u8 {
        let record = builder
            .add()
            .topic("orders")
            .partition("p")
            .key(&[number])
            .value(b"value")
            .timestamp(7);
        let record = record
            .value_schema(r#"{"type":"string"}"#)
            .key_schema(r#"{"type":"bytes"}"#);
        record
            .header("a", b"1")
            .header("b", &[number; 9])
            .position(&[number; 4])
            .offset(1)
            .finish()
            .unwrap();
    }
    builder.finish()
}

/// Changes the entry at `index`.
fn entry(parts: &mut Parts, index: usize, change: impl FnOnce(&mut EntryRow)) {
    let row = &mut parts.entries[index * 64..][..64];
    let mut values = EntryRow::read(row).unwrap();
    change(&mut values);
    row.copy_from_slice(&values.to_bytes());
}

/// Changes the header row at `index`.
fn header(parts: &mut Parts, index: usize, change: impl FnOnce(&mut HeaderRow)) {
    let row = &mut parts.headers[index * 12..][..12];
    let mut values = HeaderRow::read(row).unwrap();
    change(&mut values);
    row.copy_from_slice(&values.to_bytes());
}

/// Everything that can be read from a batch is what a view of its parts reads.
fn assert_reads(batch: &Batch, parts: &Parts) {
    let view = View::new(parts);
    assert_eq!(batch.len(), view.len());
    assert_eq!(batch.is_empty(), view.is_empty());
    assert_eq!(batch.records().len(), view.len());
    assert!(batch.record(batch.len()).is_none());
    for (index, (record, expected)) in batch.records().zip(view).enumerate() {
        assert_eq!(record.index(), index);
        assert_eq!(record.topic(), expected.topic());
        assert_eq!(record.partition(), expected.partition());
        assert_eq!(record.key().as_deref(), expected.key());
        assert_eq!(record.value().as_deref(), expected.value());
        assert_eq!(record.position().as_deref(), expected.position());
        assert_eq!(
            record.key_schema().map(|schema| schema.document()),
            expected.key_schema()
        );
        assert_eq!(
            record.value_schema().map(|schema| schema.document()),
            expected.value_schema()
        );
        let (headers, others) = (record.headers(), expected.headers());
        assert_eq!(headers.len(), expected.headers().count());
        assert!(
            headers
                .zip(others)
                .all(|(one, other)| one.0 == other.0 && one.1 == other.1)
        );
        assert_eq!(record.offset(), expected.offset());
        assert_eq!(record.timestamp(), expected.timestamp());
        assert_eq!(record.origin(), expected.origin());
        let again = batch.record(index).unwrap();
        assert_eq!((again.index(), again.value()), (index, record.value()));
    }
}

#[test]
fn the_sample_passes_and_reads_back() {
    let parts = sample();
    let batch = check(parts.clone()).unwrap();
    assert_reads(&batch, &parts);
    assert_eq!(
        batch.bytes(),
        parts.entries.len() + parts.headers.len() + parts.arena.len()
    );
    let other = batch.clone();
    let value = other.record(0).unwrap().value().unwrap();
    assert_eq!(batch.into_parts(), parts, "copied while shared");
    assert_eq!(other.into_parts(), parts, "copied while a slice is alive");
    assert_eq!(&value[..], b"value");
}

#[test]
fn slices_are_not_copies() {
    let parts = sample();
    let arena = parts.arena.as_ptr_range();
    let batch = check(parts).unwrap();
    for record in batch.records() {
        let headers: Vec<_> = record.headers().map(|(_, value)| value).collect();
        for bytes in [record.key(), record.value(), record.position()]
            .into_iter()
            .flatten()
            .chain(headers)
        {
            assert!(arena.contains(&bytes.as_ptr()));
        }
    }
    assert_eq!(
        batch.into_parts().arena.as_ptr_range(),
        arena,
        "the only owner gets its memory back"
    );
}

#[test]
fn empty_batches() {
    assert!(Batch::empty().is_empty());
    assert_eq!(Batch::empty().records().count(), 0);
    assert_eq!(Batch::empty().into_parts(), Parts::default());
    assert_reads(&check(Parts::default()).unwrap(), &Parts::default());
}

#[test]
fn absent_is_not_empty() {
    let mut builder = Builder::new();
    builder.add().key(b"").finish().unwrap();
    builder.add().value(b"").finish().unwrap();
    let batch = check(builder.finish()).unwrap();
    let [first, second] = [batch.record(0).unwrap(), batch.record(1).unwrap()];
    assert_eq!(
        (first.key().as_deref(), first.value()),
        (Some(&b""[..]), None)
    );
    assert_eq!(
        (second.key(), second.value().as_deref()),
        (None, Some(&b""[..]))
    );
}

#[test]
fn nothing_of_the_payload_is_shown() {
    let mut builder = Builder::new();
    builder
        .add()
        .topic("t")
        .key(b"secret-key")
        .value(b"secret-value")
        .header("h", b"secret")
        .finish()
        .unwrap();
    let batch = check(builder.finish()).unwrap();
    let text = format!("{batch:?} {:?}", batch.record(0).unwrap());
    assert_eq!(
        text,
        "Batch { records: 1, bytes: 104 } Record { index: 0, topic: \"t\", partition: \"\", offset: 0, .. }"
    );
}
