//! `bench-native`: the work of the file connectors written straight in Rust, with the same RocketMQ
//! client, batches, confirmations and commits, and the bare client at full speed. What the worker
//! costs beyond this is what its sandbox and its generality cost.
//!
//! Must do nothing that the worker does not do as well, and leave out nothing that it promises.
#![allow(
    clippy::print_stdout,
    reason = "the harness that starts it reads its output"
)]

mod bare;
mod latency;
mod sink;
mod source;
mod topic;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use connect_broker::{Broker, RocketMq, RocketMqSettings};

/// As the worker's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Messages of one pull.
const PULL: u32 = 1_024;
/// Longest wait of one pull at the broker.
const WAIT: Duration = Duration::from_secs(15);

#[derive(Parser)]
struct Arguments {
    /// Name servers, `host:port`.
    #[arg(long)]
    namesrv: String,
    /// The topic that is written to, read or looked at.
    #[arg(long)]
    topic: String,
    /// Its queues, made where they are missing.
    #[arg(long, default_value_t = 1)]
    queues: u32,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Sends the lines of files, one queue for each, until it is ended.
    Source {
        #[arg(long)]
        store: PathBuf,
        files: Vec<PathBuf>,
    },
    /// Appends what the topic holds to one file for each queue, until it is ended.
    Sink {
        #[arg(long)]
        store: PathBuf,
        /// Begin of the files' names.
        file: PathBuf,
    },
    /// Sends so many messages as fast as the client can.
    Produce {
        #[arg(long)]
        records: u64,
        #[arg(long)]
        bytes: usize,
    },
    /// Reads so many messages as fast as the client can.
    Consume {
        #[arg(long)]
        records: u64,
    },
    /// Only makes the topic.
    Make,
    /// Says when the topic has taken its first message and when so many; adds a message at each look.
    Watch {
        #[arg(long)]
        records: u64,
    },
    /// Waits until the topic shows so many messages.
    Filled {
        #[arg(long)]
        records: u64,
    },
    /// Says how many messages a second the topic gets.
    Rate {
        /// How long it looks, in seconds.
        #[arg(long)]
        seconds: u64,
    },
    /// Says whether the topic holds exactly the lines of these files.
    Verify {
        /// Messages that do not count.
        #[arg(long)]
        without: Option<String>,
        files: Vec<PathBuf>,
    },
    /// Sends and receives single messages at a low rate and says how old each is when it arrives.
    Latency {
        #[arg(long)]
        records: u64,
        /// Between two messages, in milliseconds.
        #[arg(long, default_value_t = 10)]
        pause: u64,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run(arguments));
    // a read that is under way is not waited for
    runtime.shutdown_background();
    outcome
}

async fn run(arguments: Arguments) -> Result<()> {
    let settings = RocketMqSettings::new(arguments.namesrv, "bench-native");
    let broker = std::sync::Arc::new(RocketMq::connect(settings)?);
    let queues = broker
        .ensure_topic(&arguments.topic, arguments.queues)
        .await?;
    if queues.is_empty() {
        bail!("topic {} has no queue", arguments.topic);
    }
    println!("ready");
    match arguments.what {
        What::Source { store, files } => source::run(broker, queues, &store, files).await,
        What::Sink { store, file } => sink::run(broker, queues, &store, &file).await,
        What::Produce { records, bytes } => bare::produce(broker, queues, records, bytes).await,
        What::Consume { records } => bare::consume(broker, queues, records).await,
        What::Make => Ok(()),
        What::Watch { records } => topic::watch(&*broker, &queues, records).await,
        What::Filled { records } => topic::filled(&*broker, &queues, records).await,
        What::Rate { seconds } => {
            topic::rate(&*broker, &queues, Duration::from_secs(seconds)).await
        }
        What::Verify { without, files } => {
            topic::verify(broker, queues, &files, without.as_deref()).await
        }
        What::Latency { records, pause } => {
            latency::run(broker, queues, records, Duration::from_millis(pause)).await
        }
    }
}
