//! `rocketmq-connect broker`: a name server and a broker in a process of their own, for tests,
//! development and the quickstart.

use crate::failure::Failure;
use crate::output::print;
use crate::runtimes::runtime;
use crate::signals::Signals;
use connect_broker_embedded::{EmbeddedBroker, EmbeddedSettings};
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs until a signal comes.
///
/// # Errors
/// The broker does not start, for example because a port is in use.
pub(crate) fn run(directory: &Path, namesrv_port: u16, broker_port: u16) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let runtime = runtime("broker", threads.max(2))?;
    let result = runtime.block_on(serve(directory, namesrv_port, broker_port));
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

async fn serve(directory: &Path, namesrv_port: u16, broker_port: u16) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let settings = EmbeddedSettings {
        namesrv_port,
        broker_port,
        ..EmbeddedSettings::new(directory)
    };
    let broker = EmbeddedBroker::start(settings).await?;
    print(&format!(
        "ready namesrv {} broker {}",
        broker.namesrv_address(),
        broker.broker_address()
    ))?;
    let signal = signals.next().await;
    tracing::info!(signal, "stopping the broker");
    let begun = Instant::now();
    tokio::select! {
        () = broker.shutdown() => {
            tracing::info!(ms = begun.elapsed().as_millis(), "the broker has stopped");
            Ok(())
        }
        signal = signals.next() => {
            Err(anyhow::anyhow!("a second signal ({signal}) came before the broker had stopped").into())
        }
    }
}
