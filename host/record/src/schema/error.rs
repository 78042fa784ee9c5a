//! Why a schema document was refused. Must never repeat the document: it can be large.

/// What is wrong with a schema document.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is larger than a schema may be.
    #[error("the schema document has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// [`Schema::MAX_BYTES`](crate::Schema::MAX_BYTES).
        limit: usize,
    },
    /// It is not JSON, a member has the wrong type or occurs twice, or a type is not known.
    #[error("the schema document cannot be read: {message}")]
    Json {
        /// What the JSON parser says, with line and column.
        message: String,
    },
    /// Shapes are nested too deeply.
    #[error("the schema nests deeper than {limit} at {path}")]
    TooDeep {
        /// Where, as field names joined by dots.
        path: String,
        /// [`Schema::MAX_DEPTH`](crate::Schema::MAX_DEPTH).
        limit: usize,
    },
    /// A member that this kind needs is not there.
    #[error("the schema's {kind} at {path} has no \"{member}\"")]
    Missing {
        /// Where, as field names joined by dots.
        path: String,
        /// Which kind of shape.
        kind: &'static str,
        /// The member of the JSON object.
        member: &'static str,
    },
    /// A struct has two fields of one name.
    #[error("the schema's struct at {path} has two fields \"{name}\"")]
    TwoFields {
        /// Where, as field names joined by dots.
        path: String,
        /// The name, shortened if it is long.
        name: String,
    },
}
