//! The check against random batches: what a builder makes is taken, damage is refused or harmless, and a second
//! reading of the rules comes to the same answer.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use super::oracle::accepts;
use super::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => "[a-z]{0,9}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..9)]
}

fn schema() -> impl Strategy<Value = Option<&'static str>> {
    let documents = [
        r#"{"type":"bytes"}"#,
        r#"{"type":"string","optional":true}"#,
        r#"{"type":"int64"}"#,
    ];
    option::of(proptest::sample::select(documents.to_vec()))
}

prop_compose! {
    /// What a builder makes. Strings hold text, so all of it has to pass.
    fn built()(
        records in vec((
            "[ab]", "[ab]?", schema(), schema(), option::of("[a-z]{0,9}"), option::of("[a-zäöü]{0,9}"),
            vec(("[a-d]", bytes()), 0..4), option::of(bytes()), any::<(u64, u64)>(),
        ), 0..6),
    ) -> Parts {
        let mut builder = Builder::new();
        for (topic, partition, key_schema, value_schema, key, value, headers, position, numbers) in records {
            let mut record = builder.add().topic(&topic).partition(&partition).offset(numbers.0).timestamp(numbers.1);
            if let Some(schema) = key_schema { record = record.key_schema(schema); }
            if let Some(schema) = value_schema { record = record.value_schema(schema); }
            if let Some(key) = key { record = record.key(key.as_bytes()); }
            if let Some(value) = value { record = record.value(value.as_bytes()); }
            for (name, value) in headers { record = record.header(&name, &value); }
            if let Some(position) = position { record = record.position(&position); }
            record.finish().unwrap();
        }
        builder.finish()
    }
}

/// One thing to do to a batch.
#[derive(Clone, Debug)]
enum Damage {
    Entry(Index, u8),
    Header(Index, u8),
    Arena(Index, u8),
    /// A small number into one of an entry's fields, so that it is sometimes right.
    Field(Index, usize, u32),
    Cut(usize, Index),
    Table(usize, bool),
    Sizes(u32, u32),
    Wide(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![Just(0u8), 0..4u8, any::<u8>()];
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), byte.clone()).prop_map(|(at, byte)| Damage::Entry(at, byte)),
        2 => (index(), byte.clone()).prop_map(|(at, byte)| Damage::Header(at, byte)),
        1 => (index(), byte).prop_map(|(at, byte)| Damage::Arena(at, byte)),
        4 => (index(), 0..16usize, prop_oneof![0..40u32, any::<u32>()]).prop_map(|(at, field, number)| Damage::Field(at, field, number)),
        1 => (0..3usize, index()).prop_map(|(list, at)| Damage::Cut(list, at)),
        1 => (0..4usize, any::<bool>()).prop_map(|(table, more)| Damage::Table(table, more)),
        1 => (60..70u32, 10..16u32).prop_map(|(entry, header)| Damage::Sizes(entry, header)),
        2 => (0..9usize, 0..9usize).prop_map(|(entry, header)| Damage::Wide(entry, header)),
    ]
}

fn set(bytes: &mut [u8], at: Index, byte: u8) {
    if !bytes.is_empty() {
        bytes[at.index(bytes.len())] = byte;
    }
}

fn widen(rows: &[u8], size: u32, by: usize) -> Vec<u8> {
    rows.chunks(size as usize)
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0xa5, by)))
        .collect()
}

impl Damage {
    fn apply(self, parts: &mut Parts) {
        match self {
            Self::Entry(at, byte) => set(&mut parts.entries, at, byte),
            Self::Header(at, byte) => set(&mut parts.headers, at, byte),
            Self::Arena(at, byte) => set(&mut parts.arena, at, byte),
            Self::Field(at, field, number) => {
                let rows = parts.entries.len() / 64;
                if rows > 0 {
                    parts.entries[at.index(rows) * 64 + field * 4..][..4]
                        .copy_from_slice(&number.to_le_bytes());
                }
            }
            Self::Cut(list, at) => {
                let list = [&mut parts.entries, &mut parts.headers, &mut parts.arena]
                    .into_iter()
                    .nth(list)
                    .unwrap();
                let length = at.index(list.len() + 1);
                list.truncate(length);
            }
            Self::Table(table, more) => {
                let tables = [
                    &mut parts.topics,
                    &mut parts.partitions,
                    &mut parts.schemas,
                    &mut parts.names,
                ];
                let table = tables.into_iter().nth(table).unwrap();
                if more {
                    table.push(r#"{"type":"string"}"#.into());
                } else {
                    table.pop();
                }
            }
            Self::Sizes(entry, header) => (parts.entry_size, parts.header_size) = (entry, header),
            Self::Wide(entry, header) => {
                parts.entries = widen(&parts.entries, parts.entry_size, entry);
                parts.headers = widen(&parts.headers, parts.header_size, header);
                parts.entry_size += entry as u32;
                parts.header_size += header as u32;
            }
        }
    }
}

pub(super) fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![3 => Just(Origin::Source), 1 => (0..6u32).prop_map(|inputs| Origin::Transform { inputs })]
}

