//! What holds for every value: JSON and back gives the same; and for every input: an answer.

use bytes::Bytes;
use connect_record::{Kind, Schema, Value};
use num_bigint::BigInt;
use proptest::prelude::*;

use super::super::{DECIMAL, JSON_DOCUMENT};
use super::{json, with, without};

/// A schema to make values for.
#[derive(Clone, Debug)]
struct Type {
    optional: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Plain(Kind),
    Decimal(i64),
    Document,
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Struct(Vec<(String, Type)>),
}

impl Type {
    fn document(&self) -> serde_json::Value {
        let mut document = match &self.what {
            What::Plain(kind) => serde_json::json!({"type": kind.name()}),
            What::Decimal(scale) => {
                serde_json::json!({"type": "bytes", "name": DECIMAL, "parameters": {"scale": scale.to_string()}})
            }
            What::Document => serde_json::json!({"type": "string", "name": JSON_DOCUMENT}),
            What::Array(items) => serde_json::json!({"type": "array", "items": items.document()}),
            What::Map(keys, values) => {
                serde_json::json!({"type": "map", "keys": keys.document(), "values": values.document()})
            }
            What::Struct(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, of)| {
                        let mut field = of.document();
                        field["field"] = name.as_str().into();
                        field
                    })
                    .collect();
                serde_json::json!({"type": "struct", "fields": fields})
            }
        };
        document["optional"] = self.optional.into();
        document
    }

    fn value(&self) -> BoxedStrategy<Value> {
        let some = self.what.value();
        if self.optional {
            prop_oneof![1 => Just(Value::Null), 4 => some].boxed()
        } else {
            some
        }
    }
}

impl What {
    fn value(&self) -> BoxedStrategy<Value> {
        match self {
            Self::Plain(kind) => plain(*kind),
            Self::Decimal(scale) => {
                let scale = *scale;
                prop::collection::vec(any::<u8>(), 1..24)
                    .prop_map(move |bytes| decimal(&bytes, scale))
                    .boxed()
            }
            Self::Document => documents().prop_map(Value::Text).boxed(),
            Self::Array(items) => prop::collection::vec(items.value(), 0..4)
                .prop_map(Value::Array)
                .boxed(),
            Self::Map(keys, values) => prop::collection::vec((keys.value(), values.value()), 0..4)
                .prop_map(|pairs| {
                    let mut unique: Vec<(Value, Value)> = Vec::new();
                    for pair in pairs {
                        if unique.iter().all(|known| known.0 != pair.0) {
                            unique.push(pair);
                        }
                    }
                    Value::Map(unique)
                })
                .boxed(),
            Self::Struct(fields) => {
                let names: Vec<_> = fields.iter().map(|(name, _)| name.clone()).collect();
                let values: Vec<_> = fields.iter().map(|(_, of)| of.value()).collect();
                values
                    .prop_map(move |values| {
                        Value::Map(names.iter().cloned().map(Value::Text).zip(values).collect())
                    })
                    .boxed()
            }
        }
    }
}

fn plain(kind: Kind) -> BoxedStrategy<Value> {
    let int = |bits: u32| {
        any::<i64>()
            .prop_map(move |n| Value::Int(n >> (64 - bits)))
            .boxed()
    };
    match kind {
        Kind::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Int8 => int(8),
        Kind::Int16 => int(16),
        Kind::Int32 => int(32),
        Kind::Int64 => int(64),
        Kind::Float => any::<f32>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(|n| Value::Float(n.into()))
            .boxed(),
        Kind::Double => any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Value::Float)
            .boxed(),
        Kind::Bytes => prop::collection::vec(any::<u8>(), 0..16)
            .prop_map(|b| Value::Bytes(b.into()))
            .boxed(),
        _ => any::<String>().prop_map(Value::Text).boxed(),
    }
}

fn decimal(bytes: &[u8], scale: i64) -> Value {
    let number = BigInt::from_signed_bytes_be(bytes);
    let unscaled = match i64::try_from(&number) {
        Ok(small) => Value::Int(small),
        Err(_) if number.sign() == num_bigint::Sign::Minus => {
            Value::Tag(3, Box::new(Value::Bytes((!number).to_bytes_be().1.into())))
        }
        Err(_) => Value::Tag(2, Box::new(Value::Bytes(number.to_bytes_be().1.into()))),
    };
    Value::Tag(
        4,
        Box::new(Value::Array(vec![Value::Int(-scale), unscaled])),
    )
}

