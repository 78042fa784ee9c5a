//! Round trips against a plain model, and reading of whatever bytes there may be. Must cover every field of a row:
//! the layout is frozen once it is released.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{Builder, Editor, Entry, EntryRow, HeaderRow, Parts, RecordView, Span, View, has};

/// A record as plain values.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    topic: String,
    partition: String,
    key_schema: Option<String>,
    value_schema: Option<String>,
    offset: u64,
    timestamp: u64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    position: Option<Vec<u8>>,
    origin: u32,
}

impl Model {
    fn of(record: RecordView<'_>) -> Self {
        Self {
            topic: record.topic().into(),
            partition: record.partition().into(),
            key_schema: record.key_schema().map(Into::into),
            value_schema: record.value_schema().map(Into::into),
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key().map(Into::into),
            value: record.value().map(Into::into),
            headers: record
                .headers()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            position: record.position().map(Into::into),
            origin: record.origin(),
        }
    }

    fn add(&self, builder: &mut Builder) {
        self.begin(builder).finish().unwrap();
    }

    fn begin<'a>(&self, builder: &'a mut Builder) -> crate::RecordBuilder<'a> {
        let mut record = builder
            .add()
            .offset(self.offset)
            .timestamp(self.timestamp)
            .origin(self.origin);
        record = record.topic(&self.topic).partition(&self.partition);
        if let Some(schema) = &self.key_schema {
            record = record.key_schema(schema);
        }
        if let Some(schema) = &self.value_schema {
            record = record.value_schema(schema);
        }
        if let Some(key) = &self.key {
            record = record.key(key);
        }
        if let Some(value) = &self.value {
            record = record.value(value);
        }
        for (name, value) in &self.headers {
            record = record.header(name, value);
        }
        if let Some(position) = &self.position {
            record = record.position(position);
        }
        record
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-f]", "[a-z0-9/\t]{0,12}", "\\PC{0,5}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn model() -> impl Strategy<Value = Model> {
    let texts = (text(), text(), option::of(text()), option::of(text()));
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>());
    let payload = (
        option::of(bytes()),
        option::of(bytes()),
        option::of(bytes()),
        vec((text(), bytes()), 0..6),
    );
    (texts, numbers, payload).prop_map(|(texts, numbers, payload)| Model {
        topic: texts.0,
        partition: texts.1,
        key_schema: texts.2,
        value_schema: texts.3,
        offset: numbers.0,
        timestamp: numbers.1,
        origin: numbers.2,
        key: payload.0,
        value: payload.1,
        position: payload.2,
        headers: payload.3,
    })
}

fn models() -> impl Strategy<Value = Vec<Model>> {
    vec(model(), 0..12)
}

fn build(models: &[Model]) -> Parts {
    let mut builder = Builder::new();
    models.iter().for_each(|model| model.add(&mut builder));
    builder.finish()
}

fn read(parts: &Parts) -> Vec<Model> {
    View::new(parts).records().map(Model::of).collect()
}

/// Widens every row as a later minor version would, with `junk` in the fields that this version does not know.
fn widen(rows: &[u8], size: u32, by: usize, junk: u8) -> (Vec<u8>, u32) {
    let wide = rows
        .chunks(size as usize)
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(junk, by)));
    (wide.collect(), size + by as u32)
}

/// Parts that no one made sense of; small numbers, so that many of them do point somewhere.
fn nonsense() -> impl Strategy<Value = Parts> {
    let number = prop_oneof![4 => 0..6u32, 1 => 0..200u32, 1 => any::<u32>()];
    let rows = vec(
        prop_oneof![6 => Just(0u8), 3 => 0..8u8, 1 => any::<u8>()],
        0..260,
    );
    let tables = (
        vec(text(), 0..3),
        vec(text(), 0..3),
        vec(text(), 0..3),
        vec(text(), 0..3),
    );
    let sizes = (
        prop_oneof![Just(64u32), Just(80), number.clone()],
        prop_oneof![Just(12u32), Just(16), number],
    );
    (tables, sizes, rows.clone(), rows, bytes()).prop_map(
        |(tables, sizes, entries, headers, arena)| Parts {
            topics: tables.0,
            partitions: tables.1,
            schemas: tables.2,
            names: tables.3,
            entry_size: sizes.0,
            header_size: sizes.1,
            entries,
            headers,
            arena,
        },
    )
}

