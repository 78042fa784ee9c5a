//! Tests of the JSON converter: the envelope, as the Java project writes it, here; the rules of the
//! module's documentation one by one, hostile input and properties in the parts.

mod decimals;
mod hostile;
mod kinds;
mod null;
mod property;
mod schemaless;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use connect_record::{Schema, Value};

use super::{DECIMAL, JSON_DOCUMENT};
use crate::{Converter, Decoded, converter};

fn json(settings: &[(&str, &str)]) -> Arc<dyn Converter> {
    let settings: BTreeMap<_, _> = settings
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    converter("json", &settings, false).unwrap()
}

fn with() -> Arc<dyn Converter> {
    json(&[])
}

fn without() -> Arc<dyn Converter> {
    json(&[("schemas.enable", "false")])
}

fn decode(converter: &dyn Converter, body: &str) -> Result<Decoded, String> {
    converter
        .decode(Some(&Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| error.to_string())
}

fn encode(
    converter: &dyn Converter,
    document: &str,
    value: Option<&[u8]>,
) -> Result<Option<String>, String> {
    let schema = Schema::parse(document).unwrap();
    let value = value.map(Bytes::copy_from_slice);
    let body = converter
        .encode(Some(&schema), value.as_ref())
        .map_err(|error| error.to_string())?;
    Ok(body.map(|body| String::from_utf8(body.to_vec()).unwrap()))
}

/// The payload that a value has, and that the value comes back from it.
fn payload(document: &str, value: &Value) -> String {
    let held = value.encode();
    let text = encode(&*without(), document, Some(&held)).unwrap().unwrap();
    let envelope = encode(&*with(), document, Some(&held)).unwrap().unwrap();
    assert_eq!(
        envelope,
        format!(r#"{{"schema":{document},"payload":{text}}}"#)
    );
    let back = decode(&*with(), &envelope).unwrap();
    assert_eq!(back.schema.unwrap().document(), document);
    assert_eq!(Value::decode(&back.value.unwrap()).unwrap(), *value);
    text
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn refused(document: &str, payload: &str) -> String {
    decode(
        &*with(),
        &format!(r#"{{"schema":{document},"payload":{payload}}}"#),
    )
    .unwrap_err()
}

// What Java's file source writes for the line `quote " backslash \ tab<TAB>here`, with and without
// schemas: member order is a hash map's, and parameters are there when empty.
const JAVA_ENVELOPE: &str = r#"{"schema":{"name":"lines.txt_line","optional":false,"type":"string","parameters":{}},"payload":"quote \" backslash \\ tab\there"}"#;
const JAVA_PLAIN: &str = r#""quote \" backslash \\ tab\there""#;
const LINE: &[u8] = b"quote \" backslash \\ tab\there";

#[test]
fn what_java_wrote_is_read() {
    let decoded = decode(&*with(), JAVA_ENVELOPE).unwrap();
    let schema = decoded.schema.unwrap();
    assert_eq!(schema.name.as_deref(), Some("lines.txt_line"));
    assert!(!schema.optional);
    assert_eq!(decoded.value.unwrap(), LINE);

    let decoded = decode(&*without(), JAVA_PLAIN).unwrap();
    assert_eq!(
        decoded,
        Decoded {
            schema: Some(Schema::string()),
            value: Some(Bytes::from_static(LINE))
        }
    );
    assert_eq!(
        decode(&*without(), r#""""#).unwrap().value,
        Some(Bytes::new())
    );
}

#[test]
fn what_java_would_write_is_written() {
    let document = r#"{"name":"lines.txt_line","optional":false,"type":"string","parameters":{}}"#;
    assert_eq!(
        encode(&*with(), document, Some(LINE)).unwrap().as_deref(),
        Some(JAVA_ENVELOPE)
    );
    assert_eq!(
        encode(&*without(), document, Some(LINE))
            .unwrap()
            .as_deref(),
        Some(JAVA_PLAIN)
    );
}

#[test]
fn members_of_the_envelope_come_in_any_order_with_any_white_space() {
    let body = "\n { \"payload\" : \"x\\u00e9\" ,\t\"schema\" : { \"type\" : \"string\" } } \r\n";
    assert_eq!(
        decode(&*with(), body).unwrap().value.unwrap(),
        "x\u{e9}".as_bytes()
    );
}

#[test]
fn a_body_that_is_no_envelope_is_refused_with_the_way_out() {
    for body in [
        "",
        " ",
        "123",
        "[]",
        r#""x""#,
        r#"{"a":1}"#,
        "{}",
        r#"{"schema":null,"payload":1,"more":2}"#,
    ] {
        let error = decode(&*with(), body).unwrap_err();
        assert!(error.contains("`schemas.enable`"), "{body}: {error}");
    }
    for (body, found) in [
        ("", "nothing"),
        ("a line", "text that is no JSON"),
        ("7", "7"),
        (r#""x""#, "text"),
    ] {
        let error = decode(&*with(), body).unwrap_err();
        assert!(error.ends_with(&format!("found {found}")), "{error}");
    }
    for body in ["{", r#"{"schema":"#, "{} {}", r#"{"payload":1,}"#] {
        assert!(decode(&*with(), body).is_err(), "{body}");
    }
    for body in ["", "hello", "{", "1 2"] {
        assert_eq!(
            decode(&*without(), body).unwrap_err(),
            "json converter: the body is malformed"
        );
    }
    let error = decode(&*with(), r#"{"schema":{"type":"datetime"},"payload":1}"#).unwrap_err();
    assert_eq!(
        error,
        "json converter: the schema in the body cannot be used"
    );
    assert!(
        with()
            .decode(Some(&Bytes::from_static(b"{\"payload\":\"\xff\"}")))
            .is_err()
    );
}
