//! Single messages at a low rate, from one task to another through the broker.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use connect_broker::{Broker, Outgoing};
use connect_record::Queue;

use crate::sink::pulls;

fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_micros())?)
}

pub(crate) async fn run(
    broker: Arc<dyn Broker>,
    queues: Vec<Queue>,
    records: u64,
    pause: Duration,
) -> Result<()> {
    let queue = queues.into_iter().next().context("no queue")?;
    let mut pulls = pulls(broker.clone(), queue.clone());
    let sending = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(pause);
        for _ in 0..records {
            ticks.tick().await;
            let message = Outgoing::new(now()?.to_string());
            broker.send(&queue, &[message]).await?;
        }
        anyhow::Ok(())
    });
    let mut seen = 0;
    while seen < records {
        let messages = pulls.recv().await.context("the queue ended")??.read()?;
        let arrived = now()?;
        for message in messages {
            let sent: u64 = std::str::from_utf8(&message.body)?.parse()?;
            println!("age {}", arrived.saturating_sub(sent));
            seen += 1;
        }
    }
    sending.await?
}