/// JSON texts other than strings and null.
fn documents() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        any::<u128>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ];
    let any_leaf = prop_oneof![
        leaf.clone(),
        Just("null".to_owned()),
        any::<String>().prop_map(|s| quoted(&s))
    ];
    let nested = any_leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((any::<String>(), inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(k, v)| format!("{}:{v}", quoted(k)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    prop_oneof![
        leaf,
        nested.prop_filter("no text, not null", |json| !json.starts_with(['"', 'n']))
    ]
    .boxed()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn kinds() -> impl Strategy<Value = What> {
    use Kind::{Boolean, Bytes, Double, Float, Int8, Int16, Int32, Int64, String};
    prop_oneof![
        8 => prop::sample::select(vec![Boolean, Int8, Int16, Int32, Int64, Float, Double, Bytes, String]).prop_map(What::Plain),
        2 => (-5i64..20).prop_map(What::Decimal),
        1 => Just(What::Document),
    ]
}

fn types() -> impl Strategy<Value = Type> {
    let leaf = (any::<bool>(), kinds()).prop_map(|(optional, what)| Type { optional, what });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let what = prop_oneof![
            inner.clone().prop_map(|items| What::Array(Box::new(items))),
            (inner.clone(), inner.clone()).prop_map(|(mut keys, values)| {
                // null is no name of a member
                keys.optional = false;
                if matches!(keys.what, What::Document) {
                    keys.what = What::Plain(Kind::String);
                }
                What::Map(Box::new(keys), Box::new(values))
            }),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| What::Struct(fields.into_iter().collect())),
        ];
        (any::<bool>(), what).prop_map(|(optional, what)| Type { optional, what })
    })
}

/// The value as a record holds it; none for null.
fn held(of: &Type, value: &Value) -> Option<Bytes> {
    match (&of.what, value) {
        (_, Value::Null) => None,
        (What::Decimal(_), Value::Tag(_, parts)) => {
            let Value::Array(parts) = parts.as_ref() else {
                return None;
            };
            let number = match &parts[1] {
                Value::Int(small) => BigInt::from(*small),
                Value::Tag(tag, bytes) => {
                    let Value::Bytes(bytes) = bytes.as_ref() else {
                        return None;
                    };
                    let number = BigInt::from_bytes_be(num_bigint::Sign::Plus, bytes);
                    if *tag == 3 { !number } else { number }
                }
                _ => return None,
            };
            Some(number.to_signed_bytes_be().into())
        }
        (_, Value::Text(text)) => Some(text.clone().into()),
        (_, Value::Bytes(bytes)) => Some(bytes.clone()),
        (_, other) => Some(other.encode().into()),
    }
}

fn typed_values() -> impl Strategy<Value = (Type, Value)> {
    types().prop_flat_map(|of| {
        let value = of.value();
        (Just(of), value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_value_comes_back(case in typed_values(), numeric in any::<bool>()) {
        let (of, value) = case;
        let schema = Schema::parse(&of.document().to_string()).unwrap();
        let value = held(&of, &value);
        let format = if numeric { "NUMERIC" } else { "BASE64" };
        let converter = json(&[("decimal.format", format)]);
        let body = converter.encode(Some(&schema), value.as_ref()).unwrap();
        let decoded = converter.decode(body.as_ref()).unwrap();
        prop_assert_eq!(&decoded.value, &value);
        if !matches!(of.what, What::Document) {
            prop_assert_eq!(decoded.schema.as_ref(), Some(&schema));
        }
        // its payload is what is written without schemas
        let plain = json(&[("schemas.enable", "false"), ("decimal.format", format)]).encode(Some(&schema), value.as_ref());
        let payload = plain.unwrap().unwrap_or_else(|| Bytes::from_static(b"null"));
        let tail = [b"\"payload\":".as_slice(), &payload, b"}"].concat();
        prop_assert!(body.unwrap().ends_with(&tail));
    }

    #[test]
    fn every_document_goes_on_as_it_stands(text in documents()) {
        let body = Bytes::from(text);
        let decoded = without().decode(Some(&body)).unwrap();
        prop_assert_eq!(decoded.value.as_ref(), Some(&body));
        prop_assert_eq!(without().encode(decoded.schema.as_ref(), decoded.value.as_ref()).unwrap(), Some(body));
    }

    #[test]
    fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(body);
        for converter in [with(), without()] {
            if let Ok(decoded) = converter.decode(Some(&body)) {
                prop_assert!(converter.encode(decoded.schema.as_ref(), decoded.value.as_ref()).is_ok());
            }
        }
    }

    #[test]
    fn a_damaged_body_is_answered(case in typed_values(), place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let (of, value) = case;
        let schema = Schema::parse(&of.document().to_string()).unwrap();
        let body = with().encode(Some(&schema), held(&of, &value).as_ref()).unwrap().unwrap();
        let mut body = body.to_vec();
        let place = place.index(body.len());
        if cut { body.truncate(place) } else { body[place] = byte }
        if let Ok(decoded) = with().decode(Some(&Bytes::from(body))) {
            // what was read can be written again: nothing half-right got through
            prop_assert!(with().encode(decoded.schema.as_ref(), decoded.value.as_ref()).is_ok());
        }
    }

    #[test]
    fn any_value_under_any_schema_is_answered(of in types(), value in prop::collection::vec(any::<u8>(), 0..100)) {
        let schema = Schema::parse(&of.document().to_string()).unwrap();
        let value = Bytes::from(value);
        for converter in [with(), without(), crate::converter("string", &Default::default(), false).unwrap()] {
            if let Ok(body) = converter.encode(Some(&schema), Some(&value)) {
                prop_assert!(converter.decode(body.as_ref()).is_ok());
            }
        }
    }

    #[test]
    fn a_value_of_one_schema_under_another_is_answered(one in typed_values(), other in types()) {
        let schema = Schema::parse(&other.document().to_string()).unwrap();
        if let Ok(Some(body)) = with().encode(Some(&schema), held(&one.0, &one.1).as_ref()) {
            prop_assert!(with().decode(Some(&body)).is_ok());
        }
    }
}
