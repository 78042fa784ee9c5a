//! The client alone: messages from memory to all queues with each batch confirmed, and from all queues
//! to nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use bytes::Bytes;
use connect_broker::{Broker, MAX_BATCH_MESSAGES, Outgoing};
use connect_record::Queue;
use tokio::task::JoinSet;

use crate::sink::pulls;

/// A message like the file source's of a line of so many bytes.
fn message(body: &Bytes) -> Outgoing {
    Outgoing {
        properties: vec![("connect.timestamp".to_owned(), "1700000000000".to_owned())],
        ..Outgoing::new(body.clone())
    }
}

pub(crate) async fn produce(
    broker: Arc<dyn Broker>,
    queues: Vec<Queue>,
    records: u64,
    bytes: usize,
) -> Result<()> {
    let body = Bytes::from(vec![b'x'; bytes]);
    let each = records.div_ceil(queues.len() as u64);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for queue in queues {
        let (broker, body) = (broker.clone(), body.clone());
        tasks.spawn(async move {
            // made once: nothing but the client is measured
            let messages = vec![message(&body); MAX_BATCH_MESSAGES];
            let mut left = usize::try_from(each)?;
            while left > 0 {
                let batch = messages.get(..left).unwrap_or(&messages);
                broker.send(&queue, batch).await?;
                left -= batch.len();
            }
            anyhow::Ok(each)
        });
    }
    let mut sent = 0;
    while let Some(ended) = tasks.join_next().await {
        sent += ended??;
    }
    println!("done {sent} {:.6}", begun.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) async fn consume(
    broker: Arc<dyn Broker>,
    queues: Vec<Queue>,
    records: u64,
) -> Result<()> {
    let seen = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for queue in queues {
        let (mut pulls, seen) = (pulls(broker.clone(), queue), seen.clone());
        tasks.spawn(async move {
            while let Some(messages) = pulls.recv().await {
                let count = messages?.read()?.len() as u64;
                let before = seen.fetch_add(count, Ordering::Relaxed);
                if before == 0 {
                    println!("first {count} {:.6}", begun.elapsed().as_secs_f64());
                }
                if before + count >= records {
                    return Ok(());
                }
            }
            bail!("a queue is not read any more")
        });
    }
    // the task that sees the last record ends first
    if let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let seen = seen.load(Ordering::Relaxed);
    println!("done {seen} {:.6}", begun.elapsed().as_secs_f64());
    Ok(())
}
