//! Values and bodies without a schema.

use super::*;

#[test]
fn without_a_schema_json_goes_on_as_it_stands() {
    for text in [
        r#"{"a":1,"b":[true,null,1.5]}"#,
        "[ 1, 2 ]",
        "123",
        "-0",
        "18446744073709551615",
        "123456789012345678901234567890.10",
        "1e400",
        "true",
        r#"{"a":1,"a":2}"#,
    ] {
        let decoded = decode(&*without(), text).unwrap();
        assert_eq!(
            decoded.schema.as_ref().unwrap().name.as_deref(),
            Some(JSON_DOCUMENT)
        );
        assert_eq!(decoded.value.as_deref(), Some(text.as_bytes()));
        assert_eq!(
            without()
                .encode(decoded.schema.as_ref(), decoded.value.as_ref())
                .unwrap()
                .unwrap(),
            text
        );
        // under schemas it is what Java writes for a value without one
        let body = with()
            .encode(decoded.schema.as_ref(), decoded.value.as_ref())
            .unwrap()
            .unwrap();
        assert_eq!(body, format!(r#"{{"schema":null,"payload":{text}}}"#));
        assert_eq!(with().decode(Some(&body)).unwrap(), decoded);
    }
    assert_eq!(
        decode(&*without(), " \n[1] \n").unwrap().value.as_deref(),
        Some(b"[1]".as_slice())
    );
}

#[test]
fn a_document_that_is_no_json_is_refused() {
    let document = format!(r#"{{"type":"string","name":"{JSON_DOCUMENT}"}}"#);
    for text in ["", "hello", "{", "1 2", "\"\n\""] {
        let error = encode(&*without(), &document, Some(text.as_bytes())).unwrap_err();
        assert!(error.contains("expected a JSON document"), "{error}");
    }
}

#[test]
fn plain_bytes_are_base64_under_no_schema_as_in_java() {
    let value = Bytes::from_static(b"\xff\0");
    assert_eq!(
        without()
            .encode(None, Some(&value))
            .unwrap()
            .unwrap()
            .as_ref(),
        br#""/wA=""#
    );
    let body = with().encode(None, Some(&value)).unwrap().unwrap();
    assert_eq!(body.as_ref(), br#"{"schema":null,"payload":"/wA="}"#);
}
