//! Long-lived child processes of a command: started with their output in a file, told to stop in
//! order, never left behind by a command that ends in its own time.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Ctrl-C or SIGTERM, noted instead of obeyed at once: children are stopped in order first.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(crate) fn watch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // The second signal ends this process even if the first one led nowhere.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .context("cannot watch for Ctrl-C")?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn seen(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A child whose standard output is read line by line and whose standard error goes to a file.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Service {
    /// Starts `command`; its log is `log`, made anew.
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            // A group of its own: Ctrl-C on the terminal reaches us alone, and we stop the
            // worker before the broker it still has to write to.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        let stdout = child
            .stdout
            .take()
            .with_context(|| format!("the {name} has no output"))?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            name,
            child,
            lines,
            log: log.to_owned(),
        })
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line that begins with `ready`.
    pub(crate) fn ready(&mut self, within: Duration, interrupt: &Interrupt) -> Result<String> {
        let deadline = Instant::now() + within;
        loop {
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) if line.starts_with("ready") => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.check()?;
                    if interrupt.seen() {
                        bail!("interrupted");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!(
                        "the {} ended ({status}) before it was ready\n{}",
                        self.name,
                        self.tail()
                    );
                }
            }
            if Instant::now() > deadline {
                bail!(
                    "the {} is not ready after {} s\n{}",
                    self.name,
                    within.as_secs(),
                    self.tail()
                );
            }
        }
    }

    /// An error when the child has ended of its own accord.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the {} ended ({status})\n{}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// Asks the child to stop, and kills it when it has not within `grace`.
    pub(crate) fn stop(&mut self, grace: Duration) -> Result<Option<ExitStatus>> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(Some(status));
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .with_context(|| format!("cannot stop {}", self.name))?;
        }
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }

    /// The last lines of the log, to go with an error.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default();
        format!("the end of {}:\n{}", self.log.display(), last.join("\n"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Reached with a running child only on the way out of an error.
        if self.stop(Duration::from_secs(5)).is_err() {
            drop(self.child.kill());
        }
    }
}
