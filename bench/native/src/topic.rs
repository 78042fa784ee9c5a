//! What a topic holds, for the harness: how much, since when, and whether it is what was in the files.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use connect_broker::{Broker, Outgoing};
use connect_record::Queue;

use crate::sink::pulls;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Without a new message.
const PATIENCE: Duration = Duration::from_secs(60);

/// The message that asks for a place.
const PROBE: &str = "a look";

/// Says when the topic has taken its first message and when so many. Of a topic that nobody but
/// [`verify`] reads: it has the messages that ask, too.
pub(crate) async fn watch(broker: &dyn Broker, queues: &[Queue], records: u64) -> Result<()> {
    let mut asked = 0;
    reaches(records, async || {
        let count = taken(broker, queues).await? - asked;
        asked += queues.len() as u64;
        Ok(count)
    })
    .await
}

/// As [`watch`], by what the topic shows: later, and without adding a message.
pub(crate) async fn filled(broker: &dyn Broker, queues: &[Queue], records: u64) -> Result<()> {
    reaches(records, async || {
        let mut count = 0;
        for queue in queues {
            count += broker.bounds(queue).await?.1;
        }
        Ok(count)
    })
    .await
}

async fn reaches(records: u64, mut count: impl AsyncFnMut() -> Result<u64>) -> Result<()> {
    let begun = Instant::now();
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let count = count().await?;
        if count != last {
            if last == 0 {
                println!("first {count} {:.6}", begun.elapsed().as_secs_f64());
            }
            (last, since) = (count, Instant::now());
        }
        if count >= records {
            println!("done {count} {:.6}", begun.elapsed().as_secs_f64());
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            bail!("{count} of {records} records, and no more");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Messages that these queues have taken, told by the place a message of ours gets: what a broker under
/// load shows to readers can be seconds behind.
async fn taken(broker: &dyn Broker, queues: &[Queue]) -> Result<u64> {
    let mut count = 0;
    for queue in queues {
        count += broker.send(queue, &[Outgoing::new(PROBE)]).await?;
    }
    Ok(count)
}

pub(crate) async fn rate(broker: &dyn Broker, queues: &[Queue], within: Duration) -> Result<()> {
    let before = taken(broker, queues).await?;
    let begun = Instant::now();
    tokio::time::sleep(within).await;
    let after = taken(broker, queues).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let between = after - before - queues.len() as u64;
    println!("rate {:.1}", between as f64 / seconds);
    Ok(())
}

/// Contents in any order: how often each hash is there.
type Contents = HashMap<u64, i64>;

fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line);
    hasher.finish()
}

pub(crate) async fn verify(
    broker: Arc<dyn Broker>,
    queues: Vec<Queue>,
    files: &[PathBuf],
    without: Option<&str>,
) -> Result<()> {
    let mut contents = Contents::new();
    let mut lines: u64 = 0;
    for path in files {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        for line in BufReader::new(file).split(b'\n') {
            *contents.entry(hash(&line?)).or_default() += 1;
            lines += 1;
        }
    }
    let mut seen: u64 = 0;
    for queue in queues {
        // everything before the place of one more message is looked at, as soon as it can be read
        let end = broker.send(&queue, &[Outgoing::new(PROBE)]).await?;
        let mut pulls = pulls(broker.clone(), queue);
        let mut next = 0;
        while next <= end {
            let messages = pulls.recv().await.context("the queue ended")??.read()?;
            for message in messages {
                next = message.queue_offset + 1;
                let extra = [Some(PROBE), without];
                if extra
                    .iter()
                    .flatten()
                    .any(|text| message.body == text.as_bytes())
                {
                    continue;
                }
                *contents.entry(hash(&message.body)).or_default() -= 1;
                seen += 1;
            }
        }
    }
    let missing: i64 = contents.values().filter(|count| **count > 0).sum();
    let surplus: i64 = contents.values().filter(|count| **count < 0).sum();
    ensure!(
        missing == 0 && surplus == 0,
        "{missing} of {lines} lines are missing, {} messages are none of them or too many",
        -surplus
    );
    println!("same {seen}");
    Ok(())
}
