//! Queues to lines of files: up to four pulls ahead, appended, and flushed to disk before the offsets are
//! made durable and mirrored to the broker, as often as the worker does it, and as it does while the next
//! lines are written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use connect_broker::{Broker, Messages, Pulled};
use connect_record::Queue;
use connect_store::{Store, StoredOffset};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::{PULL, WAIT};

/// The worker's defaults.
const FLUSH_RECORDS: u64 = 10_000;
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
const GROUP: &str = "native";
/// Pulls that wait, beside the one that was made and the one that is taken.
const AHEAD: usize = 2;

pub(crate) async fn run(
    broker: Arc<dyn Broker>,
    queues: Vec<Queue>,
    store: &Path,
    file: &Path,
) -> Result<()> {
    let store = Store::open(store)?;
    broker.ensure_group(GROUP).await?;
    let mut tasks = JoinSet::new();
    for queue in queues {
        let path = PathBuf::from(format!("{}.{}", file.display(), queue.id));
        tasks.spawn(append(broker.clone(), queue, store.clone(), path));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// What is pulled from `queue`, as many pulls ahead of whoever takes it as the worker's.
pub(crate) fn pulls(broker: Arc<dyn Broker>, queue: Queue) -> mpsc::Receiver<Result<Messages>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut offset = 0;
        loop {
            let pulled = broker.pull(GROUP, &queue, offset, PULL, WAIT).await;
            let brought = match pulled {
                Ok(Pulled::Messages { messages, next }) => {
                    offset = next;
                    Ok(messages)
                }
                Ok(Pulled::Nothing { next }) => {
                    offset = next;
                    continue;
                }
                Ok(_) => Err(anyhow::anyhow!("{queue} does not go on at {offset}")),
                Err(error) => Err(error.into()),
            };
            if sender.send(brought).await.is_err() {
                return;
            }
        }
    });
    receiver
}

async fn append(broker: Arc<dyn Broker>, queue: Queue, store: Store, path: PathBuf) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
    let mut pulls = pulls(broker.clone(), queue.clone());
    let mut lines = Vec::with_capacity(1 << 20);
    let (mut next, mut unflushed, mut due) = (0, 0, Instant::now() + FLUSH_INTERVAL);
    let mut committing: Option<JoinHandle<Result<()>>> = None;
    loop {
        let brought = tokio::time::timeout_at(due, pulls.recv()).await;
        match brought {
            Ok(Some(messages)) => {
                for message in messages?.read()? {
                    lines.extend_from_slice(&message.body);
                    lines.push(b'\n');
                    next = message.queue_offset + 1;
                    unflushed += 1;
                }
                if lines.len() >= 1 << 20 {
                    write(&mut file, &mut lines)?;
                }
            }
            Ok(None) => bail!("{queue} is not read any more"),
            Err(_) => {}
        }
        if unflushed >= FLUSH_RECORDS || (unflushed > 0 && due <= Instant::now()) {
            write(&mut file, &mut lines)?;
            // nobody else's pulls wait for the disk, and one flush is at work at a time
            let durable = file.try_clone()?;
            tokio::task::spawn_blocking(move || durable.sync_data()).await??;
            let offset = StoredOffset {
                topic: queue.topic.to_string(),
                broker: queue.broker.to_string(),
                id: queue.id,
                next,
            };
            if let Some(committing) = committing.take() {
                committing.await??;
            }
            let (store, broker, queue) = (store.clone(), broker.clone(), queue.clone());
            committing = Some(tokio::spawn(async move {
                store.commit_offsets(GROUP, &[offset]).await?;
                broker.commit_offset(GROUP, &queue, next).await?;
                anyhow::Ok(())
            }));
            unflushed = 0;
        }
        if due <= Instant::now() {
            due = Instant::now() + FLUSH_INTERVAL;
        }
    }
}

fn write(file: &mut File, lines: &mut Vec<u8>) -> Result<()> {
    file.write_all(lines)?;
    lines.clear();
    Ok(())
}