proptest! {
    #[test]
    fn what_is_built_reads_back(models in models()) {
        let parts = build(&models);
        prop_assert_eq!(parts.records(), models.len());
        prop_assert_eq!(View::new(&parts).records().len(), models.len());
        prop_assert_eq!(&read(&parts), &models);
        for (index, model) in models.iter().enumerate() {
            let record = View::new(&parts).record(index).unwrap();
            prop_assert_eq!(record.index() as usize, index);
            prop_assert_eq!(&Model::of(record), model);
        }
        prop_assert!(View::new(&parts).record(models.len()).is_none());
    }

    #[test]
    fn each_text_enters_once(models in models()) {
        let parts = build(&models);
        for table in [&parts.topics, &parts.partitions, &parts.schemas, &parts.names] {
            let distinct: std::collections::HashSet<_> = table.iter().collect();
            prop_assert_eq!(distinct.len(), table.len());
        }
    }

    #[test]
    fn a_record_that_is_not_finished_leaves_nothing(models in models(), dropped in vec(any::<bool>(), 12)) {
        let mut builder = Builder::new();
        let mut kept = Vec::new();
        for (model, dropped) in models.iter().zip(dropped) {
            if dropped {
                drop(model.begin(&mut builder));
            } else {
                model.add(&mut builder);
                kept.push(model.clone());
            }
        }
        let used = builder.arena_bytes();
        let parts = builder.finish();
        prop_assert_eq!(parts.arena.len(), used);
        prop_assert_eq!(parts.headers.len(), kept.iter().map(|model| model.headers.len()).sum::<usize>() * 12);
        prop_assert_eq!(read(&parts), kept);
    }

    #[test]
    fn a_taken_builder_starts_anew(first in models(), second in models()) {
        let mut builder = Builder::with_capacity(10, 100);
        first.iter().for_each(|model| model.add(&mut builder));
        prop_assert_eq!(read(&builder.take()), first);
        prop_assert!(builder.is_empty());
        second.iter().for_each(|model| model.add(&mut builder));
        prop_assert_eq!(builder.len(), second.len());
        let parts = builder.finish();
        prop_assert_eq!(&parts, &build(&second));
    }

    #[test]
    fn longer_rows_of_a_later_version_read_the_same(models in models(), by in (0..20usize, 0..20usize), junk: u8) {
        let mut parts = build(&models);
        (parts.entries, parts.entry_size) = widen(&parts.entries, parts.entry_size, by.0, junk);
        (parts.headers, parts.header_size) = widen(&parts.headers, parts.header_size, by.1, junk);
        prop_assert_eq!(read(&parts), models);
    }

    #[test]
    fn any_row_reads_as_it_was_written(row in vec(any::<u8>(), 64)) {
        let mut row = row;
        row[57] = 0;
        row[58] = 0;
        row[59] = 0;
        let entry = Entry::of(&row).unwrap();
        let values = EntryRow::read(&row).unwrap();
        prop_assert_eq!(EntryRow::read(&values.to_bytes()), Some(values));
        if entry.bits() == has::ALL {
            prop_assert_eq!(&values.to_bytes()[..], &row[..]);
        }
        prop_assert_eq!(values.key.is_some(), entry.bits() & has::KEY != 0);
        prop_assert_eq!(values.key.unwrap_or(entry.key_raw()), entry.key_raw());
        prop_assert_eq!(values.position.unwrap_or(entry.position_raw()), entry.position_raw());
        let header = HeaderRow::read(&row).unwrap();
        prop_assert_eq!(HeaderRow::read(&header.to_bytes()), Some(header));
    }

    #[test]
    fn nonsense_is_read_without_a_panic(parts in nonsense()) {
        let view = View::new(&parts);
        prop_assert_eq!(view.records().count(), view.len());
        prop_assert!(view.record(view.len()).is_none() && view.record(usize::MAX).is_none());
        for record in view {
            Model::of(record);
            record.header("a");
        }
    }

    #[test]
    fn nonsense_is_edited_without_a_panic(parts in nonsense(), value in bytes()) {
        let mut editor = Editor::new(parts);
        for index in 0..editor.len() {
            let mut record = editor.record(index).unwrap();
            let edits = [
                record.set_header("a", &value),
                record.set_header("new", &value),
                record.set_value(Some(&value)),
                record.set_key(None),
                record.set_topic("t"),
            ];
            prop_assert!(edits[2..].iter().all(Result::is_ok));
            prop_assert_eq!(record.view().unwrap().value(), Some(&value[..]));
        }
        read(&editor.finish());
    }

    #[test]
    fn an_edit_changes_that_and_nothing_else(
        models in vec(model(), 1..12),
        shared: bool,
        by in 0..9usize,
        edits in vec((any::<prop::sample::Index>(), 0..4u8, text(), option::of(bytes())), 0..20),
    ) {
        let mut parts = build(&models);
        let mut models = models;
        (parts.entries, parts.entry_size) = widen(&parts.entries, 64, by, 7);
        (parts.headers, parts.header_size) = widen(&parts.headers, 12, by, 7);
        if shared {
            // Everyone refers to the headers of the last record.
            let size = parts.entry_size as usize;
            let run = parts.entries[parts.entries.len() - size..][40..48].to_vec();
            parts.entries.chunks_mut(size).for_each(|row| row[40..48].copy_from_slice(&run));
            let headers = models.last().unwrap().headers.clone();
            models.iter_mut().for_each(|model| model.headers.clone_from(&headers));
        }
        let mut editor = Editor::new(parts);
        (0u32..).zip(&mut models).for_each(|(index, model)| model.origin = index);
        for (index, what, name, value) in edits {
            let index = index.index(models.len());
            let model = &mut models[index];
            let mut record = editor.record(index).unwrap();
            match what {
                0 => {
                    record.set_topic(&name).unwrap();
                    model.topic = name;
                }
                1 => {
                    record.set_key(value.as_deref()).unwrap();
                    model.key = value;
                }
                2 => {
                    record.set_value(value.as_deref()).unwrap();
                    model.value = value;
                }
                _ => {
                    let value = value.unwrap_or_default();
                    record.set_header(&name, &value).unwrap();
                    match model.headers.iter_mut().find(|(known, _)| *known == name) {
                        Some(header) => header.1 = value,
                        None => model.headers.push((name, value)),
                    }
                }
            }
            prop_assert_eq!(&Model::of(record.view().unwrap()), &models[index]);
        }
        prop_assert_eq!(read(&editor.finish()), models);
    }
}

