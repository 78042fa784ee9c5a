//! Logs go to standard error; standard output is for what was asked for.

use crate::failure::Failure;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise. The client and broker crates warn of ordinary
/// things, such as a long poll that is abandoned, and call a connection that a broker that is away
/// does not take an error each time; what matters of it the worker says itself.
const DEFAULT: &str = "info,rocketmq=error,rocketmq_transport=off,rocketmq_connect=info";

/// Starts logging.
///
/// # Errors
/// `RUST_LOG` cannot be understood.
pub(crate) fn start() -> Result<(), Failure> {
    let filter = filter(std::env::var("RUST_LOG").ok().as_deref())?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(anyhow::Error::from_boxed)?;
    Ok(())
}

fn filter(wanted: Option<&str>) -> Result<EnvFilter, Failure> {
    let text = wanted
        .filter(|text| !text.trim().is_empty())
        .unwrap_or(DEFAULT);
    EnvFilter::builder().parse(text).map_err(|error| {
        Failure::configuration(format!(
            "the environment variable RUST_LOG is `{text}`, which is no filter such as `info,plugin=debug`: {error}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::filter;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_client_is_quiet_and_the_worker_is_not() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(None).unwrap())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "rocketmq_client_rust::factory", "noise one");
            tracing::info!(target: "rocketmq_transport", "noise two");
            tracing::error!(target: "rocketmq_transport::clients", "noise three");
            tracing::debug!(target: "connect_runtime", "noise four");
            tracing::error!(target: "rocketmq_client_rust", "kept one");
            tracing::info!(target: "rocketmq_connect::standalone", "kept two");
            tracing::info!(target: "connect_runtime::worker", "kept three");
            tracing::info!(target: "plugin", "kept four");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("noise"), "{text}");
        assert_eq!(text.matches("kept").count(), 4, "{text}");
    }

    #[test]
    fn a_filter_that_is_none_is_told() {
        let failure = filter(Some("info,=what?=")).unwrap_err();
        assert!(failure.text().contains("RUST_LOG"), "{}", failure.text());
        assert!(filter(Some(" ")).is_ok());
        assert!(filter(Some("debug,plugin=trace")).is_ok());
    }
}
