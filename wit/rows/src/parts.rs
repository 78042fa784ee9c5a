//! The image of the WIT record `batch`. Must never interpret what it holds.

use crate::{ENTRY_SIZE, HEADER_SIZE};

/// A batch as it crosses the wall, field for field. Not checked: anything may be in it.
///
/// The default is the batch without records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Topic names, each once.
    pub topics: Vec<String>,
    /// Source partitions; for a sink `topic TAB broker TAB queue id`.
    pub partitions: Vec<String>,
    /// Schema documents, each once.
    pub schemas: Vec<String>,
    /// Header names, each once.
    pub names: Vec<String>,
    /// Bytes per entry row.
    pub entry_size: u32,
    /// Bytes per header row.
    pub header_size: u32,
    /// The entry rows, one after the other.
    pub entries: Vec<u8>,
    /// The header rows, one after the other.
    pub headers: Vec<u8>,
    /// The bytes that spans point into.
    pub arena: Vec<u8>,
}

impl Parts {
    /// Number of whole entry rows; zero where the row size is too small to be one.
    #[inline]
    pub fn records(&self) -> usize {
        let size = self.entry_size as usize;
        if size < ENTRY_SIZE {
            0
        } else {
            self.entries.len() / size
        }
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            partitions: Vec::new(),
            schemas: Vec::new(),
            names: Vec::new(),
            entry_size: ENTRY_SIZE as u32,
            header_size: HEADER_SIZE as u32,
            entries: Vec::new(),
            headers: Vec::new(),
            arena: Vec::new(),
        }
    }
}
