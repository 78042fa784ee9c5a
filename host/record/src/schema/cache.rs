//! Schemas by document, shared by all threads. Must never grow beyond its bounds, whatever guests send: it keeps two
//! generations, and drops the older one when the younger is full.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::Schema;

/// Most schemas of one generation.
const SCHEMAS: usize = 512;

/// Most bytes of documents of one generation. A shape takes up to about sixteen times its document.
const BYTES: usize = 1 << 20;

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

/// Puts a schema into a set under its document.
struct ByDocument(Arc<Schema>);

impl Borrow<str> for ByDocument {
    fn borrow(&self) -> &str {
        self.0.document()
    }
}

impl PartialEq for ByDocument {
    fn eq(&self, other: &Self) -> bool {
        self.0.document() == other.0.document()
    }
}

impl Eq for ByDocument {}

impl Hash for ByDocument {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.document().hash(state);
    }
}

#[derive(Default)]
pub(super) struct Cache {
    young: HashSet<ByDocument>,
    old: HashSet<ByDocument>,
    /// Bytes of the documents in `young`.
    bytes: usize,
}

impl Cache {
    fn get(&mut self, document: &str) -> Option<Arc<Schema>> {
        if let Some(known) = self.young.get(document) {
            return Some(Arc::clone(&known.0));
        }
        let known = self.old.take(document)?.0;
        self.put(Arc::clone(&known));
        Some(known)
    }

    fn put(&mut self, schema: Arc<Schema>) {
        let bytes = schema.document().len();
        if self.young.len() >= SCHEMAS || self.bytes + bytes > BYTES {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        if self.young.insert(ByDocument(schema)) {
            self.bytes += bytes;
        }
    }
}

/// The schema of this document, if it was seen lately.
pub(super) fn get(document: &str) -> Option<Arc<Schema>> {
    CACHE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(document)
}

/// Remembers `schema` for a while.
pub(super) fn put(schema: &Arc<Schema>) {
    CACHE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .put(Arc::clone(schema));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(number: usize, padding: usize) -> Arc<Schema> {
        let document = format!(
            r#"{{"type":"int64","version":{number},"doc":"{}"}}"#,
            "x".repeat(padding)
        );
        let shape = super::super::parse::shape(&document).unwrap();
        Arc::new(Schema {
            document: document.into(),
            shape,
        })
    }

    #[test]
    fn stays_within_its_bounds_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        let used = schema(0, 0);
        cache.put(Arc::clone(&used));
        for number in 1..5_000 {
            cache.put(schema(number, number % 7_000));
            let known = cache.get(used.document()).unwrap();
            assert!(
                Arc::ptr_eq(&known, &used),
                "a schema in use must not be parsed again"
            );
            assert!(cache.young.len() <= SCHEMAS && cache.old.len() <= SCHEMAS);
            assert!(
                cache
                    .young
                    .iter()
                    .map(|schema| schema.0.document().len())
                    .sum::<usize>()
                    <= BYTES
            );
        }
        assert!(
            cache.get(schema(1, 1).document()).is_none(),
            "what nobody asks for is dropped"
        );
    }

    #[test]
    fn putting_twice_counts_once() {
        let mut cache = Cache::default();
        cache.put(schema(1, 10));
        let bytes = cache.bytes;
        cache.put(schema(1, 10));
        assert_eq!(cache.bytes, bytes);
    }
}