/// Limits near what the batches above need.
pub(super) fn limits() -> impl Strategy<Value = Limits> {
    let tight = (
        3..8u32,
        4..20u32,
        40..200u64,
        40..200u64,
        1..5u32,
        30..80u64,
        60..80u32,
    );
    prop_oneof![
        3 => Just(Limits::default()),
        1 => tight.prop_map(|(records, headers, bytes, payload, tables, table_bytes, row_size)| {
            Limits { records, headers, bytes, payload, tables, table_bytes, row_size }
        }),
    ]
}

/// A built batch that some damage was done to.
pub(super) fn damaged() -> impl Strategy<Value = Parts> {
    (built(), vec(damage(), 0..4)).prop_map(|(mut parts, damage)| {
        damage
            .into_iter()
            .for_each(|damage| damage.apply(&mut parts));
        parts
    })
}

/// The check must say what the oracle says, and whatever it takes must be readable.
pub(super) fn agree(parts: Parts, origin: Origin, limits: &Limits) -> Result<(), TestCaseError> {
    let expected = accepts(&parts, origin, limits);
    match Batch::check(parts.clone(), origin, limits) {
        Ok(batch) => {
            prop_assert!(expected, "the check takes what the rules refuse");
            assert_reads(&batch, &parts);
        }
        Err(error) => prop_assert!(
            !expected,
            "the check refuses what the rules take: {}",
            error
        ),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_a_builder_makes_is_taken(parts in built()) {
        let batch = check(parts.clone()).unwrap();
        assert_reads(&batch, &parts);
        prop_assert_eq!(batch.into_parts(), parts);
    }

    #[test]
    fn the_check_and_the_oracle_agree(
        parts in damaged(),
        origin in origin(),
        limits in limits(),
    ) {
        agree(parts, origin, &limits)?;
    }

    #[test]
    fn nonsense_is_refused_or_read(
        tables in (vec("[a-c]", 0..3), vec("[a-c]", 0..3), vec("[{}a-c]", 0..2), vec("[a-c]", 0..3)),
        sizes in (any::<u32>(), any::<u32>(), any::<bool>()),
        lists in (vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..100), vec(any::<u8>(), 0..100)),
        origin in origin(),
    ) {
        let (entry_size, header_size) = if sizes.2 { (64, 12) } else { (sizes.0, sizes.1) };
        let parts = Parts {
            topics: tables.0, partitions: tables.1, schemas: tables.2, names: tables.3,
            entry_size, header_size, entries: lists.0, headers: lists.1, arena: lists.2,
        };
        agree(parts, origin, &Limits::default())?;
    }
}

/// Every byte of every row, set to every value: refused, or all that is read stays inside.
#[test]
fn damage_of_one_byte_is_refused_or_harmless() {
    let good = sample();
    let limits = Limits::default();
    let (mut refused, mut taken) = (0u32, 0u32);
    let mut judge = |parts: &Parts| match check(parts.clone()) {
        Ok(batch) => {
            assert!(accepts(parts, Origin::Source, &limits));
            assert_reads(&batch, parts);
            taken += 1;
        }
        Err(error) => {
            assert!(!accepts(parts, Origin::Source, &limits), "{error}");
            refused += 1;
        }
    };
    let mut parts = good.clone();
    for at in 0..good.entries.len() {
        for byte in 0..=255 {
            parts.entries[at] = byte;
            judge(&parts);
        }
        parts.entries[at] = good.entries[at];
    }
    for at in 0..good.headers.len() {
        for byte in 0..=255 {
            parts.headers[at] = byte;
            judge(&parts);
        }
        parts.headers[at] = good.headers[at];
    }
    assert_eq!(parts, good);
    assert!(
        refused > 20_000 && taken > 5_000,
        "{refused} refused, {taken} taken: the test has lost its grip"
    );
}
