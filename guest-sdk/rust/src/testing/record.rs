//! Records that a test owns.

use connect_rows::{Builder, Parts, RecordView, View};

use crate::sink::Queue;

/// A record with nothing borrowed. In a batch for a sink, a record without partition gets the
/// queue 0 of topic `topic` on broker `broker`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRecord {
    /// Topic; empty for the connector's own.
    pub topic: String,
    /// Source partition, or a queue as `topic TAB broker TAB id`.
    pub partition: String,
    /// Key; `None` when there is none.
    pub key: Option<Vec<u8>>,
    /// Value; `None` for null.
    pub value: Option<Vec<u8>>,
    /// Schema document of the key.
    pub key_schema: Option<String>,
    /// Schema document of the value.
    pub value_schema: Option<String>,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Where its source resumes after it.
    pub position: Option<Vec<u8>>,
    /// Offset in its queue.
    pub offset: u64,
    /// Milliseconds since the epoch.
    pub timestamp: u64,
    /// Index of the input it comes from, after a transform.
    pub origin: u32,
}

/// A record with this value, to go on from with struct update or the functions of [`TestRecord`].
pub fn record(value: impl Into<Vec<u8>>) -> TestRecord {
    TestRecord {
        value: Some(value.into()),
        ..TestRecord::default()
    }
}

impl TestRecord {
    /// With this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// From this queue at this offset.
    #[must_use]
    pub fn from_queue(mut self, queue: &Queue, offset: u64) -> Self {
        self.topic.clone_from(&queue.topic);
        self.partition = format!("{}\t{}\t{}", queue.topic, queue.broker, queue.id);
        self.offset = offset;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a schema document for the value.
    #[must_use]
    pub fn value_schema(mut self, document: impl Into<String>) -> Self {
        self.value_schema = Some(document.into());
        self
    }

    /// The value as text; for messages of failed assertions, so what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        self.value
            .as_deref()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .unwrap_or_default()
    }

    fn of(view: RecordView<'_>) -> Self {
        Self {
            topic: view.topic().to_owned(),
            partition: view.partition().to_owned(),
            key: view.key().map(<[u8]>::to_vec),
            value: view.value().map(<[u8]>::to_vec),
            key_schema: view.key_schema().map(str::to_owned),
            value_schema: view.value_schema().map(str::to_owned),
            headers: view
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            position: view.position().map(<[u8]>::to_vec),
            offset: view.offset(),
            timestamp: view.timestamp(),
            origin: view.origin(),
        }
    }
}

/// The records of a batch.
pub(super) fn owned(parts: &Parts) -> Vec<TestRecord> {
    View::new(parts).records().map(TestRecord::of).collect()
}

/// A batch of records.
pub(super) fn batch(records: &[TestRecord]) -> crate::Result<Parts> {
    let mut builder = Builder::new();
    for record in records {
        let (topic, partition) = match record.partition.as_str() {
            "" => ("topic", "topic\tbroker\t0"),
            partition => (record.topic.as_str(), partition),
        };
        let mut row = builder.add().topic(topic).partition(partition);
        if let Some(key) = &record.key {
            row = row.key(key);
        }
        if let Some(value) = &record.value {
            row = row.value(value);
        }
        if let Some(document) = &record.key_schema {
            row = row.key_schema(document);
        }
        if let Some(document) = &record.value_schema {
            row = row.value_schema(document);
        }
        for (name, value) in &record.headers {
            row = row.header(name, value);
        }
        row.offset(record.offset)
            .timestamp(record.timestamp)
            .finish()?;
    }
    Ok(builder.finish())
}
