//! Null, missing and default.

use super::*;

#[test]
fn null_is_a_default_or_null_or_an_error() {
    // as Java: nothing at all is a null body, a null under a schema is an envelope
    assert_eq!(with().encode(None, None).unwrap(), None);
    let optional = r#"{"type":"int32","optional":true}"#;
    let envelope = format!(r#"{{"schema":{optional},"payload":null}}"#);
    assert_eq!(
        encode(&*with(), optional, None).unwrap(),
        Some(envelope.clone())
    );
    assert_eq!(encode(&*without(), optional, None).unwrap(), None);
    let decoded = decode(&*with(), &envelope).unwrap();
    assert_eq!(
        (decoded.schema.unwrap().document(), decoded.value),
        (optional, None)
    );
    // a payload that some writer left out is null as well
    assert_eq!(
        decode(&*with(), &format!(r#"{{"schema":{optional}}}"#))
            .unwrap()
            .value,
        None
    );

    let default = r#"{"type":"int32","optional":true,"default":5}"#;
    for converter in [with(), without()] {
        assert!(
            encode(&*converter, default, None)
                .unwrap()
                .unwrap()
                .contains('5')
        );
    }
    let decoded = decode(
        &*with(),
        &format!(r#"{{"schema":{default},"payload":null}}"#),
    )
    .unwrap();
    assert_eq!(decoded.value.unwrap(), Value::Int(5).encode());

    let required = r#"{"type":"int32"}"#;
    for error in [
        encode(&*with(), required, None).unwrap_err(),
        refused(required, "null"),
    ] {
        assert_eq!(
            error,
            "json converter: $: expected a value of type int32, found null, and there is no default"
        );
    }
    assert_eq!(with().decode(None).unwrap(), Decoded::default());
    assert_eq!(decode(&*without(), "null").unwrap(), Decoded::default());
    assert_eq!(
        decode(&*with(), r#"{"schema":null,"payload":null}"#).unwrap(),
        Decoded::default()
    );
    assert_eq!(
        decode(&*with(), r#"{"payload":null}"#).unwrap(),
        Decoded::default()
    );
}

#[test]
fn defaults_stand_for_what_is_missing_inside() {
    let document = r#"{"type":"struct","fields":[{"field":"s","type":"string","default":"d"},{"field":"b","type":"bytes","default":"/wA="}]}"#;
    let all = Value::Map(vec![
        (text("s"), text("d")),
        (text("b"), Value::Bytes(Bytes::from_static(b"\xff\0"))),
    ]);
    let decoded = decode(
        &*with(),
        &format!(r#"{{"schema":{document},"payload":{{"s":null}}}}"#),
    )
    .unwrap();
    assert_eq!(Value::decode(&decoded.value.unwrap()).unwrap(), all);
    let empty = Value::Map(vec![]).encode();
    assert_eq!(
        encode(&*without(), document, Some(&empty))
            .unwrap()
            .as_deref(),
        Some(r#"{"s":"d","b":"/wA="}"#)
    );
    let wrong = r#"{"type":"struct","fields":[{"field":"n","type":"int8","default":300}]}"#;
    assert!(
        refused(wrong, "{}").contains("$.n.(default): expected an integer of 8 bits, found 300")
    );
}
