//! The broker's group offset, kept after the store's. Tools that watch a group's lag read it; a
//! sink never resumes from it, so a failure here is told in the log and tried again later.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connect_broker::Broker;
use connect_record::Queue;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Pause before a failed round is repeated.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the last round may take when a task ends.
const LAST: Duration = Duration::from_millis(500);

type Offsets = HashMap<Queue, u64>;

/// Writes the newest durable offsets to the broker, off the task's way.
pub(crate) struct Mirror {
    newest: watch::Sender<Offsets>,
    task: JoinHandle<()>,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Mirror {
    pub(crate) fn start(broker: Arc<dyn Broker>, group: Arc<str>) -> Self {
        let (newest, seen) = watch::channel(Offsets::new());
        Self {
            newest,
            task: tokio::spawn(run(broker, group, seen)),
        }
    }

    pub(crate) fn note(&self, offsets: impl Iterator<Item = (Queue, u64)>) {
        self.newest.send_modify(|newest| newest.extend(offsets));
    }

    /// Gives the last offsets a moment to arrive.
    pub(crate) async fn finish(mut self) {
        // without a sender the task writes what is left and ends
        self.newest = watch::channel(Offsets::new()).0;
        if tokio::time::timeout(LAST, &mut self.task).await.is_err() {
            tracing::debug!(
                "the broker's group offset is behind the store's; the next start mends it"
            );
        }
    }
}

async fn run(broker: Arc<dyn Broker>, group: Arc<str>, mut seen: watch::Receiver<Offsets>) {
    let mut written = Offsets::new();
    let mut grouped = false;
    let mut last = false;
    while !last {
        last = seen.changed().await.is_err();
        loop {
            let wanted: Vec<(Queue, u64)> = {
                let newest = seen.borrow_and_update();
                let differs = |(queue, next): &(&Queue, &u64)| written.get(*queue) != Some(*next);
                newest
                    .iter()
                    .filter(differs)
                    .map(|(queue, next)| (queue.clone(), *next))
                    .collect()
            };
            let failed = write(&*broker, &group, wanted, &mut written, &mut grouped).await;
            let Err(error) = failed else { break };
            tracing::debug!(%group, %error, "the broker's group offset could not be written");
            if last {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn write(
    broker: &dyn Broker,
    group: &str,
    wanted: Vec<(Queue, u64)>,
    written: &mut Offsets,
    grouped: &mut bool,
) -> Result<(), connect_broker::BrokerError> {
    if !wanted.is_empty() && !*grouped {
        broker.ensure_group(group).await?;
        *grouped = true;
    }
    let mut failed = Ok(());
    for (queue, next) in wanted {
        match broker.commit_offset(group, &queue, next).await {
            Ok(()) => {
                written.insert(queue, next);
            }
            Err(error) => {
                *grouped = false;
                failed = Err(error);
            }
        }
    }
    failed
}
