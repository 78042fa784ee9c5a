//! Schema documents of a hostile plugin. Must walk through every shape that is accepted.

use connect_record::{Kind, Schema, Shape};

pub(crate) fn check(bytes: &[u8]) {
    let Ok(document) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(schema) = Schema::parse(document) else {
        return;
    };
    assert_eq!(schema.document(), document);
    assert!(document.len() <= Schema::MAX_BYTES);
    walk(schema.shape(), 1);
}

fn walk(shape: &Shape, depth: usize) {
    assert!(depth <= Schema::MAX_DEPTH);
    assert_eq!(shape.items.is_some(), shape.kind == Kind::Array);
    assert_eq!(shape.keys.is_some(), shape.kind == Kind::Map);
    assert_eq!(shape.values.is_some(), shape.kind == Kind::Map);
    assert!(shape.fields.is_empty() || shape.kind == Kind::Struct);
    for part in [&shape.items, &shape.keys, &shape.values]
        .into_iter()
        .flatten()
    {
        walk(part, depth + 1);
    }
    for field in &shape.fields {
        walk(&field.shape, depth + 1);
    }
}
