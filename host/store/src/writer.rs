//! The one thread that writes: it takes what is queued, commits it as one transaction and then
//! answers every caller.
//!
//! Must never answer before the data is on disk, and must never go on after a write failed: what
//! a failed commit left behind is only known after the file was opened again.

use crate::StoreError;
use crate::editions::{self, Edition};
use crate::tables::{self, StoredOffset, Target};
use bytes::Bytes;
use redb::{Database, Durability};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait; callers beyond it wait in their `await`.
const QUEUE: usize = 1024;
/// Requests that one transaction may hold, so that the first of them does not wait for ever.
const GROUP: usize = 1024;

/// One change. Secrets are sealed before they get here.
#[derive(Debug)]
pub(crate) enum Change {
    PutConnector {
        name: String,
        row: Vec<u8>,
        key_check: Option<String>,
    },
    DeleteConnector {
        name: String,
        purge: bool,
    },
    SetTarget {
        name: String,
        target: Target,
    },
    Positions {
        connector: String,
        points: Vec<(String, Bytes)>,
        forget: Vec<String>,
    },
    Offsets {
        connector: String,
        offsets: Vec<StoredOffset>,
    },
    Edition {
        connector: String,
        edition: Edition,
    },
    SetAside {
        connector: String,
    },
    PutBack {
        connector: String,
    },
    Quarantine {
        digest: String,
        reason: Option<String>,
    },
}

#[derive(Debug)]
struct Job {
    change: Change,
    done: oneshot::Sender<Result<bool, StoreError>>,
}

/// Why nothing is written any more; empty while all is well.
type Failure = Arc<OnceLock<Arc<str>>>;

/// Sends changes to the writer thread. Dropping it ends the thread after what is queued.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    // `None` only while dropping.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    failure: Failure,
}

impl Writer {
    pub(crate) fn start(path: &Path, database: Arc<Database>) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let failure = Failure::default();
        let task = Task {
            path: path.to_owned(),
            database,
            failure: Arc::clone(&failure),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || task.run(jobs))
            .map_err(StoreError::io("cannot start the writer of", path))?;
        Ok(Self {
            path: path.to_owned(),
            queue: Some(queue),
            thread: Some(thread),
            failure,
        })
    }

    /// Resolves once the change is on disk. `true` unless the change concerned something absent.
    pub(crate) async fn apply(&self, change: Change) -> Result<bool, StoreError> {
        if let Some(reason) = self.failure.get() {
            return Err(failed(&self.path, reason));
        }
        let (done, answer) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Job { change, done }).await.is_ok()
            && let Ok(result) = answer.await
        {
            return result;
        }
        // The thread went without an answer, which only a panic in it can do.
        let reason = self
            .failure
            .get_or_init(|| Arc::from("the writer thread ended unexpectedly"));
        Err(failed(&self.path, reason))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(store = %self.path.display(), "the store's writer thread panicked");
        }
    }
}

fn failed(path: &Path, reason: &Arc<str>) -> StoreError {
    StoreError::Failed {
        path: path.to_owned(),
        reason: Arc::clone(reason),
    }
}

struct Task {
    path: PathBuf,
    database: Arc<Database>,
    failure: Failure,
}

impl Task {
    fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            group.push(first);
            while group.len() < GROUP
                && let Ok(next) = jobs.try_recv()
            {
                group.push(next);
            }
            let outcome = match self.failure.get() {
                Some(reason) => Err(failed(&self.path, reason)),
                None => self.commit(&group).map_err(|error| self.fail(&error)),
            };
            match outcome {
                Ok(answers) => {
                    for (job, answer) in group.drain(..).zip(answers) {
                        answer_to(job, Ok(answer));
                    }
                }
                Err(error) => {
                    for job in group.drain(..) {
                        answer_to(job, Err(error.clone()));
                    }
                }
            }
        }
    }

    fn commit(&self, group: &[Job]) -> Result<Vec<bool>, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        // The default, said aloud: a caller is answered only for what survives a power failure.
        transaction.set_durability(Durability::Immediate)?;
        let answers = group
            .iter()
            .map(|job| change(&transaction, &job.change))
            .collect::<Result<Vec<_>, _>>()?;
        transaction.commit()?;
        Ok(answers)
    }

    fn fail(&self, error: &redb::Error) -> StoreError {
        tracing::error!(store = %self.path.display(), %error, "write failed, the store takes no more");
        let reason = self.failure.get_or_init(|| Arc::from(error.to_string()));
        failed(&self.path, reason)
    }
}

fn answer_to(job: Job, answer: Result<bool, StoreError>) {
    // A caller that no longer waits has nothing to be told; its change stands.
    drop(job.done.send(answer));
}

fn change(transaction: &redb::WriteTransaction, change: &Change) -> Result<bool, redb::Error> {
    match change {
        Change::PutConnector {
            name,
            row,
            key_check,
        } => {
            if let Some(token) = key_check {
                tables::set_meta(transaction, tables::META_KEY_CHECK, token)?;
            }
            tables::put_connector(transaction, name, row)?;
            Ok(true)
        }
        Change::DeleteConnector { name, purge } => {
            editions::forget_edition(transaction, name)?;
            tables::delete_connector(transaction, name, *purge)
        }
        Change::SetTarget { name, target } => tables::set_target(transaction, name, *target),
        Change::Positions {
            connector,
            points,
            forget,
        } => {
            let points = points.iter().map(|(key, value)| (key.as_str(), &**value));
            tables::put_positions(
                transaction,
                connector,
                points,
                forget.iter().map(String::as_str),
            )?;
            Ok(true)
        }
        Change::Offsets { connector, offsets } => {
            tables::put_offsets(transaction, connector, offsets)?;
            Ok(true)
        }
        Change::Edition { connector, edition } => {
            editions::set_edition(transaction, connector, edition)?;
            Ok(true)
        }
        Change::SetAside { connector } => editions::set_aside(transaction, connector),
        Change::PutBack { connector } => editions::put_back(transaction, connector),
        Change::Quarantine { digest, reason } => {
            editions::set_quarantine(transaction, digest, reason.as_deref())
        }
    }
}
