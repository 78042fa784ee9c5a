//! The batch that a source or transform fills: records up to what the host asked for, and progress
//! that has no record.

use std::time::Duration;

use connect_rows::{Builder, Parts, RecordBuilder, RecordView};

use crate::source::ResumePoint;

/// Records on their way to the host. Full is advice: one record more is taken, a batch far beyond
/// the host's hard cap is refused as a whole.
#[derive(Debug, Default)]
pub struct Batch {
    builder: Builder,
    max_records: usize,
    max_bytes: usize,
    max_wait: Duration,
    points: Vec<ResumePoint>,
    forgotten: Vec<String>,
}

/// What a batch held when it was taken apart.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) parts: Parts,
    pub(crate) points: Vec<ResumePoint>,
    pub(crate) forgotten: Vec<String>,
}

impl Batch {
    pub(crate) fn new(
        builder: Builder,
        max_records: usize,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Self {
        Self {
            builder,
            max_records,
            max_bytes,
            max_wait,
            ..Self::default()
        }
    }

    /// Begins a record; it is in the batch once [`finish`](RecordBuilder::finish) has returned.
    ///
    /// An empty topic means the connector's own (`connect.topicname`).
    pub fn add(&mut self) -> RecordBuilder<'_> {
        self.builder.add()
    }

    /// Begins a record that comes from `input`, for transforms: with its topic, key, headers and
    /// timestamp, without a value. What is set afterwards replaces what was copied; headers add up.
    pub fn derive(&mut self, input: &RecordView<'_>) -> RecordBuilder<'_> {
        let mut record = self
            .builder
            .add()
            .topic(input.topic())
            .partition(input.partition());
        if let Some(key) = input.key() {
            record = record.key(key);
        }
        if let Some(schema) = input.key_schema() {
            record = record.key_schema(schema);
        }
        for (name, value) in input.headers() {
            record = record.header(name, value);
        }
        record.timestamp(input.timestamp()).origin(input.index())
    }

    /// Begins a record that is `input` as it came, for transforms.
    pub fn keep(&mut self, input: &RecordView<'_>) -> RecordBuilder<'_> {
        let mut record = self.derive(input);
        if let Some(value) = input.value() {
            record = record.value(value);
        }
        if let Some(schema) = input.value_schema() {
            record = record.value_schema(schema);
        }
        record
    }

    /// Whether the host has what it asked for.
    pub fn is_full(&self) -> bool {
        self.len() >= self.max_records || self.bytes() >= self.max_bytes
    }

    /// Whether a record of so many bytes still fits what the host asked for. An empty batch has
    /// room for any record, because a record that is never sent would stop everything.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.is_empty()
            || (self.len() < self.max_records
                && self.bytes().saturating_add(bytes) <= self.max_bytes)
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.builder.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.builder.is_empty()
    }

    /// Bytes of keys, values, headers and positions so far.
    pub fn bytes(&self) -> usize {
        self.builder.arena_bytes()
    }

    /// How many bytes the host asked for at most.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// How many records the host asked for at most.
    pub fn max_records(&self) -> usize {
        self.max_records
    }

    /// How long this call may take when there is nothing yet. Better than to wait inside is to
    /// return [`Next::After`](crate::Next::After).
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Progress without a record: `partition` resumes at `position` once all records of this batch
    /// are stored.
    pub fn progress(&mut self, partition: impl Into<String>, position: impl Into<Vec<u8>>) {
        self.points.push(ResumePoint {
            partition: partition.into(),
            position: position.into(),
        });
    }

    /// `partition` is gone for good: its stored position may be dropped.
    pub fn forget(&mut self, partition: impl Into<String>) {
        self.forgotten.push(partition.into());
    }

    /// Whether there is neither a record nor progress.
    pub(crate) fn is_blank(&self) -> bool {
        self.is_empty() && self.points.is_empty() && self.forgotten.is_empty()
    }

    pub(crate) fn fill(self) -> Filled {
        Filled {
            parts: self.builder.finish(),
            points: self.points,
            forgotten: self.forgotten,
        }
    }
}
