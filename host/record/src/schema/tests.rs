//! Tests of schema documents: what is read, what is refused and how it is told, what cannot hurt.

use proptest::prelude::*;

use super::*;

fn refused(document: &str) -> String {
    Schema::parse(document).unwrap_err().to_string()
}

#[test]
fn a_document_as_the_json_converter_writes_it() {
    let document = r#"{
        "type": "struct", "name": "orders.Order", "version": 3, "optional": false, "doc": "an order",
        "parameters": {"owner": "shop"},
        "fields": [
            {"field": "id", "type": "int64", "optional": false},
            {"field": "note", "type": "string", "optional": true, "default": "none"},
            {"field": "price", "type": "bytes", "name": "io.openmessaging.connector.api.data.logical.Decimal",
             "parameters": {"scale": "2"}},
            {"field": "tags", "type": "array", "items": {"type": "string"}},
            {"field": "counts", "type": "map", "keys": {"type": "string"}, "values": {"type": "int32"}, "index": 4}
        ]
    }"#;
    let schema = Schema::parse(document).unwrap();
    assert_eq!(schema.document(), document);
    assert_eq!(
        (schema.kind, schema.name.as_deref(), schema.version),
        (Kind::Struct, Some("orders.Order"), Some(3))
    );
    assert_eq!(
        (schema.optional, schema.doc.as_deref()),
        (false, Some("an order"))
    );
    assert_eq!(
        schema.parameters.get("owner").map(String::as_str),
        Some("shop")
    );
    let names: Vec<_> = schema
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(names, ["id", "note", "price", "tags", "counts"]);
    let note = &schema.field("note").unwrap().shape;
    assert_eq!(
        (
            note.kind,
            note.optional,
            note.default.as_ref().unwrap().as_str()
        ),
        (Kind::String, true, Some("none"))
    );
    assert_eq!(
        schema.field("price").unwrap().shape.parameters["scale"],
        "2"
    );
    assert_eq!(
        schema
            .field("tags")
            .unwrap()
            .shape
            .items
            .as_ref()
            .unwrap()
            .kind,
        Kind::String
    );
    let counts = &schema.field("counts").unwrap().shape;
    assert_eq!(counts.keys.as_ref().unwrap().kind, Kind::String);
    assert_eq!(counts.values.as_ref().unwrap().kind, Kind::Int32);
    assert!(schema.field("other").is_none());
}

