//! Decimal numbers.

use super::*;

#[test]
fn decimals_are_base64_or_numbers() {
    let document = format!(r#"{{"type":"bytes","name":"{DECIMAL}","parameters":{{"scale":"2"}}}}"#);
    let numeric = json(&[("decimal.format", "NUMERIC"), ("schemas.enable", "false")]);
    // 1.56 is 156 unscaled: 0x009c
    assert_eq!(
        encode(&*without(), &document, Some(&[0, 0x9c]))
            .unwrap()
            .as_deref(),
        Some(r#""AJw=""#)
    );
    assert_eq!(
        encode(&*numeric, &document, Some(&[0, 0x9c]))
            .unwrap()
            .as_deref(),
        Some("1.56")
    );
    for payload in [r#""AJw=""#, "1.56", "156e-2", "1.5600"] {
        let decoded = decode(
            &*with(),
            &format!(r#"{{"schema":{document},"payload":{payload}}}"#),
        )
        .unwrap();
        assert_eq!(decoded.value.unwrap().as_ref(), &[0, 0x9c], "{payload}");
    }
    for (payload, part) in [
        ("1.567", "at most 2 digits after the point"),
        ("1e999999999", "bounded size"),
        (r#""""#, "bounded size"),
        ("true", "a decimal as base64 text or number, found true"),
    ] {
        let error = refused(&document, payload);
        assert!(error.contains(part), "{error}");
    }
    let no_scale = format!(r#"{{"type":"bytes","name":"{DECIMAL}"}}"#);
    assert!(refused(&no_scale, "1").contains("parameter `scale`"));
}

#[test]
fn decimals_inside_are_tag_4() {
    let part = format!(r#"{{"type":"bytes","name":"{DECIMAL}","parameters":{{"scale":"2"}}}}"#);
    let document = format!(r#"{{"type":"array","items":{part}}}"#);
    let tagged = |exponent, unscaled| {
        Value::Tag(
            4,
            Box::new(Value::Array(vec![Value::Int(exponent), unscaled])),
        )
    };
    let big = |tag| {
        Value::Tag(
            tag,
            Box::new(Value::Bytes(Bytes::from_static(&[
                1, 0, 0, 0, 0, 0, 0, 0, 0,
            ]))),
        )
    };
    let value = Value::Array(vec![
        tagged(-2, Value::Int(-156)),
        tagged(-2, big(2)),
        tagged(-2, big(3)),
    ]);
    assert_eq!(
        payload(&document, &value),
        r#"["/2Q=","AQAAAAAAAAAA","/v//////////"]"#
    );
    let numeric = json(&[("decimal.format", "numeric"), ("schemas.enable", "false")]);
    assert_eq!(
        encode(&*numeric, &document, Some(&value.encode()))
            .unwrap()
            .as_deref(),
        Some("[-1.56,184467440737095516.16,-184467440737095516.17]")
    );
    // one digit after the point fits into two, three do not
    let other_scale = |exponent| Value::Array(vec![tagged(exponent, Value::Int(15))]).encode();
    assert_eq!(
        encode(&*numeric, &document, Some(&other_scale(-1)))
            .unwrap()
            .as_deref(),
        Some("[1.50]")
    );
    let error = encode(&*numeric, &document, Some(&other_scale(-3))).unwrap_err();
    assert!(
        error.contains("$[0]: expected a decimal with 2 digits after the point, found one with 3"),
        "{error}"
    );
}
