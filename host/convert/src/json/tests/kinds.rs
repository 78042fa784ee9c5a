//! Every kind of value: its JSON, and what is refused.

use super::*;

#[test]
fn every_kind_has_its_json() {
    let int = Value::Int;
    for (document, value, expected) in [
        (r#"{"type":"boolean"}"#, Value::Bool(false), "false"),
        (r#"{"type":"int8"}"#, int(-128), "-128"),
        (r#"{"type":"int16"}"#, int(32_767), "32767"),
        (r#"{"type":"int32"}"#, int(-2_147_483_648), "-2147483648"),
        (r#"{"type":"int64"}"#, int(i64::MIN), "-9223372036854775808"),
        (
            r#"{"type":"float"}"#,
            Value::Float(f64::from(0.1f32)),
            "0.1",
        ),
        (r#"{"type":"double"}"#, Value::Float(0.1), "0.1"),
        (r#"{"type":"double"}"#, Value::Float(5e-324), "5e-324"),
        (r#"{"type":"double"}"#, Value::Float(-0.0), "-0.0"),
        (
            r#"{"type":"array","items":{"type":"bytes"}}"#,
            Value::Array(vec![Value::Bytes(Bytes::from_static(b"\xff\0"))]),
            r#"["/wA="]"#,
        ),
        (
            r#"{"type":"array","items":{"type":"int8"}}"#,
            Value::Array(vec![]),
            "[]",
        ),
        (
            r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int8","optional":true}}"#,
            Value::Map(vec![(text("b"), int(1)), (text("a\""), Value::Null)]),
            r#"{"b":1,"a\"":null}"#,
        ),
        (
            r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"string"}}"#,
            Value::Map(vec![(int(2), text("two")), (int(1), text("one"))]),
            r#"[[2,"two"],[1,"one"]]"#,
        ),
        (
            r#"{"type":"struct","fields":[{"field":"id","type":"int64"},{"field":"note","type":"string","optional":true}]}"#,
            Value::Map(vec![(text("id"), int(7)), (text("note"), Value::Null)]),
            r#"{"id":7,"note":null}"#,
        ),
        (r#"{"type":"struct","fields":[]}"#, Value::Map(vec![]), "{}"),
        (
            r#"{"type":"int32","name":"io.openmessaging.connector.api.data.logical.Date"}"#,
            int(19_000),
            "19000",
        ),
        (
            r#"{"type":"int64","name":"io.openmessaging.connector.api.data.logical.Timestamp"}"#,
            int(1_700_000_000_000),
            "1700000000000",
        ),
    ] {
        assert_eq!(payload(document, &value), expected, "{document}");
    }
}

#[test]
fn bytes_are_base64_with_padding_or_without() {
    let document = r#"{"type":"bytes"}"#;
    assert_eq!(
        encode(&*without(), document, Some(b"\xff\0"))
            .unwrap()
            .as_deref(),
        Some(r#""/wA=""#)
    );
    for payload in [r#""/wA=""#, r#""/wA""#, r#""\/wA=""#] {
        let decoded = decode(
            &*with(),
            &format!(r#"{{"schema":{document},"payload":{payload}}}"#),
        )
        .unwrap();
        assert_eq!(decoded.value.unwrap().as_ref(), b"\xff\0");
    }
    assert!(refused(document, r#""_wA=""#).contains("base64"));
    assert!(refused(document, "[1]").contains("found an array"));
}

#[test]
fn a_struct_may_come_as_a_list_or_out_of_order() {
    let document =
        r#"{"type":"struct","fields":[{"field":"a","type":"int8"},{"field":"b","type":"string"}]}"#;
    let expected = Some(r#"{"a":1,"b":"x"}"#);
    for value in [
        Value::Array(vec![Value::Int(1), text("x")]),
        Value::Map(vec![(text("b"), text("x")), (text("a"), Value::Int(1))]),
        Value::Map(vec![
            (text("a"), Value::Int(9)),
            (text("b"), text("x")),
            (text("a"), Value::Int(1)),
        ]),
    ] {
        assert_eq!(
            encode(&*without(), document, Some(&value.encode()))
                .unwrap()
                .as_deref(),
            expected
        );
    }
    for (value, part) in [
        (
            Value::Array(vec![Value::Int(1)]),
            "$: expected 2 fields, found 1",
        ),
        (
            Value::Map(vec![(text("c"), Value::Null)]),
            "$.c: expected a field of the schema",
        ),
        (
            Value::Map(vec![(Value::Int(1), Value::Null)]),
            "expected the name of a field, found 1",
        ),
        (
            Value::Map(vec![(text("a"), Value::Int(1))]),
            "$.b: expected a value of type string, found null",
        ),
        (
            Value::Int(5),
            "expected a struct, as a map or an array, found 5",
        ),
    ] {
        let error = encode(&*without(), document, Some(&value.encode())).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn members_that_are_unknown_are_ignored_and_of_two_the_last_counts() {
    let document = r#"{"type":"struct","fields":[{"field":"a","type":"int8"}]}"#;
    let decoded = decode(
        &*with(),
        &format!(r#"{{"schema":{document},"payload":{{"a":1,"b":{{}},"a":2}}}}"#),
    )
    .unwrap();
    assert_eq!(
        Value::decode(&decoded.value.unwrap()).unwrap(),
        Value::Map(vec![(text("a"), Value::Int(2))])
    );

    let document = r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int8"}}"#;
    let decoded = decode(
        &*with(),
        &format!(r#"{{"schema":{document},"payload":{{"a":1,"b":2,"a":3}}}}"#),
    )
    .unwrap();
    let last = Value::Map(vec![(text("a"), Value::Int(3)), (text("b"), Value::Int(2))]);
    assert_eq!(Value::decode(&decoded.value.unwrap()).unwrap(), last);
    let twice = Value::Map(vec![(text("a"), Value::Int(1)), (text("a"), Value::Int(3))]).encode();
    assert_eq!(
        encode(&*without(), document, Some(&twice))
            .unwrap()
            .as_deref(),
        Some(r#"{"a":3}"#)
    );
}

#[test]
fn numbers_are_what_their_kind_holds_or_an_error() {
    for (kind, good, bad) in [
        (
            "int8",
            &["127", "-0"][..],
            &["128", "1.0", "1e1", r#""1""#, "true", "[]"][..],
        ),
        (
            "int64",
            &["9223372036854775807"],
            &["9223372036854775808", "18446744073709551615"],
        ),
        ("float", &["1", "1e38", "1e-60"], &["1e39", r#""1""#]),
        (
            "double",
            &["1", "1e308", "0.1e-400"],
            &["1e309", "true", r#""NaN""#],
        ),
        ("boolean", &["true"], &["1", r#""true""#]),
        ("string", &[r#""1""#], &["1", "{}", r#""\ud800""#]),
    ] {
        let document = format!(r#"{{"type":"{kind}"}}"#);
        for payload in good {
            let body = format!(r#"{{"schema":{document},"payload":{payload}}}"#);
            assert!(decode(&*with(), &body).is_ok(), "{body}");
        }
        for payload in bad {
            let error = refused(&document, payload);
            assert!(
                error.contains("$: expected") && error.contains("found"),
                "{error}"
            );
        }
    }
    for (kind, value, part) in [
        (
            "double",
            Value::Float(f64::NAN),
            "a finite number, found NaN",
        ),
        (
            "double",
            Value::Float(f64::INFINITY),
            "a finite number, found inf",
        ),
        (
            "double",
            Value::Int(9_007_199_254_740_993),
            "53 bits hold exactly",
        ),
        ("float", Value::Float(1e39), "a finite number of 32 bits"),
        ("float", Value::Int(16_777_217), "24 bits hold exactly"),
        ("int8", Value::Int(128), "an integer of 8 bits, found 128"),
        ("int8", Value::Float(1.0), "an integer, found 1"),
        ("boolean", text("true"), "a boolean, found text"),
        ("array", Value::Map(vec![]), "an array, found a map"),
    ] {
        let items = if kind == "array" {
            r#","items":{"type":"int8"}"#
        } else {
            ""
        };
        let error = encode(
            &*with(),
            &format!(r#"{{"type":"{kind}"{items}}}"#),
            Some(&value.encode()),
        )
        .unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    for (kind, value, expected) in [
        ("double", Value::Int(0), "0.0"),
        ("double", Value::Int(i64::MIN), "-9.223372036854776e+18"),
        (
            "double",
            Value::Int(9_007_199_254_740_992),
            "9007199254740992.0",
        ),
        ("float", Value::Int(-16_777_216), "-16777216.0"),
    ] {
        let document = format!(r#"{{"type":"{kind}"}}"#);
        assert_eq!(
            encode(&*without(), &document, Some(&value.encode()))
                .unwrap()
                .as_deref(),
            Some(expected)
        );
    }
}

#[test]
fn errors_name_the_place() {
    let document = r#"{"type":"struct","fields":[{"field":"orders","type":"array","items":{"type":"map","keys":{"type":"string"},"values":{"type":"int8"}}}]}"#;
    let error = refused(document, r#"{"orders":[{},{"price":"secret"}]}"#);
    assert_eq!(
        error,
        "json converter: $.orders[1].price: expected an integer of 64 bits at most, found text"
    );
    let pairs = r#"{"type":"map","keys":{"type":"int8"},"values":{"type":"string"}}"#;
    for (payload, part) in [
        ("{}", "$: expected an array, found an object"),
        ("[1]", "$[0]: expected an array, found 1"),
        (
            "[[1]]",
            "$[0]: expected a pair, found fewer than two values",
        ),
        (
            r#"[[1,"a"],[1,"a",2]]"#,
            "$[1]: expected a pair, found more than two values",
        ),
        (r#"[[1,2]]"#, "$[0][1]: expected text, found 2"),
    ] {
        let error = refused(pairs, payload);
        assert!(error.contains(part), "{error}");
    }
}
