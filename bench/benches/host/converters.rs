//! Converters, beside serde_json reading and writing the same text.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use connect_bench::Case;
use connect_convert::{Converter, Decoded, converter};
use connect_record::Schema;

use crate::Step;

/// A row of a table: a number, a name, a price, a flag, a list.
const PAYLOAD: &str = r#"{"id":4711,"name":"Grace Brewster Murray Hopper","price":12.5,"sold":true,"tags":["blue","large","north"]}"#;
const SCHEMA: &str = r#"{"type":"struct","optional":false,"fields":[{"type":"int64","optional":false,"field":"id"},{"type":"string","optional":false,"field":"name"},{"type":"double","optional":false,"field":"price"},{"type":"boolean","optional":false,"field":"sold"},{"type":"array","items":{"type":"string","optional":false},"optional":false,"field":"tags"}]}"#;

/// Each converter, both ways.
pub(crate) fn steps() -> Result<Vec<Step<'static>>> {
    let text = Bytes::from("x".repeat(256));
    let json = Bytes::from(PAYLOAD);
    let envelope = Bytes::from(format!(r#"{{"schema":{SCHEMA},"payload":{PAYLOAD}}}"#));
    let string = named("string", &[])?;
    let bytes = named("bytes", &[])?;
    let plain = named("json", &[("schemas.enable", "false")])?;
    let full = named("json", &[("schemas.enable", "true")])?;
    let row = full.decode(Some(&envelope))?;
    ensure!(row.schema.is_some(), "the envelope has a schema");
    let loose = plain.decode(Some(&json))?;
    let string_schema = Some(Schema::string());

    let mut steps = Vec::new();
    let mut add = |name: &'static str, baseline: Option<&'static str>, case: Case<'static>| {
        steps.push(Step {
            name,
            baseline,
            records: 1,
            case,
        });
    };
    let value = serde_json::from_slice::<serde_json::Value>(&json)?;
    add("serde_json reads the payload", None, {
        let json = json.clone();
        Case::new(move || {
            drop(black_box(serde_json::from_slice::<serde_json::Value>(
                &json,
            )))
        })
    });
    add("serde_json writes the payload", None, {
        Case::new(move || drop(black_box(serde_json::to_vec(&value))))
    });
    let whole = serde_json::from_slice::<serde_json::Value>(&envelope)?;
    add("serde_json reads schema and payload", None, {
        let envelope = envelope.clone();
        Case::new(move || {
            drop(black_box(serde_json::from_slice::<serde_json::Value>(
                &envelope,
            )))
        })
    });
    add("serde_json writes schema and payload", None, {
        Case::new(move || drop(black_box(serde_json::to_vec(&whole))))
    });
    let of_text = Decoded {
        schema: string_schema,
        value: Some(text.clone()),
    };
    let of_bytes = Decoded {
        schema: None,
        value: Some(text.clone()),
    };
    add(
        "string, to a message, 256 B",
        None,
        to_message(&string, &of_text)?,
    );
    add(
        "string, from a message, 256 B",
        None,
        from_message(&string, &text)?,
    );
    add(
        "bytes, to a message, 256 B",
        None,
        to_message(&bytes, &of_bytes)?,
    );
    add(
        "bytes, from a message, 256 B",
        None,
        from_message(&bytes, &text)?,
    );
    let (reads, writes) = (
        "serde_json reads the payload",
        "serde_json writes the payload",
    );
    add(
        "json without schema, to a message",
        Some(writes),
        to_message(&plain, &loose)?,
    );
    add(
        "json without schema, from a message",
        Some(reads),
        from_message(&plain, &json)?,
    );
    let (reads, writes) = (
        "serde_json reads schema and payload",
        "serde_json writes schema and payload",
    );
    add(
        "json with schema, to a message",
        Some(writes),
        to_message(&full, &row)?,
    );
    add(
        "json with schema, from a message",
        Some(reads),
        from_message(&full, &envelope)?,
    );
    Ok(steps)
}

/// A converter with these settings.
pub(crate) fn named(name: &str, settings: &[(&str, &str)]) -> Result<Arc<dyn Converter>> {
    let settings: BTreeMap<String, String> = settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    converter(name, &settings, false).with_context(|| format!("converter {name}"))
}

fn to_message(converter: &Arc<dyn Converter>, record: &Decoded) -> Result<Case<'static>> {
    let (converter, record) = (converter.clone(), record.clone());
    let once = move || converter.encode(record.schema.as_ref(), record.value.as_ref());
    once()?.context("the converter makes nothing of it")?;
    Ok(Case::new(move || drop(black_box(once()))))
}

fn from_message(converter: &Arc<dyn Converter>, body: &Bytes) -> Result<Case<'static>> {
    let (converter, body) = (converter.clone(), body.clone());
    let once = move || converter.decode(Some(&body));
    once()?.value.context("the converter makes nothing of it")?;
    Ok(Case::new(move || drop(black_box(once()))))
}
