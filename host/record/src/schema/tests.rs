//! Tests of schema documents.
