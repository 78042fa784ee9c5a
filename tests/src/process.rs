//! A child process of a test: started, watched, asked to stop, killed; never left behind.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all threads, user and system.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    /// The part of it that is no file: what the process itself holds, in bytes.
    pub anonymous: u64,
}

impl Process {
    /// Starts `command`; standard error is appended to `log`.
    ///
    /// # Errors
    /// The program cannot be started or the log not opened.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout = child
            .stdout
            .take()
            .with_context(|| format!("{name} has no output"))?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            log: log.to_owned(),
        })
    }

    /// The next line of standard output that begins with `start`.
    ///
    /// # Errors
    /// The process ended, or said no such thing within `within`.
    pub fn line(&mut self, start: &str, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(start) => return Ok(line),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!(
                    "{} did not print `{start}` within {} ms\n{}",
                    self.name,
                    within.as_millis(),
                    self.tail()
                ),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!(
                        "{} ended ({status}) without `{start}`\n{}",
                        self.name,
                        self.tail()
                    );
                }
            }
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot look after {}", self.name))
    }

    /// An error when the process has ended.
    ///
    /// # Errors
    /// It has, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} ended ({status})\n{}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It has not within `within`.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("{} has ended", self.name);
        wait::until(&what, within, || self.ended())
    }

    /// Kills it as the kernel would: no chance to do anything.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child
            .wait()
            .with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and gives how long that took and how it ended.
    ///
    /// # Errors
    /// It has not stopped within `within`.
    pub fn terminate(&mut self, within: Duration) -> Result<(Duration, ExitStatus)> {
        let asked = Instant::now();
        self.signal(Signal::TERM)?;
        match self.wait(within) {
            Ok(status) => Ok((asked.elapsed(), status)),
            Err(error) => bail!("{error:#}\n{}", self.tail()),
        }
    }

    /// Sends a signal; none to a process that has already ended.
    ///
    /// # Errors
    /// The system refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let pid = self.pid().context("a process id that fits no number")?;
        kill_process(pid, signal).with_context(|| format!("cannot send a signal to {}", self.name))
    }

    /// What it has used so far.
    ///
    /// # Errors
    /// The process is gone, or the system tells in another form.
    pub fn usage(&self) -> Result<Usage> {
        let stat = self.proc("stat")?;
        // Ticks are a hundredth of a second on every Linux that Rust supports.
        let cpu = Duration::from_millis(cpu_ticks(&stat)? * 10);
        let status = self.proc("status")?;
        let memory = |key: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let text = line.with_context(|| format!("no {key} in status"))?;
            let number = text.trim().trim_end_matches(" kB").parse::<u64>();
            Ok(number.with_context(|| format!("{key} is `{text}`"))? * 1024)
        };
        Ok(Usage {
            cpu,
            resident: memory("VmRSS:")?,
            anonymous: memory("RssAnon:")?,
        })
    }

    /// Processor time of its threads whose names begin with `name`, user and system.
    ///
    /// # Errors
    /// The process is gone, or the system tells in another form.
    pub fn thread_cpu(&self, name: &str) -> Result<Duration> {
        let folder = format!("/proc/{}/task", self.child.id());
        let threads = std::fs::read_dir(&folder).with_context(|| format!("no {folder}"))?;
        let mut ticks = 0;
        for thread in threads {
            // A thread may end while it is looked at.
            let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else {
                continue;
            };
            let (_, named) = stat.split_once('(').context("no name in stat")?;
            if named.starts_with(name) {
                ticks += cpu_ticks(&stat)?;
            }
        }
        Ok(Duration::from_millis(ticks * 10))
    }

    /// How many files it has open.
    ///
    /// # Errors
    /// It is gone.
    pub fn open_files(&self) -> Result<usize> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let files = std::fs::read_dir(&folder).with_context(|| format!("no {folder}"))?;
        Ok(files.count())
    }

    /// What the system tells of its open descriptor of a file, as a file to read; none while it has none.
    ///
    /// # Errors
    /// It is gone.
    pub fn descriptor_of(&self, file: &Path) -> Result<Option<PathBuf>> {
        let folder = format!("/proc/{}/fd", self.child.id());
        for entry in std::fs::read_dir(&folder).with_context(|| format!("no {folder}"))? {
            let entry = entry?;
            // It may be closed while it is looked at.
            if std::fs::read_link(entry.path()).is_ok_and(|open| open == file) {
                let information = format!("/proc/{}/fdinfo", self.child.id());
                return Ok(Some(Path::new(&information).join(entry.file_name())));
            }
        }
        Ok(None)
    }

    /// The processes that it has started and that still run.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn children(&self) -> Result<Vec<u32>> {
        let mut children = Vec::new();
        for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if parent_of_running(id) == Some(self.child.id()) {
                children.push(id);
            }
        }
        Ok(children)
    }

    /// The last lines of its log, to go with an error.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or_default();
        format!("the end of {}:\n{}", self.log.display(), last.join("\n"))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::io::read_to_string(File::open(&path).with_context(|| format!("cannot open {path}"))?)
            .with_context(|| format!("cannot read {path}"))
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

/// User and system time in a `stat` of a process or thread.
fn cpu_ticks(stat: &str) -> Result<u64> {
    // The second field is the name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let field = |at: usize| -> Result<u64> {
        let text = fields.split_whitespace().nth(at).context("stat is short")?;
        text.parse()
            .with_context(|| format!("`{text}` in stat is no number"))
    };
    Ok(field(11)? + field(12)?)
}

/// Processor time that a process has used; none when there is no such process.
pub fn processor_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // Ticks are a hundredth of a second on every Linux that Rust supports.
    Duration::from_millis(cpu_ticks(&stat).unwrap_or_default() * 10)
}

/// Who started this process, while it runs: not once it has ended, nor when nobody has asked how.
pub fn parent_of_running(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then_some(())?;
    fields.next()?.parse().ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // On the way out of a failed test: there is no one left to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