/// The layout, byte by byte: a change here breaks every plugin that is already compiled.
#[test]
fn the_layout_is_the_one_of_the_wit() {
    let span = |offset, length| Span { offset, length };
    let row = EntryRow {
        topic: 0x0102,
        partition: 0x0304,
        key_schema: Some(0x0506),
        value_schema: Some(0x0708),
        offset: 0x1112_1314_1516_1718,
        timestamp: 0x2122_2324_2526_2728,
        key: Some(span(0x3132_3334, 0x3536_3738)),
        value: Some(span(0x4142_4344, 0x4546_4748)),
        first: 0x5152_5354,
        count: 0x5556_5758,
        position: Some(span(0x6162_6364, 0x6566_6768)),
        origin: 0x7172_7374,
    };
    let expected = "0201 0403 0605 0807 1817161514131211 2827262524232221 34333231 38373635 44434241 48474645 \
                    54535251 58575655 64636261 68676665 1f000000 74737271";
    assert_eq!(hex(&row.to_bytes()), expected.replace(' ', ""));
    let header = HeaderRow {
        name: 0x0102,
        value: span(0x3132_3334, 0x3536_3738),
    };
    assert_eq!(
        hex(&header.to_bytes()),
        "0201000034333231 38373635".replace(' ', "")
    );
    assert_eq!(hex(&EntryRow::default().to_bytes()), "00".repeat(64));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field that is absent stays zero, and each presence bit is its own.
#[test]
fn presence_bits() {
    for (bit, row) in [
        (
            has::KEY,
            EntryRow {
                key: Some(Span::default()),
                ..EntryRow::default()
            },
        ),
        (
            has::VALUE,
            EntryRow {
                value: Some(Span::default()),
                ..EntryRow::default()
            },
        ),
        (
            has::POSITION,
            EntryRow {
                position: Some(Span::default()),
                ..EntryRow::default()
            },
        ),
        (
            has::KEY_SCHEMA,
            EntryRow {
                key_schema: Some(0),
                ..EntryRow::default()
            },
        ),
        (
            has::VALUE_SCHEMA,
            EntryRow {
                value_schema: Some(0),
                ..EntryRow::default()
            },
        ),
    ] {
        assert_eq!(Entry::of(&row.to_bytes()).unwrap().bits(), bit);
        assert_eq!(EntryRow::read(&row.to_bytes()), Some(row));
    }
}

#[test]
fn too_many_topics_are_refused_and_the_batch_stays_usable() {
    let mut builder = Builder::new();
    for number in 0..crate::TABLE_SIZE {
        builder.add().topic(&number.to_string()).finish().unwrap();
    }
    let refused = builder
        .add()
        .topic("one more")
        .value(b"lost")
        .finish()
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a batch holds at most 65535 different topics"
    );
    assert_eq!(
        builder.add().value(b"x").finish(),
        Err(refused),
        "the empty topic would be one more"
    );
    builder.add().topic("7").value(b"kept").finish().unwrap();
    let parts = builder.finish();
    assert_eq!(parts.arena, b"kept");
    assert_eq!(
        View::new(&parts).record(crate::TABLE_SIZE).unwrap().topic(),
        "7"
    );
}

#[test]
fn a_span_that_does_not_fit_is_absent() {
    assert_eq!(
        Span {
            offset: 1,
            length: 2
        }
        .of(b"abc"),
        Some(&b"bc"[..])
    );
    assert_eq!(
        Span {
            offset: 3,
            length: 0
        }
        .of(b"abc"),
        Some(&b""[..])
    );
    assert_eq!(
        Span {
            offset: 2,
            length: 2
        }
        .of(b"abc"),
        None
    );
    assert_eq!(
        Span {
            offset: u32::MAX,
            length: u32::MAX
        }
        .of(b"abc"),
        None
    );
    assert_eq!(
        Span {
            offset: u32::MAX,
            length: u32::MAX
        }
        .end(),
        2 * u64::from(u32::MAX)
    );
}
