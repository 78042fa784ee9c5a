//! What each instance of a module keeps on the worker's side, beside its linear memory and tables. No
//! limit of a running instance covers it and a component instantiates a module as often as it likes,
//! so what a module has of it is counted in its file. Believes every count it reads: none of them
//! makes anything be reserved, and one that is too high is refused whether or not it is true.

use wasmparser::{ElementItems, ElementSectionReader, Encoding, Payload};

/// Most globals a module defines: 16 bytes each in every instance.
const GLOBALS: u64 = 10_000;
/// Most of its imports: up to 32 bytes each.
const IMPORTS: u64 = 10_000;
/// Most functions that it hands out, by export or by element of a table: 32 bytes each.
const HANDED_OUT: u64 = 100_000;

/// More of something than a module may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) what: &'static str,
    pub(super) count: u64,
    pub(super) most: u64,
}

/// Counts of the module that is being read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    globals: u64,
    imports: u64,
    handed_out: u64,
}

impl Counts {
    /// Looks at the next part of the file.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub(super) fn see(&mut self, payload: &Payload<'_>) -> wasmparser::Result<Option<TooMany>> {
        let (count, what, more, most) = match payload {
            // Modules do not nest: with the next the one before has ended.
            Payload::Version { encoding, .. } => {
                if *encoding == Encoding::Module {
                    *self = Self::default();
                }
                return Ok(None);
            }
            Payload::GlobalSection(section) => {
                let more = u64::from(section.count());
                (&mut self.globals, "globals", more, GLOBALS)
            }
            Payload::ImportSection(section) => {
                let imports = section.clone().into_imports();
                let more = imports.take(IMPORTS as usize + 1).count() as u64;
                (&mut self.imports, "imports", more, IMPORTS)
            }
            Payload::ExportSection(section) => {
                let more = u64::from(section.count());
                let what = "exports and elements of tables";
                (&mut self.handed_out, what, more, HANDED_OUT)
            }
            Payload::ElementSection(section) => {
                let what = "exports and elements of tables";
                (&mut self.handed_out, what, elements(section)?, HANDED_OUT)
            }
            _ => return Ok(None),
        };
        *count = count.saturating_add(more);
        let count = *count;
        Ok((count > most).then_some(TooMany { what, count, most }))
    }
}

fn elements(section: &ElementSectionReader<'_>) -> wasmparser::Result<u64> {
    let mut count = 0_u64;
    for element in section.clone() {
        let items = match element?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        };
        count = count.saturating_add(items.into());
    }
    Ok(count)
}
