//! Finds texts in a table in which each text stands once. Must never allocate for a text that is there already.

use std::collections::HashMap;

use crate::TABLE_SIZE;
use crate::bytes::same;

/// Up to this many texts a scan is faster than a hash.
const SCANNED: usize = 8;

/// Records repeat themselves: the text that stood at this place of the last record is tried first.
const PLACES: usize = 16;

/// What is known about one table; the table itself is passed to each call, always the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    /// Filled when the table outgrows a scan.
    found: HashMap<String, u16>,
    recent: [u16; PLACES],
}

impl Interner {
    /// The index of `text` in `table`, added if it is new; `None` if the table is full. `place` says which of a
    /// record's texts of this kind it is, a hint for speed alone.
    #[inline]
    pub(crate) fn intern(
        &mut self,
        table: &mut Vec<String>,
        place: usize,
        text: &str,
    ) -> Option<u16> {
        let recent = self.recent.get(place % PLACES).copied().unwrap_or(0);
        if table
            .get(usize::from(recent))
            .is_some_and(|known| same(known, text))
        {
            return Some(recent);
        }
        let index = self.search(table, text)?;
        if let Some(recent) = self.recent.get_mut(place % PLACES) {
            *recent = index;
        }
        Some(index)
    }

    #[inline(never)]
    fn search(&mut self, table: &mut Vec<String>, text: &str) -> Option<u16> {
        if table.len() > SCANNED && self.found.is_empty() {
            // Of two equal texts the first one is found, as by a scan.
            for (text, index) in table.iter().zip(0u16..) {
                self.found.entry(text.clone()).or_insert(index);
            }
        }
        let known = if table.len() > SCANNED {
            self.found.get(text).copied()
        } else {
            table
                .iter()
                .zip(0u16..)
                .find(|(known, _)| same(known, text))
                .map(|(_, index)| index)
        };
        if known.is_some() {
            return known;
        }
        if table.len() >= TABLE_SIZE {
            return None;
        }
        let index = u16::try_from(table.len()).ok()?;
        if !self.found.is_empty() {
            self.found.insert(text.to_owned(), index);
        }
        table.push(text.to_owned());
        Some(index)
    }

    /// Forgets everything: the next table is another one.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_stands_once_and_keeps_its_index() {
        let mut table = Vec::new();
        let mut interner = Interner::default();
        for round in 0..3 {
            for number in 0..1_000u16 {
                let index =
                    interner.intern(&mut table, usize::from(number) + round, &number.to_string());
                assert_eq!(index, Some(number));
            }
        }
        assert_eq!(table.len(), 1_000);
    }

    #[test]
    fn a_full_table_still_finds_what_it_has() {
        let mut table: Vec<String> = (0..TABLE_SIZE).map(|number| number.to_string()).collect();
        let mut interner = Interner::default();
        assert_eq!(interner.intern(&mut table, 0, "one more"), None);
        assert_eq!(interner.intern(&mut table, 0, "65534"), Some(65_534));
        assert_eq!(table.len(), TABLE_SIZE);
    }

    #[test]
    fn cleared_it_serves_another_table() {
        let mut interner = Interner::default();
        let mut table = Vec::new();
        for number in 0..20 {
            interner.intern(&mut table, 0, &number.to_string());
        }
        interner.clear();
        let mut other = Vec::new();
        assert_eq!(interner.intern(&mut other, 0, "19"), Some(0));
        assert_eq!(other, ["19"]);
    }

    #[test]
    fn in_a_table_with_repeats_the_first_one_counts() {
        let mut table: Vec<String> = (0..10)
            .chain(0..10)
            .map(|number| number.to_string())
            .collect();
        assert_eq!(Interner::default().intern(&mut table, 3, "7"), Some(7));
    }
}
