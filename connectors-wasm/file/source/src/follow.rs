//! One file under one path, through growth, rotation, truncation and restarts. Hands out each byte
//! exactly once per position; decides nothing about which files there are.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use connect_sdk::{Batch, Failure, OrFail, Result, info, warn};
use file_shared::{Identity, Look};

use crate::buffer::{Buffer, Owner};
use crate::config::Config;
use crate::locate::{self, Open};
use crate::position::{Position, Text};

/// How often a file that keeps growing is checked for a newer one of its name.
const LOOK_WHILE_BUSY: Duration = Duration::from_secs(1);

/// Newer files of the same name that are kept open while older ones are read to their end.
const NEWER: usize = 16;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The batch is full and there may be more.
    Full,
    /// Another file has taken this one's place; it can be read at once.
    Next,
    /// All is read; there is nothing to do before this time has passed.
    Idle(Duration),
}

/// What all followers of a task share while one poll lasts.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    /// How long to wait for more when nothing else is due.
    pub(crate) interval: Duration,
    pub(crate) config: &'a Config,
    pub(crate) buffer: &'a mut Buffer,
    pub(crate) text: &'a mut Text,
    /// All paths of the task.
    pub(crate) paths: &'a [String],
    /// Time since the task was opened.
    pub(crate) now: Duration,
    /// Milliseconds since the epoch, for the records.
    pub(crate) timestamp: u64,
}

/// A file that is being read.
#[derive(Debug)]
struct Current {
    open: Open,
    owner: Owner,
}

/// Reads the files that have one path, one after the other.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) path: String,
    pub(crate) schema: String,
    /// After everything that was handed out.
    pub(crate) position: Position,
    /// Whether the position has moved without a record that carries it.
    pub(crate) moved: bool,
    /// Whether the path is gone for good and its stored position with it.
    gone: bool,
    current: Option<Current>,
    newer: VecDeque<Open>,
    /// The file as it was left when there was no handle to spare.
    parked: Option<Identity>,
    /// Where the file ended when it was last read to its end.
    end: Option<u64>,
    /// Since when it has ended there.
    quiet_since: Duration,
    looked: Duration,
    said_missing: bool,
}

impl Follower {
    /// Goes on with `path` from a stored position.
    pub(crate) fn new(path: String, stored: Option<&[u8]>) -> Result<Self> {
        let position = match stored {
            None => Position::START,
            Some(text) => Position::parse(text).ok_or_else(|| {
                let text = String::from_utf8_lossy(text);
                Failure::fatal(format!(
                    "{path}: the stored position {text:?} is not one of this version"
                ))
            })?,
        };
        // Java's file source gives its lines this schema.
        let schema = format!(
            r#"{{"type":"string","optional":false,"name":"{}_line"}}"#,
            escaped(&path)
        );
        Ok(Self {
            path,
            schema,
            position,
            moved: false,
            gone: false,
            current: None,
            newer: VecDeque::new(),
            parked: None,
            end: None,
            quiet_since: Duration::ZERO,
            looked: Duration::ZERO,
            said_missing: false,
        })
    }

    /// Adds records until the batch is full or all is read.
    pub(crate) fn fill(&mut self, round: &mut Round<'_>, batch: &mut Batch) -> Result<Turn> {
        if self.current.is_none() && !self.find(round)? {
            return Ok(Turn::Idle(round.interval));
        }
        if round.now.saturating_sub(self.looked) >= LOOK_WHILE_BUSY {
            self.look_for_newer(round.now)?;
        }
        if self.is_still_at_its_end(round)? {
            self.look_for_newer(round.now)?;
            if !self.is_rest_due(round) {
                return Ok(Turn::Idle(self.until_due(round)));
            }
        }
        let Some(Current { open, owner }) = &self.current else {
            return Ok(Turn::Idle(round.interval));
        };
        round.buffer.claim(*owner);
        let file = Rc::clone(&open.file);
        loop {
            if !self.take_lines(round, batch)? {
                return Ok(Turn::Full);
            }
            if round
                .buffer
                .read(&file, self.position.offset)
                .or_retry(format_args!("reading {}", self.path))?
                == 0
            {
                break;
            }
        }
        round.buffer.shrink();
        let end = self.position.offset + round.buffer.window().len() as u64;
        if self.end != Some(end) {
            self.end = Some(end);
            self.quiet_since = round.now;
            self.look_for_newer(round.now)?;
        }
        self.at_end(round, batch)
    }

    /// Says where reading goes on when no record does. Only when a poll is over, because progress
    /// counts after all its records.
    pub(crate) fn settle(&mut self, text: &mut Text, batch: &mut Batch) {
        let moved = std::mem::take(&mut self.moved);
        if std::mem::take(&mut self.gone) {
            batch.forget(&self.path);
        } else if moved {
            batch.progress(&self.path, text.of(&self.position));
        }
    }

    /// Closes the file until there is something to read again, where a task has very many.
    pub(crate) fn park(&mut self) {
        if self.newer.is_empty() {
            self.parked = self
                .current
                .take()
                .map(|current| current.open.look.identity);
        }
    }