#[test]
fn every_kind_by_its_name() {
    let simple = [
        "boolean", "int8", "int16", "int32", "int64", "float", "double", "bytes", "string",
    ];
    for name in simple {
        assert_eq!(
            Schema::parse(&format!(r#"{{"type":"{name}"}}"#))
                .unwrap()
                .kind
                .name(),
            name
        );
    }
    assert_eq!(
        refused(r#"{"type":"array"}"#),
        "the schema's array at the top has no \"items\""
    );
    let map = r#"{"type":"map","keys":{"type":"string"}}"#;
    assert_eq!(
        refused(map),
        "the schema's map at the top has no \"values\""
    );
    assert_eq!(
        refused(r#"{"type":"struct"}"#),
        "the schema's struct at the top has no \"fields\""
    );
    assert!(Schema::parse(r#"{"type":"struct","fields":[]}"#).is_ok());
}

#[test]
fn members_that_are_null_or_unknown_say_nothing() {
    let plain = Schema::parse(r#"{"type":"int8"}"#).unwrap();
    let padded = r#"{"type":"int8","optional":null,"name":null,"version":null,"doc":null,"default":null,
        "parameters":null,"fields":null,"items":null,"keys":null,"values":null,"field":null,"colour":{"a":[1]}}"#;
    assert_eq!(Schema::parse(padded).unwrap().shape(), plain.shape());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let unknown = refused(r#"{"type":"int7"}"#);
    assert!(
        unknown.starts_with(
            "the schema document cannot be read: unknown variant `int7`, expected one of"
        ),
        "{unknown}"
    );
    assert!(refused("").starts_with("the schema document cannot be read: EOF"));
    assert!(refused("[]").contains("cannot be read"));
    assert!(refused("null").contains("a schema as an object with \"type\""));
    assert!(refused(r#"{"type":"int8"} x"#).contains("trailing characters"));
    assert!(refused(r#"{"type":"int8","type":"int8"}"#).contains("duplicate field `type`"));
    assert!(refused(r#"{"type":"int8","version":"1"}"#).contains("invalid type: string"));
    let nested = r#"{"type":"struct","fields":[{"field":"a","type":"array","items":{"type":"struct","fields":
        [{"field":"b","type":"map","keys":{"type":"int8"}}]}}]}"#;
    assert_eq!(
        refused(nested),
        "the schema's map at a.items.b has no \"values\""
    );
    let nameless = r#"{"type":"struct","fields":[{"type":"int8"}]}"#;
    assert_eq!(
        refused(nameless),
        "the schema's field of a struct at the top has no \"field\""
    );
    let twice =
        r#"{"type":"struct","fields":[{"field":"a","type":"int8"},{"field":"a","type":"int8"}]}"#;
    assert_eq!(
        refused(twice),
        "the schema's struct at the top has two fields \"a\""
    );
    let long = twice.replace("\"a\"", &format!("\"{}\"", "ü".repeat(1_000)));
    assert!(refused(&long).len() < 250, "a long name is shortened");
    let forged = refused(&twice.replace("\"a\"", r#""a\nb\u001b""#));
    assert!(
        forged.ends_with("two fields \"a\\u{a}b\\u{1b}\""),
        "{forged}"
    );
    for kind in [r"a\n\u001b[2J".to_owned(), "k".repeat(60_000)] {
        let text = refused(&format!("{{\"type\":\"{kind}\"}}"));
        assert!(
            text.len() < 700 && !text.contains(char::is_control),
            "{text}"
        );
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let arrays = |depth: usize| {
        format!(
            "{}{}{}",
            r#"{"type":"array","items":"#.repeat(depth),
            r#"{"type":"int8"}"#,
            "}".repeat(depth)
        )
    };
    assert!(Schema::parse(&arrays(Schema::MAX_DEPTH - 1)).is_ok());
    assert!(
        refused(&arrays(Schema::MAX_DEPTH))
            .starts_with("the schema nests deeper than 64 at items.items")
    );
    assert!(refused(&arrays(4_000)).contains("recursion limit"));
    assert!(
        refused(&format!(
            r#"{{"type":"int8","default":{}1{}}}"#,
            "[".repeat(9_000),
            "]".repeat(9_000)
        ))
        .contains("recursion limit")
    );
    let padding = " ".repeat(Schema::MAX_BYTES);
    assert_eq!(
        refused(&format!(r#"{{"type":"int8"}}{padding}"#)),
        "the schema document has 262159 bytes, the limit is 262144"
    );
}

#[test]
fn the_same_document_is_parsed_once() {
    let document = r#"{"type":"int64","name":"parsed-once"}"#;
    let first = Schema::parse(document).unwrap();
    let second = std::thread::spawn(move || Schema::parse(document))
        .join()
        .unwrap()
        .unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first, second);
    assert_ne!(first, Schema::parse(r#"{"type":"int64"}"#).unwrap());
}

#[test]
fn ready_made_schemas_are_what_their_documents_say() {
    for schema in [Schema::string(), Schema::bytes()] {
        assert_eq!(parse::shape(schema.document()).unwrap(), *schema.shape());
        assert!(schema.optional);
    }
    assert_eq!(
        (Schema::string().kind, Schema::bytes().kind),
        (Kind::String, Kind::Bytes)
    );
    assert!(Arc::ptr_eq(&Schema::string(), &Schema::string()));
    assert_eq!(
        format!("{:?}", Schema::bytes()),
        r#"Schema("{\"type\":\"bytes\",\"optional\":true}")"#
    );
}

/// Something that looks like a schema, often enough one.
fn document() -> impl Strategy<Value = String> {
    let kinds = proptest::sample::select(vec![
        "int8", "string", "bytes", "struct", "map", "array", "nothing",
    ]);
    let leaf = kinds.prop_map(|kind| format!(r#"{{"type":"{kind}","fields":[]}}"#));
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| format!(r#"{{"type":"array","items":{items}}}"#)),
            (inner.clone(), inner.clone()).prop_map(|(keys, values)| format!(
                r#"{{"type":"map","keys":{keys},"values":{values}}}"#
            )),
            proptest::collection::vec(("[ab]", inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, field)| field.replacen('{', &format!(r#"{{"field":"{name}","#), 1))
                    .collect();
                format!(r#"{{"type":"struct","fields":[{}]}}"#, fields.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        prop_assert!(Schema::parse(&text).is_err(), "random text is no schema");
    }

    #[test]
    fn any_document_is_read_or_refused(document in document(), cut in any::<proptest::sample::Index>()) {
        if let Ok(schema) = Schema::parse(&document) {
            prop_assert_eq!(schema.document(), &document);
            let short = document.get(..cut.index(document.len())).unwrap();
            prop_assert!(Schema::parse(short).is_err(), "a part of a document is no document");
        }
    }
}
