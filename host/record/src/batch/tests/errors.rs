//! One test per thing that can be wrong with a batch, and the text that names it. Must see the text: it is what
//! someone who writes a plugin has to work with.

use connect_rows::Span;

use super::*;

fn refused(parts: Parts) -> String {
    check(parts).unwrap_err().to_string()
}

fn refused_by(limits: Limits) -> String {
    Batch::check(sample(), Origin::Source, &limits)
        .unwrap_err()
        .to_string()
}

fn refused_entry(index: usize, change: impl FnOnce(&mut EntryRow)) -> String {
    let mut parts = sample();
    entry(&mut parts, index, change);
    refused(parts)
}

fn damaged(at: usize, byte: u8) -> String {
    let mut parts = sample();
    parts.entries[at] = byte;
    refused(parts)
}

#[test]
fn reserved_header_names() {
    let mut parts = sample();
    parts.names[0] = ":offset".into();
    assert_eq!(
        refused(parts),
        "header name 0 of the batch begins with `:`, which is kept for the interface"
    );
}

#[test]
fn row_sizes() {
    let size = |entry_size, header_size| Parts {
        entry_size,
        header_size,
        ..sample()
    };
    assert_eq!(
        refused(size(63, 12)),
        "entry-size is 63, but must be from 64 to 1024"
    );
    assert_eq!(
        refused(size(0, 12)),
        "entry-size is 0, but must be from 64 to 1024"
    );
    assert_eq!(
        refused(size(u32::MAX, 12)),
        "entry-size is 4294967295, but must be from 64 to 1024"
    );
    assert_eq!(
        refused(size(64, 11)),
        "header-size is 11, but must be from 12 to 1024"
    );
    assert_eq!(
        refused(size(65, 12)),
        "entries has 192 bytes, which is not a whole number of rows of 65 bytes"
    );
    assert_eq!(
        refused(size(64, 13)),
        "headers has 72 bytes, which is not a whole number of rows of 13 bytes"
    );
}

#[test]
fn the_longest_row() {
    let wide = |entry_size, header_size| {
        let parts = Parts {
            entry_size,
            header_size,
            ..Parts::default()
        };
        check(parts)
            .map(|batch| batch.len())
            .map_err(|error| error.to_string())
    };
    assert_eq!(wide(1024, 1024), Ok(0));
    assert_eq!(
        wide(1025, 12),
        Err("entry-size is 1025, but must be from 64 to 1024".into())
    );
    assert_eq!(
        wide(64, 1025),
        Err("header-size is 1025, but must be from 12 to 1024".into())
    );
}

#[test]
fn limits() {
    let default = Limits::default;
    assert_eq!(
        refused_by(Limits {
            records: 2,
            ..default()
        }),
        "the batch has 3 records, the limit is 2"
    );
    assert_eq!(
        refused_by(Limits {
            headers: 5,
            ..default()
        }),
        "the batch has 6 header rows, the limit is 5"
    );
    assert_eq!(
        refused_by(Limits {
            bytes: 59,
            ..default()
        }),
        "the batch has 60 bytes in the arena, the limit is 59"
    );
    assert_eq!(
        refused_by(Limits {
            payload: 59,
            ..default()
        }),
        "the batch has 60 bytes in all records, the limit is 59"
    );
    assert_eq!(
        refused_by(Limits {
            tables: 1,
            ..default()
        }),
        "the batch has 2 schemas, the limit is 1"
    );
    assert_eq!(
        refused_by(Limits {
            table_bytes: 5,
            ..default()
        }),
        "the batch has 6 bytes of topics, the limit is 5"
    );
    let exact = Limits {
        records: 3,
        headers: 6,
        bytes: 60,
        payload: 60,
        tables: 2,
        table_bytes: 33,
        row_size: 1,
    };
    assert!(Batch::check(sample(), Origin::Source, &exact).is_ok());
}