    /// Opens the file that the position belongs to. False when there is nothing to read.
    fn find(&mut self, round: &mut Round<'_>) -> Result<bool> {
        if let Some(parked) = self.parked {
            let same = |look: Look| look.identity == parked && Some(look.length) == self.end;
            if Look::at_path(&self.path)
                .or_fail(&self.path)?
                .is_some_and(same)
                && !self.is_rest_due(round)
            {
                return Ok(false);
            }
        }
        let found = locate::open(&self.path)?;
        self.parked = None;
        let is_it = |open: &Open| locate::continues(&open.file, &self.position).or_fail(&self.path);
        let is_it = found.as_ref().map(is_it).transpose()?;
        if is_it == Some(true) {
            self.begin(found, round);
            return Ok(true);
        }
        if self.position.offset > 0
            && let Some((place, old)) = locate::rotated(&self.path, &self.position, round.paths)?
        {
            info!(
                "{}: was renamed to {place}, whose rest comes first",
                self.path
            );
            self.begin(Some(old), round);
            self.newer.extend(found);
            return Ok(true);
        }
        let Some(found) = found else {
            if !self.said_missing {
                info!("{}: is not there, waiting for it", self.path);
                self.said_missing = true;
            }
            return Ok(false);
        };
        warn!(
            "{}: is not the file that was read up to byte {} (its beginning or length differs); reading it from \
             its beginning",
            self.path, self.position.offset
        );
        self.start_over();
        self.begin(Some(found), round);
        Ok(true)
    }

    fn begin(&mut self, open: Option<Open>, round: &mut Round<'_>) {
        self.said_missing = false;
        self.end = None;
        self.quiet_since = round.now;
        self.current = open.map(|open| Current {
            open,
            owner: round.buffer.owner(),
        });
    }

    fn start_over(&mut self) {
        self.position = Position::START;
        self.moved = true;
        self.end = None;
    }

    /// Whether the file still ends where it ended; notices that it was cut or written anew.
    fn is_still_at_its_end(&mut self, round: &mut Round<'_>) -> Result<bool> {
        let (Some(end), Some(Current { open, owner })) = (self.end, &self.current) else {
            return Ok(false);
        };
        let length = Look::at_file(&open.file).or_fail(&self.path)?.length;
        if length == end {
            return Ok(true);
        }
        if round.buffer.is_of(*owner) {
            round.buffer.lose_place();
        }
        // What grew may have been emptied and filled again in between.
        if length > end && locate::begins_as(&open.file, &self.position).or_fail(&self.path)? {
            return Ok(false);
        }
        let unsent = end - self.position.offset;
        warn!(
            "{}: was truncated to {length} bytes after {end} were read ({unsent} of them in an unfinished line, which \
             is gone); reading it from its beginning",
            self.path
        );
        if round.buffer.is_of(*owner) {
            round.buffer.drop_bytes();
        }
        self.start_over();
        Ok(false)
    }

    /// Opens the file that has the path now, when it is another one than before.
    fn look_for_newer(&mut self, now: Duration) -> Result<()> {
        self.looked = now;
        if self.newer.len() >= NEWER {
            return Ok(());
        }
        let newest = self
            .newer
            .back()
            .or(self.current.as_ref().map(|current| &current.open));
        let Some(look) = Look::at_path(&self.path).or_fail(&self.path)? else {
            return Ok(());
        };
        if newest.is_some_and(|newest| newest.look.identity == look.identity) {
            return Ok(());
        }
        let Some(open) = locate::open(&self.path)? else {
            return Ok(());
        };
        info!(
            "{}: was rotated; going on with the new file once the old one is quiet",
            self.path
        );
        self.newer.push_back(open);
        if self.newer.len() == NEWER {
            warn!(
                "{}: was rotated {NEWER} times while an older file is still being read; files that come and go \
                 before that one is done are not read",
                self.path
            );
        }
        Ok(())
    }

    /// Whether the file has lost its name: another has taken it, or it was deleted.
    fn is_replaced(&self) -> Result<bool> {
        let Some(current) = &self.current else {
            return Ok(false);
        };
        Ok(!self.newer.is_empty()
            || !Look::at_file(&current.open.file)
                .or_fail(&self.path)?
                .has_name)
    }

    fn quiet(&self, round: &Round<'_>) -> Duration {
        round.now.saturating_sub(self.quiet_since)
    }

    /// Whether something is to be done at the end of the file: to send a rest, or to leave it.
    fn is_rest_due(&self, round: &Round<'_>) -> bool {
        let quiet = self.quiet(round);
        let rest = self.end.is_some_and(|end| end > self.position.offset);
        (quiet >= round.config.rotate_wait && self.is_replaced().unwrap_or(true))
            || (rest && round.config.last_line.is_some_and(|wait| quiet >= wait))
    }

    /// When something may be due.
    fn until_due(&self, round: &Round<'_>) -> Duration {
        let left = |wait: Duration| {
            Some(wait.saturating_sub(self.quiet(round))).filter(|left| !left.is_zero())
        };
        let rest = self.end.is_some_and(|end| end > self.position.offset);
        let emit = round.config.last_line.filter(|_| rest).and_then(left);
        let leave = (!self.newer.is_empty())
            .then_some(round.config.rotate_wait)
            .and_then(left);
        [emit, leave]
            .into_iter()
            .flatten()
            .fold(round.interval, Duration::min)
    }

    /// All is read that is there.
    fn at_end(&mut self, round: &mut Round<'_>, batch: &mut Batch) -> Result<Turn> {
        let quiet = self.quiet(round);
        let leave = quiet >= round.config.rotate_wait && self.is_replaced()?;
        let emit = round.config.last_line.is_some_and(|wait| quiet >= wait);
        // Nobody will ever end the last line of a file that has lost its name.
        if (leave || emit) && !round.buffer.window().is_empty() && !self.take_rest(round, batch)? {
            return Ok(Turn::Full);
        }
        if !leave {
            return Ok(Turn::Idle(self.until_due(round)));
        }
        self.start_over();
        let newer = self.newer.pop_front();
        if newer.is_none() {
            info!("{}: was deleted", self.path);
            self.gone = true;
        }
        self.begin(newer, round);
        Ok(if self.current.is_some() {
            Turn::Next
        } else {
            Turn::Idle(round.interval)
        })
    }
}

/// Text inside a JSON string.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
