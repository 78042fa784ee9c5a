//! Values against another CBOR implementation and against hostile bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn decode(text: &str) -> Result<Value, ValueError> {
    Value::decode(&hex(text))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Examples of RFC 8949, appendix A.
#[test]
fn examples_of_the_standard() {
    let int = Value::Int;
    let array = Value::Array;
    for (bytes, value) in [
        ("00", int(0)),
        ("17", int(23)),
        ("1818", int(24)),
        ("1903e8", int(1_000)),
        ("1a000f4240", int(1_000_000)),
        ("1b000000e8d4a51000", int(1_000_000_000_000)),
        ("1b7fffffffffffffff", int(i64::MAX)),
        ("3b7fffffffffffffff", int(i64::MIN)),
        ("20", int(-1)),
        ("3863", int(-100)),
        ("3903e7", int(-1_000)),
        ("fa47c35000", Value::Float(100_000.0)),
        ("fb3ff199999999999a", Value::Float(1.1)),
        ("fb7e37e43c8800759c", Value::Float(1e300)),
        ("fa7f800000", Value::Float(f64::INFINITY)),
        ("f4", Value::Bool(false)),
        ("f5", Value::Bool(true)),
        ("f6", Value::Null),
        ("40", Value::Bytes(Bytes::new())),
        ("4401020304", Value::Bytes(vec![1, 2, 3, 4].into())),
        ("60", text("")),
        ("6161", text("a")),
        ("62c3bc", text("ü")),
        ("80", array(vec![])),
        (
            "8301820203820405",
            array(vec![
                int(1),
                array(vec![int(2), int(3)]),
                array(vec![int(4), int(5)]),
            ]),
        ),
        ("a0", Value::Map(vec![])),
        (
            "a201020304",
            Value::Map(vec![(int(1), int(2)), (int(3), int(4))]),
        ),
        (
            "a26161016162820203",
            Value::Map(vec![
                (text("a"), int(1)),
                (text("b"), array(vec![int(2), int(3)])),
            ]),
        ),
        ("c11a514b67b0", Value::Tag(1, Box::new(int(1_363_896_240)))),
        (
            "c48221196ab3",
            Value::Tag(4, Box::new(array(vec![int(-2), int(27_315)]))),
        ),
    ] {
        assert_eq!(decode(bytes), Ok(value.clone()), "{bytes}");
        assert_eq!(value.encode(), hex(bytes), "{bytes}");
    }
}

/// What is read but written in another form.
#[test]
fn other_forms_of_the_same() {
    for (bytes, value) in [
        ("1800", Value::Int(0)),
        ("f7", Value::Null),
        ("f93c00", Value::Float(1.0)),
        ("f90001", Value::Float(5.960_464_477_539_063e-8)),
        ("f90400", Value::Float(0.000_061_035_156_25)),
        ("f9c400", Value::Float(-4.0)),
        ("f97bff", Value::Float(65_504.0)),
        ("f9fc00", Value::Float(f64::NEG_INFINITY)),
        (
            "5f42010243030405ff",
            Value::Bytes(vec![1, 2, 3, 4, 5].into()),
        ),
        ("7f657374726561646d696e67ff", text("streaming")),
        ("9f018202039f0405ffff", decode("8301820203820405").unwrap()),
        (
            "bf61610161629f0203ffff",
            decode("a26161016162820203").unwrap(),
        ),
        ("9fff", Value::Array(vec![])),
        ("5fff", Value::Bytes(Bytes::new())),
    ] {
        assert_eq!(decode(bytes), Ok(value), "{bytes}");
    }
    assert!(matches!(decode("f97e00"), Ok(Value::Float(number)) if number.is_nan()));
    assert!(
        matches!(decode("f98000"), Ok(Value::Float(number)) if number.to_bits() == (-0.0f64).to_bits())
    );
}

#[test]
fn what_is_no_value_is_refused_at_its_place() {
    for (bytes, error) in [
        ("", "the value ends too early, at byte 0"),
        ("19 03", "the value ends too early, at byte 2"),
        ("82 01", "the value ends too early, at byte 2"),
        ("9f 01", "the value ends too early, at byte 2"),
        ("5f 41", "the value ends too early, at byte 2"),
        ("00 00 00", "2 bytes follow the value, which ends at byte 1"),
        (
            "1b 8000000000000000",
            "the integer at byte 0 does not fit into 64 bits",
        ),
        (
            "81 3b 8000000000000000",
            "the integer at byte 1 does not fit into 64 bits",
        ),
        ("81 62 c328", "the text at byte 1 is not UTF-8"),
        ("7f 61c3 61bc ff", "the text at byte 1 is not UTF-8"),
        ("82 01 1c", "byte 2 is 0x1c, which cannot stand there"),
        ("ff", "byte 0 is 0xff, which cannot stand there"),
        ("81 ff", "byte 1 is 0xff, which cannot stand there"),
        ("bf 01 ff", "byte 2 is 0xff, which cannot stand there"),
        ("5f 6161 ff", "byte 1 is 0x61, which cannot stand there"),
        (
            "5f 5f 4101 ff ff",
            "byte 1 is 0x5f, which cannot stand there",
        ),
        ("df 00", "byte 0 is 0xdf, which cannot stand there"),
        ("f8 20", "byte 0 is 0xf8, which cannot stand there"),
        ("f0", "byte 0 is 0xf0, which cannot stand there"),
    ] {
        assert_eq!(decode(bytes).unwrap_err().to_string(), error, "{bytes}");
    }
}