#[test]
fn headers_that_many_records_share_are_counted_for_each() {
    let mut parts = sample();
    (0..3).for_each(|index| entry(&mut parts, index, |row| (row.first, row.count) = (0, 6)));
    let limits = Limits {
        headers: 17,
        ..Limits::default()
    };
    let error = Batch::check(parts.clone(), Origin::Source, &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the batch has 18 headers in all records, the limit is 17"
    );
    // 30 bytes of keys, values and positions, and 3 times 30 bytes of headers
    let limits = Limits {
        payload: 119,
        ..Limits::default()
    };
    let error = Batch::check(parts.clone(), Origin::Source, &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the batch has 120 bytes in all records, the limit is 119"
    );
    assert!(
        Batch::check(
            parts,
            Origin::Source,
            &Limits {
                payload: 120,
                headers: 18,
                ..Limits::default()
            }
        )
        .is_ok()
    );
}

#[test]
fn a_short_run_does_not_hide_a_long_one_before_it() {
    let mut parts = sample();
    for (index, run) in [(0, 6), (0, 2), (4, 2)].into_iter().enumerate() {
        entry(&mut parts, index, |row| (row.first, row.count) = run);
    }
    // 60 bytes as they are; the second and the third record refer to 10 bytes of headers each once more.
    let limits = Limits {
        payload: 79,
        ..Limits::default()
    };
    let error = Batch::check(parts.clone(), Origin::Source, &limits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the batch has 80 bytes in all records, the limit is 79"
    );
    assert!(
        Batch::check(
            parts,
            Origin::Source,
            &Limits {
                payload: 80,
                ..Limits::default()
            }
        )
        .is_ok()
    );
}

#[test]
fn schemas() {
    let mut parts = sample();
    parts.schemas[1] = "{}".into();
    let error = check(parts).unwrap_err();
    assert_eq!(error.to_string(), "schema 1 of the batch cannot be used");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        "the schema document cannot be read: missing field `type` at line 1 column 2"
    );
}

#[test]
fn indices() {
    assert_eq!(
        refused_entry(1, |row| row.topic = 1),
        "entry 1: topic is 1, but its table has length 1"
    );
    assert_eq!(
        refused_entry(2, |row| row.partition = 9),
        "entry 2: partition is 9, but its table has length 1"
    );
    let schema = refused_entry(0, |row| row.key_schema = Some(2));
    assert_eq!(
        schema,
        "entry 0: key-schema is 2, but its table has length 2"
    );
    let schema = refused_entry(0, |row| row.value_schema = Some(u16::MAX));
    assert_eq!(
        schema,
        "entry 0: value-schema is 65535, but its table has length 2"
    );
    let mut parts = sample();
    header(&mut parts, 3, |row| row.name = 2);
    assert_eq!(
        refused(parts),
        "header row 3: name is 2, but its table has length 2"
    );
}

#[test]
fn spans() {
    let span = |offset, length| Some(Span { offset, length });
    let beyond = |field| format!("entry 1: {field} span 59+2 ends beyond the arena of 60 bytes");
    assert_eq!(refused_entry(1, |row| row.key = span(59, 2)), beyond("key"));
    assert_eq!(
        refused_entry(1, |row| row.value = span(59, 2)),
        beyond("value")
    );
    assert_eq!(
        refused_entry(1, |row| row.position = span(59, 2)),
        beyond("position")
    );
    let wrapping = refused_entry(1, |row| row.value = span(u32::MAX, 2));
    assert_eq!(
        wrapping,
        "entry 1: value span 4294967295+2 ends beyond the arena of 60 bytes"
    );
    let empty = refused_entry(1, |row| row.value = span(61, 0));
    assert_eq!(
        empty,
        "entry 1: value span 61+0 ends beyond the arena of 60 bytes"
    );
    let mut parts = sample();
    header(&mut parts, 5, |row| {
        row.value = Span {
            offset: 0,
            length: 61,
        }
    });
    assert_eq!(
        refused(parts),
        "header row 5: value span 0+61 ends beyond the arena of 60 bytes"
    );
}

