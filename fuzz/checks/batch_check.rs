//! Batches of a hostile plugin against the check at the wall. Must look at everything that an accepted batch offers.

use arbitrary::Arbitrary;
use connect_record::{Batch, Limits, Origin};
use connect_rows::{Builder, Editor, Parts, View};

#[derive(Arbitrary, Debug)]
pub(crate) struct Input {
    inputs: Option<u8>,
    /// A batch that is well made, to start from …
    records: Vec<Made>,
    /// … and what is done to it.
    damage: Vec<Damage>,
}

#[derive(Arbitrary, Debug)]
struct Made {
    topic: u8,
    schema: Option<u8>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(u8, Vec<u8>)>,
    position: Option<Vec<u8>>,
    origin: u8,
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Entry { at: u16, bytes: [u8; 4] },
    Header { at: u16, bytes: [u8; 4] },
    Entries(Vec<u8>),
    Headers(Vec<u8>),
    Arena(Vec<u8>),
    Sizes(u32, u32),
    Topics(Vec<String>),
    Schemas(Vec<String>),
    Names(Vec<String>),
}

pub(crate) fn check(input: &Input) {
    let parts = parts(input);
    let origin = match input.inputs {
        None => Origin::Source,
        Some(inputs) => Origin::Transform {
            inputs: inputs.into(),
        },
    };
    let limits = Limits {
        payload: 1 << 16,
        headers: 1 << 10,
        ..Limits::default()
    };
    let Ok(batch) = Batch::check(parts.clone(), origin, &limits) else {
        // A guest's own code never sees such a batch, and must survive it all the same.
        View::new(&parts).records().for_each(|record| {
            record.headers().take(1 << 10).for_each(drop);
        });
        return;
    };
    let view = View::new(&parts);
    assert_eq!(batch.len(), view.len());
    for (record, seen) in batch.records().zip(view) {
        assert_eq!(record.topic(), seen.topic());
        assert_eq!(record.partition(), seen.partition());
        assert_eq!(record.key().as_deref(), seen.key());
        assert_eq!(record.value().as_deref(), seen.value());
        assert_eq!(record.position().as_deref(), seen.position());
        assert_eq!(
            record.key_schema().map(|schema| schema.document()),
            seen.key_schema()
        );
        assert_eq!(
            record.value_schema().map(|schema| schema.document()),
            seen.value_schema()
        );
        assert!(
            record
                .headers()
                .map(|(name, value)| (name, value.to_vec()))
                .eq(seen.headers().map(owned))
        );
    }
    assert_eq!(batch.into_parts(), parts);

    // What was accepted stays acceptable through an edit, as far as the limits go.
    let mut editor = Editor::new(parts);
    for index in 0..editor.len() {
        let mut record = editor.record(index).expect("below the length");
        record
            .set_header("a", b"edited")
            .expect("far from the limits of 32 bits");
        assert_eq!(
            record.view().and_then(|record| record.header("a")),
            Some(&b"edited"[..])
        );
    }
    let inputs = u32::try_from(editor.len()).expect("a few");
    let wide = Limits {
        payload: u64::MAX,
        headers: u32::MAX,
        bytes: u64::MAX,
        ..Limits::default()
    };
    Batch::check(editor.finish(), Origin::Transform { inputs }, &wide)
        .expect("an edited batch is well made");
}

fn owned<'a>((name, value): (&'a str, &[u8])) -> (&'a str, Vec<u8>) {
    (name, value.to_vec())
}

fn parts(input: &Input) -> Parts {
    const SCHEMAS: [&str; 3] = [
        r#"{"type":"string"}"#,
        r#"{"type":"bytes"}"#,
        r#"{"type":"int64"}"#,
    ];
    let mut builder = Builder::new();
    for made in &input.records {
        let mut record = builder
            .add()
            .topic(["", "a", "b"][usize::from(made.topic % 3)])
            .origin(made.origin.into());
        if let Some(schema) = made.schema {
            record = record.value_schema(SCHEMAS[usize::from(schema % 3)]);
        }
        if let Some(key) = &made.key {
            record = record.key(key);
        }
        if let Some(value) = &made.value {
            record = record.value(value);
        }
        for (name, value) in &made.headers {
            record = record.header(["a", "b", "c"][usize::from(name % 3)], value);
        }
        if let Some(position) = &made.position {
            record = record.position(position);
        }
        record.finish().expect("a fuzz input is small");
    }
    let mut parts = builder.finish();
    for damage in &input.damage {
        match damage {
            Damage::Entry { at, bytes } => write(&mut parts.entries, *at, *bytes),
            Damage::Header { at, bytes } => write(&mut parts.headers, *at, *bytes),
            Damage::Entries(rows) => parts.entries.clone_from(rows),
            Damage::Headers(rows) => parts.headers.clone_from(rows),
            Damage::Arena(bytes) => parts.arena.clone_from(bytes),
            Damage::Sizes(entry, header) => {
                (parts.entry_size, parts.header_size) = (*entry, *header)
            }
            Damage::Topics(texts) => parts.topics.clone_from(texts),
            Damage::Schemas(texts) => parts.schemas.clone_from(texts),
            Damage::Names(texts) => parts.names.clone_from(texts),
        }
    }
    parts
}

fn write(rows: &mut [u8], at: u16, bytes: [u8; 4]) {
    let at = usize::from(at) * 4;
    if let Some(place) = rows.get_mut(at..at + 4) {
        place.copy_from_slice(&bytes);
    }
}
