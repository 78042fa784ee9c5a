//! Document to shape. Must be bounded by the document's size in time and memory, whatever the document holds.

use std::collections::{BTreeMap, HashSet};

use super::{Field, Kind, Schema, SchemaError, Shape};

/// Most characters that are kept of what the JSON parser says, which repeats names of the document.
const MESSAGE_CHARS: usize = 512;

/// A shape as the JSON converter writes it. Members that are not known are skipped; one that occurs twice is an error.
#[derive(serde::Deserialize)]
#[serde(expecting = "a schema as an object with \"type\"")]
struct Document {
    #[serde(rename = "type")]
    kind: Kind,
    optional: Option<bool>,
    name: Option<String>,
    version: Option<i32>,
    doc: Option<String>,
    default: Option<serde_json::Value>,
    parameters: Option<BTreeMap<String, String>>,
    /// The name of a struct's field stands among the members of its shape.
    field: Option<String>,
    fields: Option<Vec<Document>>,
    items: Option<Box<Document>>,
    keys: Option<Box<Document>>,
    values: Option<Box<Document>>,
}

pub(super) fn shape(document: &str) -> Result<Shape, SchemaError> {
    if document.len() > Schema::MAX_BYTES {
        return Err(SchemaError::TooLong {
            bytes: document.len(),
            limit: Schema::MAX_BYTES,
        });
    }
    // The parser refuses to go deeper than 128, so neither it nor what follows can exhaust the stack.
    let document = serde_json::from_str(document).map_err(|error| SchemaError::Json {
        message: shown(&error.to_string(), MESSAGE_CHARS),
    })?;
    convert(document, &mut Path(Vec::new()))
}

/// Where in the document the conversion is.
struct Path(Vec<String>);

impl Path {
    fn text(&self) -> String {
        if self.0.is_empty() {
            "the top".to_owned()
        } else {
            self.0.join(".")
        }
    }

    fn enter(&mut self, part: &str, document: Document) -> Result<Shape, SchemaError> {
        self.0.push(shorten(part));
        let shape = convert(document, self)?;
        self.0.pop();
        Ok(shape)
    }
}

fn convert(document: Document, path: &mut Path) -> Result<Shape, SchemaError> {
    if path.0.len() >= Schema::MAX_DEPTH {
        return Err(SchemaError::TooDeep {
            path: path.text(),
            limit: Schema::MAX_DEPTH,
        });
    }
    let kind = document.kind;
    let mut shape = Shape {
        optional: document.optional.unwrap_or(false),
        name: document.name,
        version: document.version,
        doc: document.doc,
        default: document.default,
        parameters: document.parameters.unwrap_or_default(),
        ..Shape::of(kind)
    };
    let missing = |path: &Path, member| SchemaError::Missing {
        path: path.text(),
        kind: kind.name(),
        member,
    };
    let part = |path: &mut Path, member, document: Option<Box<Document>>| match document {
        Some(document) => path
            .enter(member, *document)
            .map(|shape| Some(Box::new(shape))),
        None => Err(missing(path, member)),
    };
    match kind {
        Kind::Array => shape.items = part(path, "items", document.items)?,
        Kind::Map => {
            shape.keys = part(path, "keys", document.keys)?;
            shape.values = part(path, "values", document.values)?;
        }
        Kind::Struct => {
            shape.fields = fields(
                document.fields.ok_or_else(|| missing(path, "fields"))?,
                path,
            )?
        }
        _ => {}
    }
    Ok(shape)
}

fn fields(documents: Vec<Document>, path: &mut Path) -> Result<Vec<Field>, SchemaError> {
    let mut names = HashSet::with_capacity(documents.len());
    let mut fields = Vec::with_capacity(documents.len());
    for mut document in documents {
        let Some(name) = document.field.take() else {
            return Err(SchemaError::Missing {
                path: path.text(),
                kind: "field of a struct",
                member: "field",
            });
        };
        if !names.insert(name.clone()) {
            return Err(SchemaError::TwoFields {
                path: path.text(),
                name: shorten(&name),
            });
        }
        let shape = path.enter(&name, document)?;
        fields.push(Field { name, shape });
    }
    Ok(fields)
}

/// Names in messages are for people; a hostile one must not fill the log, nor steer what shows it.
fn shorten(name: &str) -> String {
    shown(name, 64)
}

/// At most so many characters of `text`, control characters escaped.
fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut all = text.chars();
    for character in all.by_ref().take(most) {
        match character {
            control if control.is_control() => shown.extend(control.escape_unicode()),
            other => shown.push(other),
        }
    }
    if all.next().is_some() {
        shown.push('…');
    }
    shown
}