#[test]
fn runs() {
    let beyond = refused_entry(2, |row| row.count = 3);
    assert_eq!(beyond, "entry 2: headers 4+3 end beyond the 6 header rows");
    let wrapping = refused_entry(0, |row| (row.first, row.count) = (u32::MAX, u32::MAX));
    assert_eq!(
        wrapping,
        "entry 0: headers 4294967295+4294967295 end beyond the 6 header rows"
    );
    let empty = refused_entry(0, |row| (row.first, row.count) = (7, 0));
    assert_eq!(empty, "entry 0: headers 7+0 end beyond the 6 header rows");
}

#[test]
fn presence_bits_and_zeros() {
    assert_eq!(
        damaged(64 + 56, 0x3f),
        "entry 1: has is 0x3f, but only bits of 0x1f are known"
    );
    assert_eq!(
        damaged(64 + 59, 0x80),
        "entry 1: has is 0x8000001f, but only bits of 0x1f are known"
    );
    for (field, bit, value) in [
        ("key", 1, "0x100000010"),
        ("value", 2, "0x500000011"),
        ("position", 4, "0x400000020"),
        ("value-schema", 16, "0x1"),
    ] {
        // sets the field of entry 1 to something, then clears its bit
        let mut parts = sample();
        entry(&mut parts, 1, |row| {
            row.key = Some(Span {
                offset: 16,
                length: 1,
            });
            row.value = Some(Span {
                offset: 17,
                length: 5,
            });
            row.position = Some(Span {
                offset: 32,
                length: 4,
            });
            row.value_schema = Some(1);
        });
        parts.entries[64 + 56] &= !bit;
        let expected = format!(
            "entry 1: {field} is {value}, but must be zero because its bit in `has` is clear"
        );
        assert_eq!(refused(parts), expected);
    }
    let mut parts = sample();
    parts.headers[12 + 3] = 1;
    let expected =
        "header row 1: bytes 2 and 3 is 0x100, but must be zero because this version keeps it free";
    assert_eq!(refused(parts), expected);
}

#[test]
fn a_source_has_no_origins() {
    let expected =
        "entry 2: origin is 0x1, but must be zero because only a transform's answer has origins";
    assert_eq!(refused_entry(2, |row| row.origin = 1), expected);
}

#[test]
fn origins_of_a_transform() {
    let with = |origins: [u32; 3]| {
        let mut parts = sample();
        (0..3).for_each(|index| entry(&mut parts, index, |row| row.origin = origins[index]));
        let checked = Batch::check(parts, Origin::Transform { inputs: 4 }, &Limits::default());
        checked.map(|batch| {
            batch
                .records()
                .map(|record| record.origin())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        with([0, 2, 2]).unwrap(),
        [0, 2, 2],
        "inputs may be dropped and split"
    );
    assert_eq!(with([3, 3, 3]).unwrap(), [3, 3, 3]);
    assert_eq!(
        with([0, 4, 4]).unwrap_err().to_string(),
        "entry 1: origin is 4, but there were 4 inputs"
    );
    let falls = "entry 2: origin is 1, but the entry before it has 2, and origins never fall";
    assert_eq!(with([0, 2, 1]).unwrap_err().to_string(), falls);
    let none = Batch::check(
        sample(),
        Origin::Transform { inputs: 0 },
        &Limits::default(),
    );
    assert_eq!(
        none.unwrap_err().to_string(),
        "entry 0: origin is 0, but there were 0 inputs"
    );
}

#[test]
fn text() {
    let mut builder = Builder::new();
    builder
        .add()
        .value_schema(r#"{"type":"bytes"}"#)
        .value(&[0xff])
        .finish()
        .unwrap();
    builder
        .add()
        .value_schema(r#"{"type":"string"}"#)
        .finish()
        .unwrap();
    builder
        .add()
        .key_schema(r#"{"type":"string"}"#)
        .key("ok, ölig".as_bytes())
        .value(&[0xff])
        .finish()
        .unwrap();
    let mut parts = builder.finish();
    assert!(check(parts.clone()).is_ok());
    parts.arena[6] = b'x';
    let expected = "entry 2: key is not UTF-8 at byte 4, but its schema is of type string";
    assert_eq!(refused(parts), expected);
}
