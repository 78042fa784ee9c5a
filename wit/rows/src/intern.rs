//! A table of texts in which each text stands once. Must never allocate for a text that it already holds.

use std::collections::HashMap;

use crate::TABLE_SIZE;

/// Up to this many texts a scan is faster than a hash.
const SCANNED: usize = 8;

/// Records repeat themselves: the text that stood at this place of the last record is tried first.
const PLACES: usize = 16;

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    texts: Vec<String>,
    /// Empty until `texts` outgrow a scan.
    found: HashMap<String, u16>,
    recent: [u16; PLACES],
}

impl Table {
    /// The index of `text`, added if it is new; `None` if the table is full. `place` says which of a record's
    /// texts of this kind it is, a hint for speed alone.
    #[inline]
    pub(crate) fn intern(&mut self, place: usize, text: &str) -> Option<u16> {
        let recent = self.recent.get(place % PLACES).copied().unwrap_or(0);
        if self
            .texts
            .get(usize::from(recent))
            .is_some_and(|known| known == text)
        {
            return Some(recent);
        }
        let index = self.search(text)?;
        if let Some(recent) = self.recent.get_mut(place % PLACES) {
            *recent = index;
        }
        Some(index)
    }

    #[inline(never)]
    fn search(&mut self, text: &str) -> Option<u16> {
        let known = if self.texts.len() <= SCANNED {
            self.texts
                .iter()
                .position(|known| known == text)
                .and_then(|index| u16::try_from(index).ok())
        } else {
            self.found.get(text).copied()
        };
        if known.is_some() {
            return known;
        }
        if self.texts.len() >= TABLE_SIZE {
            return None;
        }
        let index = u16::try_from(self.texts.len()).ok()?;
        self.texts.push(text.to_owned());
        if self.texts.len() > SCANNED {
            // The first time round this also indexes what was scanned until now.
            let from = if self.found.is_empty() { 0 } else { index };
            for (text, index) in self.texts.iter().zip(0u16..).skip(usize::from(from)) {
                self.found.insert(text.clone(), index);
            }
        }
        Some(index)
    }

    /// The texts by index; the table is empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.found.clear();
        std::mem::take(&mut self.texts)
    }
}
