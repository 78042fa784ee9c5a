//! Schemas: what a key or a value is, written as the document that RocketMQ Connect's JSON converter writes. Must
//! never change a document: what a plugin wrote goes on as it was.

mod cache;
mod error;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

pub use error::SchemaError;

/// What a value is. Logical types (decimals, dates, …) are one of these with a [`Shape::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// True or false.
    Boolean,
    /// Integer of 8 bits.
    Int8,
    /// Integer of 16 bits.
    Int16,
    /// Integer of 32 bits.
    Int32,
    /// Integer of 64 bits.
    Int64,
    /// Floating point of 32 bits.
    Float,
    /// Floating point of 64 bits.
    Double,
    /// Any bytes; in a batch the span is the value.
    Bytes,
    /// UTF-8 text; in a batch the span is the value.
    String,
    /// Values of one shape.
    Array,
    /// Keys of one shape with values of another.
    Map,
    /// Named fields.
    Struct,
}

impl Kind {
    /// The name that documents use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array => "array",
            Self::Map => "map",
            Self::Struct => "struct",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A shape, or a part of one. A whole [`Schema`] dereferences to its shape, so `schema.kind` works for both.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// What it is.
    pub kind: Kind,
    /// Whether null is one of its values.
    pub optional: bool,
    /// Name of the type; says which logical type it is, such as a date.
    pub name: Option<String>,
    /// Version of the named type.
    pub version: Option<i32>,
    /// For people.
    pub doc: Option<String>,
    /// What stands for a missing value, in the JSON converter's form; `None` when there is none or it is null.
    pub default: Option<serde_json::Value>,
    /// Parameters of the named type, such as a decimal's scale.
    pub parameters: BTreeMap<String, String>,
    /// Fields of a struct, in order, each name once; empty for other kinds.
    pub fields: Vec<Field>,
    /// What an array holds; there for arrays alone.
    pub items: Option<Box<Shape>>,
    /// What a map's keys are; there for maps alone.
    pub keys: Option<Box<Shape>>,
    /// What a map's values are; there for maps alone.
    pub values: Option<Box<Shape>>,
}

impl Shape {
    /// A shape of this kind without anything else.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            optional: false,
            name: None,
            version: None,
            doc: None,
            default: None,
            parameters: BTreeMap::new(),
            fields: Vec::new(),
            items: None,
            keys: None,
            values: None,
        }
    }

    /// The field of this name, of a struct.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub shape: Shape,
}

/// A schema: its document as it was written, and the shape that the document describes. Two schemas are equal when
/// their documents are.
#[derive(Clone)]
pub struct Schema {
    document: Box<str>,
    shape: Shape,
}

impl Schema {
    /// Most bytes of a document: 256 KiB.
    pub const MAX_BYTES: usize = 256 << 10;

    /// Most shapes inside each other.
    pub const MAX_DEPTH: usize = 64;

    /// Parses a document. Documents that were seen lately come from a cache that all threads share and whose size is
    /// bounded.
    ///
    /// # Errors
    /// [`SchemaError`] if the document is too long, too deep, not JSON, or not a schema.
    pub fn parse(document: &str) -> Result<Arc<Self>, SchemaError> {
        if let Some(known) = cache::get(document) {
            return Ok(known);
        }
        let schema = Arc::new(Self {
            shape: parse::shape(document)?,
            document: document.into(),
        });
        cache::put(&schema);
        Ok(schema)
    }

    /// The document, as it was written.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// What the document describes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The schema of text that may be null.
    pub fn string() -> Arc<Self> {
        static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| optional(Kind::String));
        Arc::clone(&SCHEMA)
    }

    /// The schema of bytes that may be null.
    pub fn bytes() -> Arc<Self> {
        static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| optional(Kind::Bytes));
        Arc::clone(&SCHEMA)
    }
}

fn optional(kind: Kind) -> Arc<Schema> {
    let document = format!(r#"{{"type":"{kind}","optional":true}}"#).into();
    Arc::new(Schema {
        document,
        shape: Shape {
            optional: true,
            ..Shape::of(kind)
        },
    })
}

impl Deref for Schema {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        &self.shape
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for Schema {}

impl Hash for Schema {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.document.hash(state);
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.document).finish()
    }
}
