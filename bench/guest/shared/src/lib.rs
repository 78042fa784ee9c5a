//! The work that the bench measures, once for guest and host: the native baseline runs this same code. Must do no
//! more than what a plugin would do with the records.
#![forbid(unsafe_code)]

use connect_rows::{Builder, Editor, Parts, RecordBuilder, TooLarge, View};

/// Names of a record's four headers.
pub const NAMES: [&str; 4] = ["content-type", "trace-id", "origin-host", "attempt"];

/// The header that is read and rewritten: not the first one, so that it has to be found.
const ONE: &str = "origin-host";

const TOPIC: &str = "orders";
const PARTITION: &str = "shop-7/orders.log";

/// What one record is made of.
pub struct Sample {
    key: [u8; 16],
    value: Vec<u8>,
    headers: [[u8; 20]; 4],
    position: [u8; 16],
    timestamp: u64,
}

/// `count` records with values of `value_bytes` bytes, no two alike.
pub fn samples(count: usize, value_bytes: usize) -> Vec<Sample> {
    (0u64..)
        .take(count)
        .map(|number| Sample::new(number, value_bytes))
        .collect()
}

impl Sample {
    fn new(number: u64, value_bytes: usize) -> Self {
        let mut state = number;
        Self {
            key: std::array::from_fn(|_| byte(&mut state)),
            value: (0..value_bytes).map(|_| byte(&mut state)).collect(),
            headers: std::array::from_fn(|_| std::array::from_fn(|_| byte(&mut state))),
            position: std::array::from_fn(|_| byte(&mut state)),
            timestamp: 1_700_000_000_000 + number,
        }
    }

    /// Puts the record into `record`, as a source does.
    #[inline]
    pub fn write(&self, record: RecordBuilder<'_>) -> Result<(), TooLarge> {
        let mut record = record
            .topic(TOPIC)
            .partition(PARTITION)
            .key(&self.key)
            .value(&self.value);
        for (name, value) in NAMES.iter().zip(&self.headers) {
            record = record.header(name, value);
        }
        record
            .position(&self.position)
            .timestamp(self.timestamp)
            .finish()
    }
}

/// A letter, from a sequence that mixes well enough.
fn byte(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 31;
    b'a' + (mixed % 26) as u8
}

/// All records in one batch.
pub fn build(samples: &[Sample], mut builder: Builder) -> Result<Parts, TooLarge> {
    for sample in samples {
        sample.write(builder.add())?;
    }
    Ok(builder.finish())
}

/// Reads of each record the key, the length of the value and one header, as a sink does; the sum keeps the optimiser
/// from leaving any of it out.
pub fn read(records: &View<'_>) -> u64 {
    let word = |bytes: &[u8]| bytes.first_chunk().copied().map_or(0, u128::from_le_bytes);
    let mut sum = 0;
    for record in records.records() {
        let key = word(record.key().unwrap_or_default());
        let header = word(record.header(ONE).unwrap_or_default());
        let length = record.value().map_or(0, <[u8]>::len);
        sum = u128::wrapping_add(sum, key ^ header ^ length as u128);
    }
    (sum >> 64) as u64 ^ sum as u64
}

/// Writes one header of each record anew, as a transform does.
pub fn rewrite(parts: Parts) -> Result<Parts, TooLarge> {
    let mut editor = Editor::new(parts);
    let mut value = *b"rewritten-0000000000";
    for (index, number) in (0..editor.len()).zip(0u64..) {
        if let Some(place) = value.last_chunk_mut() {
            *place = number.to_le_bytes();
        }
        if let Some(mut record) = editor.record(index) {
            record.set_header(ONE, &value)?;
        }
    }
    Ok(editor.finish())
}