#[test]
fn lengths_are_only_claims() {
    for bytes in [
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "5bffffffffffffffff",
        "7bffffffffffffffff",
        "9a7fffffff00",
    ] {
        assert!(
            matches!(decode(bytes), Err(ValueError::Truncated { .. })),
            "{bytes}"
        );
    }
    // 63 containers inside each other, each of which claims all it can
    let nested = "9bffffffffffffffff".repeat(63);
    assert!(matches!(decode(&nested), Err(ValueError::Truncated { .. })));
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    for open in [&[0x81u8][..], &[0xa1, 0x00], &[0xc1], &[0x9f]] {
        let nested = |depth: usize| {
            let mark = if open == [0x9f] {
                vec![0xff; depth]
            } else {
                Vec::new()
            };
            [open.repeat(depth), vec![0xf6], mark].concat()
        };
        assert!(Value::decode(&nested(Value::MAX_DEPTH)).is_ok());
        let error = Value::decode(&nested(Value::MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(
            error,
            ValueError::TooDeep {
                at: Value::MAX_DEPTH * open.len(),
                limit: 64
            }
        );
        assert!(Value::decode(&nested(1_000_000)).is_err());
    }
    let many = |count: usize| {
        [
            &[0x9a][..],
            &(count as u32).to_be_bytes(),
            &vec![0xf6; count],
        ]
        .concat()
    };
    assert!(Value::decode(&many(Value::MAX_ITEMS - 1)).is_ok());
    assert!(matches!(
        Value::decode(&many(Value::MAX_ITEMS)),
        Err(ValueError::TooMany { .. })
    ));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-300..300i64).prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        any::<f32>().prop_map(|number| Value::Float(number.into())),
        "\\PC{0,30}".prop_map(Value::Text),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::Array),
            vec((inner.clone(), inner.clone()), 0..8).prop_map(Value::Map),
            // Tags 2 and 3 are integers of any size, which the other implementation turns into integers.
            (4..u64::MAX, inner).prop_map(|(tag, value)| Value::Tag(tag, Box::new(value))),
        ]
    })
}

/// The same value of the other implementation.
fn other(value: &Value) -> ciborium::Value {
    match value {
        Value::Null => ciborium::Value::Null,
        Value::Bool(value) => ciborium::Value::Bool(*value),
        Value::Int(number) => ciborium::Value::Integer((*number).into()),
        Value::Float(number) => ciborium::Value::Float(*number),
        Value::Text(text) => ciborium::Value::Text(text.clone()),
        Value::Bytes(bytes) => ciborium::Value::Bytes(bytes.to_vec()),
        Value::Array(items) => ciborium::Value::Array(items.iter().map(other).collect()),
        Value::Map(pairs) => ciborium::Value::Map(
            pairs
                .iter()
                .map(|(key, value)| (other(key), other(value)))
                .collect(),
        ),
        Value::Tag(tag, value) => ciborium::Value::Tag(*tag, Box::new(other(value))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_written_reads_back(value in value()) {
        prop_assert_eq!(Value::decode(&value.encode()), Ok(value));
    }

    #[test]
    fn another_implementation_reads_what_is_written(value in value()) {
        let read: ciborium::Value = ciborium::from_reader(&value.encode()[..]).unwrap();
        prop_assert_eq!(read, other(&value));
    }

    #[test]
    fn what_another_implementation_writes_is_read(value in value()) {
        let mut bytes = Vec::new();
        ciborium::into_writer(&other(&value), &mut bytes).unwrap();
        prop_assert_eq!(Value::decode(&bytes), Ok(value));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(value) = Value::decode(&bytes) {
            // Through bytes, since NaN is not equal to itself.
            let written = value.encode();
            prop_assert_eq!(Value::decode(&written).map(|value| value.encode()), Ok(written));
        }
    }

    #[test]
    fn a_part_of_a_value_is_no_value(value in value(), cut in any::<proptest::sample::Index>()) {
        let bytes = value.encode();
        prop_assert!(Value::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_damaged_value_is_read_or_refused(value in value(), at in any::<proptest::sample::Index>(), byte: u8) {
        let mut bytes = value.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(value) = Value::decode(&bytes) {
            value.encode();
        }
    }
}
