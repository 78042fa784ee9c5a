//! Lines of files to queues: read in pieces, sent in batches with one in flight a queue, positions
//! made durable behind the broker's confirmations while reading goes on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use connect_broker::{Broker, MAX_BATCH_MESSAGES, Outgoing};
use connect_record::Queue;
use connect_store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Bytes of one read, as of the file connectors.
const READ: usize = 256 * 1024;
const CONNECTOR: &str = "native";

/// One batch and the place in the file behind it.
struct Batch {
    messages: Vec<Outgoing>,
    end: u64,
}

pub(crate) async fn run(
    broker: Arc<dyn Broker>,
    queues: Vec<Queue>,
    store: &Path,
    files: Vec<PathBuf>,
) -> Result<()> {
    let store = Store::open(store)?;
    let mut tasks = JoinSet::new();
    for (number, file) in files.into_iter().enumerate() {
        let queue = queues
            .get(number % queues.len())
            .context("no queue")?
            .clone();
        tasks.spawn(follow(broker.clone(), queue, store.clone(), file));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    // the harness ends it when everything has arrived
    std::future::pending().await
}

async fn follow(broker: Arc<dyn Broker>, queue: Queue, store: Store, path: PathBuf) -> Result<()> {
    let name = path.display().to_string();
    let mut lines = Lines::open(&path)?;
    let (confirmed, positions) = watch::channel(0_u64);
    let committing = tokio::spawn(commit(store, name, positions));
    let mut next = lines.batch()?;
    while let Some(Batch { messages, end }) = next {
        let send = broker.send(&queue, &messages);
        let read = async { lines.batch() };
        let (sent, read) = tokio::join!(send, read);
        sent?;
        confirmed.send_replace(end);
        next = read?;
    }
    drop(confirmed);
    committing.await?
}

/// Between the beginnings of two commits, as the worker's.
const COMMIT_EVERY: Duration = Duration::from_millis(25);

/// One commit at a time, each with the newest position.
async fn commit(store: Store, name: String, mut positions: watch::Receiver<u64>) -> Result<()> {
    while positions.changed().await.is_ok() {
        let end = *positions.borrow_and_update();
        let point = (name.clone(), Bytes::from(end.to_string()));
        let due = Instant::now() + COMMIT_EVERY;
        store.commit_positions(CONNECTOR, &[point], &[]).await?;
        sleep_until(due).await;
    }
    Ok(())
}

/// A file cut into lines.
struct Lines {
    file: File,
    /// What was read and not yet sent.
    rest: BytesMut,
    /// So much of it has no line's end.
    seen: usize,
    offset: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            file,
            rest: BytesMut::new(),
            seen: 0,
            offset: 0,
        })
    }

    /// The next batch; none at the end of the file.
    fn batch(&mut self) -> Result<Option<Batch>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let now = now.to_string();
        let mut messages = Vec::with_capacity(MAX_BATCH_MESSAGES);
        while messages.len() < MAX_BATCH_MESSAGES {
            let unseen = self.rest.get(self.seen..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', unseen).map(|at| self.seen + at) else {
                self.seen = self.rest.len();
                if self.read()? == 0 {
                    break;
                }
                continue;
            };
            self.seen = 0;
            let mut line = self.rest.split_to(end + 1);
            self.offset += line.len() as u64;
            line.truncate(end);
            messages.push(Outgoing {
                properties: vec![("connect.timestamp".to_owned(), now.clone())],
                ..Outgoing::new(line.freeze())
            });
        }
        let end = self.offset;
        Ok((!messages.is_empty()).then_some(Batch { messages, end }))
    }

    fn read(&mut self) -> Result<usize> {
        let kept = self.rest.len();
        self.rest.resize(kept + READ, 0);
        let room = self.rest.get_mut(kept..).unwrap_or_default();
        let count = self.file.read(room)?;
        self.rest.truncate(kept + count);
        Ok(count)
    }
}
