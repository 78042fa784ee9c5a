//! Input made to hurt: deep, large, multiplied. Each case ends in an error, soon, and in bounded
//! memory.

use bytes::Bytes;
use connect_record::{Schema, Value};

use super::{decode, encode, with, without};

/// More levels than any stack has room for.
const DEEP: usize = 500_000;

#[test]
fn deep_json_is_an_error_and_no_overflow() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
        assert!(
            decode(&*without(), &deep)
                .unwrap_err()
                .contains("at most 64 levels")
        );
        for body in [
            deep.clone(),
            format!(r#"{{"schema":null,"payload":{deep}}}"#),
            format!(r#"{{"schema":{deep},"payload":1}}"#),
            format!(r#"{{"schema":{{"type":"int8"}},"payload":{deep}}}"#),
            format!(r#"{{"schema":{{"type":"string","name":"connect.json"}},"payload":{deep}}}"#),
        ] {
            assert!(decode(&*with(), &body).is_err());
        }
        assert!(decode(&*without(), &open.repeat(DEEP)).is_err());
    }
}

#[test]
fn a_schema_and_a_value_as_deep_as_they_may_be_work() {
    let levels = Schema::MAX_DEPTH - 1;
    let document = format!(
        r#"{}{{"type":"int8"}}{}"#,
        r#"{"type":"array","items":"#.repeat(levels),
        "}".repeat(levels)
    );
    let payload = format!("{}7{}", "[".repeat(levels), "]".repeat(levels));
    let body = format!(r#"{{"schema":{document},"payload":{payload}}}"#);
    let value = decode(&*with(), &body).unwrap().value.unwrap();
    assert!(Value::decode(&value).is_ok());
    assert_eq!(
        encode(&*with(), &document, Some(&value)).unwrap(),
        Some(body)
    );
}

#[test]
fn more_values_than_a_value_may_hold_are_an_error() {
    let body = format!(
        r#"{{"schema":{{"type":"array","items":{{"type":"int8"}}}},"payload":[{}1]}}"#,
        "1,".repeat(Value::MAX_ITEMS)
    );
    assert!(
        decode(&*with(), &body)
            .unwrap_err()
            .contains("at most 1048576 values")
    );
}

#[test]
fn defaults_cannot_multiply_a_small_body() {
    let large = "x".repeat(100_000);
    let document = format!(
        r#"{{"type":"array","items":{{"type":"struct","fields":[{{"field":"a","type":"string","default":"{large}"}}]}}}}"#
    );
    let body = format!(
        r#"{{"schema":{document},"payload":[{}{{}}]}}"#,
        "{},".repeat(100_000)
    );
    assert!(
        decode(&*with(), &body)
            .unwrap_err()
            .contains("bytes of defaults")
    );
    let value = Value::Array(vec![Value::Map(vec![]); 100_000]).encode();
    assert!(
        encode(&*with(), &document, Some(&value))
            .unwrap_err()
            .contains("bytes of JSON")
    );
    // and not by defaults of what is inside of a default
    let inner = r#"{},"#.repeat(20_000);
    let document = format!(
        r#"{{"type":"array","default":[{inner}{{}}],"items":{{"type":"struct","fields":[{{"field":"a","type":"string","default":"{large}"}}]}}}}"#
    );
    let body = format!(r#"{{"schema":{document},"payload":null}}"#);
    assert!(
        decode(&*with(), &body)
            .unwrap_err()
            .contains("bytes of defaults")
    );
}

#[test]
fn long_names_and_numbers_do_not_fill_the_error() {
    let name = "n".repeat(100_000);
    let document = r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int8"}}"#;
    for payload in [
        format!(r#"{{"{name}":true}}"#),
        format!(r#"{{"a":{}}}"#, "9".repeat(100_000)),
    ] {
        let error = decode(
            &*with(),
            &format!(r#"{{"schema":{document},"payload":{payload}}}"#),
        )
        .unwrap_err();
        assert!(error.len() < 300, "{} bytes", error.len());
    }
    assert!(
        decode(&*with(), &format!(r#"{{"{name}":1}}"#))
            .unwrap_err()
            .len()
            < 300
    );
}

#[test]
fn many_fields_and_members_take_no_quadratic_time() {
    let fields: Vec<_> = (0..5_000)
        .map(|i| format!(r#"{{"field":"f{i}","type":"int8","optional":true}}"#))
        .collect();
    let document = format!(r#"{{"type":"struct","fields":[{}]}}"#, fields.join(","));
    let members: Vec<_> = (0..200_000).map(|i| format!(r#""m{i}":1"#)).collect();
    let body = format!(
        r#"{{"schema":{document},"payload":{{{}}}}}"#,
        members.join(",")
    );
    let value = decode(&*with(), &body).unwrap().value.unwrap();
    // backwards, so that nothing is found where it is expected first
    let Value::Map(mut pairs) = Value::decode(&value).unwrap() else {
        panic!("a struct is a map")
    };
    pairs.reverse();
    assert!(encode(&*with(), &document, Some(&Value::Map(pairs).encode())).is_ok());
}

#[test]
fn text_that_is_not_utf_8_is_an_error() {
    let schema = Schema::string();
    let error = with()
        .encode(Some(&schema), Some(&Bytes::from_static(b"\xff")))
        .unwrap_err();
    assert_eq!(error.to_string(), "json converter: the value is malformed");
}
