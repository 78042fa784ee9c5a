//! Reading one queue ahead of the sink, as far as [`Ahead`] lets it. Ends when dropped; a long poll is
//! abandoned, not awaited.

use std::sync::Arc;
use std::time::Duration;

use connect_broker::{Broker, BrokerError, Messages, Pulled};
use connect_record::Queue;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::ahead::Ahead;

/// How long a queue may claim to be shorter than the offset asked for before that is believed: a
/// broker that has just confirmed a message may not show it yet.
const VISIBLE_AFTER: Duration = Duration::from_secs(10);

/// What a reader brings.
pub(crate) enum Fetched {
    Messages {
        messages: Messages,
        next: u64,
    },
    /// Nothing between the offset asked for and `next`.
    Skipped {
        next: u64,
    },
    /// The offset asked for is older than the oldest message.
    Gap {
        min: u64,
    },
    /// The queue has been shorter than the offset for too long: it is not the queue it was.
    Ahead {
        max: u64,
    },
    /// The broker is away or refuses for now.
    Waiting(String),
    /// It is back.
    Back,
    Failed(BrokerError),
}

/// A reader's message with the reader's number, since a queue may get a new reader.
pub(crate) struct Note {
    pub(crate) reader: u64,
    pub(crate) fetched: Fetched,
}

/// The running reader of one queue.
pub(crate) struct Reader {
    pub(crate) number: u64,
    ahead: Ahead,
    task: AbortHandle,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    /// A pull's messages, so many bytes, have been used up.
    pub(crate) fn used(&self, bytes: usize) {
        self.ahead.used(bytes);
    }
}

/// What readers of one task share.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) group: Arc<str>,
    pub(crate) messages: u32,
    pub(crate) wait: Duration,
    pub(crate) retry: (Duration, Duration),
    pub(crate) notes: mpsc::Sender<Note>,
}

impl Source {
    /// Starts reading `queue` at `offset`.
    pub(crate) fn read(&self, number: u64, queue: Queue, offset: u64) -> Reader {
        let ahead = Ahead::new();
        let run = run(self.clone(), number, queue, offset, ahead.clone());
        let task = tokio::spawn(run).abort_handle();
        Reader {
            number,
            ahead,
            task,
        }
    }
}

async fn run(source: Source, number: u64, queue: Queue, mut offset: u64, ahead: Ahead) {
    let tell = async |fetched| {
        source
            .notes
            .send(Note {
                reader: number,
                fetched,
            })
            .await
            .is_ok()
    };
    let mut pause = source.retry.0;
    let mut troubled = false;
    let mut short_since: Option<Instant> = None;
    loop {
        ahead.room().await;
        let pulled = source
            .broker
            .pull(&source.group, &queue, offset, source.messages, source.wait)
            .await;
        if troubled && pulled.is_ok() {
            troubled = false;
            pause = source.retry.0;
            if !tell(Fetched::Back).await {
                return;
            }
        }
        match pulled {
            Ok(Pulled::Messages { messages, next }) => {
                short_since = None;
                offset = next;
                ahead.brought(messages.bytes());
                if !tell(Fetched::Messages { messages, next }).await {
                    return;
                }
            }
            Ok(Pulled::Nothing { next }) => {
                short_since = None;
                if next > offset {
                    offset = next;
                    if !tell(Fetched::Skipped { next }).await {
                        return;
                    }
                }
            }
            Ok(Pulled::Below { min }) => {
                if tell(Fetched::Gap { min }).await {
                    tracing::debug!(%queue, offset, min, "the offset is no longer in the queue");
                }
                return;
            }
            Ok(Pulled::Above { max }) => {
                let since = *short_since.get_or_insert_with(Instant::now);
                if since.elapsed() > VISIBLE_AFTER {
                    if tell(Fetched::Ahead { max }).await {
                        tracing::debug!(%queue, offset, max, "the queue ends before the offset");
                    }
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) if error.retriable() => {
                // what a broker shows right after its return says nothing about before
                short_since = None;
                if !troubled {
                    tracing::warn!(%queue, %error, "a pull failed and is repeated until it succeeds");
                    troubled = true;
                    if !tell(Fetched::Waiting(format!(
                        "waiting for queue {queue}: {error}"
                    )))
                    .await
                    {
                        return;
                    }
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(source.retry.1);
            }
            Err(error) => {
                if tell(Fetched::Failed(error)).await {
                    tracing::debug!(%queue, "reading ended");
                }
                return;
            }
        }
    }
}
