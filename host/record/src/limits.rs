//! How large a batch may be. Must never be raised by a guest.

/// Bounds of one batch; a batch that passes one of them is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records. Default 4 096.
    pub records: u32,
    /// Header rows, and headers of all records together. Default 65 536.
    pub headers: u32,
    /// Bytes of the arena. Default 8 MiB.
    pub bytes: u64,
    /// Bytes that records refer to, all together. Spans may overlap, so this can be more than the arena holds, and it
    /// is what converters and brokers have to carry. Default 32 MiB.
    pub payload: u64,
    /// Texts in each of the tables (topics, partitions, schemas, names). Default 65 535.
    pub tables: u32,
    /// Bytes of the texts of each table. Default 1 MiB.
    pub table_bytes: u64,
    /// Bytes of one entry row or header row; a later minor version may append fields to both. Default 1 024.
    pub row_size: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 4_096,
            headers: 65_536,
            bytes: 8 << 20,
            payload: 32 << 20,
            tables: 65_535,
            table_bytes: 1 << 20,
            row_size: 1_024,
        }
    }
}
