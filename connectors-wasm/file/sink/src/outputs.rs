//! All files of a task: finds them by path and bounds how many are open. Knows nothing of records.

use std::collections::{HashMap, VecDeque};

use connect_sdk::{Queue, Result};

use crate::output::Output;

/// The files of a task by their path.
#[derive(Debug)]
pub(crate) struct Outputs {
    files: Vec<Output>,
    by_path: HashMap<String, usize>,
    /// The one that got the last line; most often the next one goes there too.
    last: usize,
    fsync: bool,
    most_open: usize,
    waiting: usize,
    /// Those that may be open, the one used last at the end.
    open: VecDeque<usize>,
}

impl Outputs {
    /// No file yet.
    pub(crate) fn new(fsync: bool, most_open: usize) -> Self {
        Self {
            files: Vec::new(),
            by_path: HashMap::new(),
            last: 0,
            fsync,
            most_open,
            waiting: 0,
            open: VecDeque::new(),
        }
    }

    /// Adds a line to what waits for the file at `path`.
    #[inline]
    pub(crate) fn add(&mut self, path: &str, partition: &str, value: &[u8]) {
        if self
            .files
            .get(self.last)
            .is_none_or(|last| last.path() != path)
        {
            self.last = self.place(path);
        }
        if let Some(output) = self.files.get_mut(self.last) {
            output.add(partition, value);
            self.waiting += value.len() + 1;
        }
    }

    fn place(&mut self, path: &str) -> usize {
        if let Some(at) = self.by_path.get(path) {
            return *at;
        }
        let at = self.files.len();
        self.files.push(Output::new(path));
        self.by_path.insert(path.to_owned(), at);
        at
    }

    /// Bytes that wait in memory.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Opens a file before there is anything to write, to learn early that it can be written.
    pub(crate) fn open(&mut self, path: &str) -> Result<()> {
        let at = self.place(path);
        self.with_room(at, Output::open)
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// What was not written still waits; no file holds a part of it.
    pub(crate) fn write(&mut self) -> Result<()> {
        // Files that are open go first, so that as few as possible are opened twice.
        for open in [true, false] {
            for at in 0..self.files.len() {
                let output = self.files.get(at);
                if output.is_some_and(|output| output.waiting() > 0 && output.is_open() == open) {
                    self.with_room(at, Output::write)?;
                }
            }
        }
        self.waiting = 0;
        Ok(())
    }

    /// Writes all that waits, and waits for the disk where that is wanted.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.write()?;
        if self.fsync {
            self.files.iter_mut().try_for_each(Output::sync)?;
        }
        if self.files.iter().any(Output::is_idle) {
            self.drop_idle();
        }
        Ok(())
    }

    /// Takes back the waiting lines of queues that are someone else's now.
    pub(crate) fn take_back(&mut self, queues: &[Queue]) {
        self.files
            .iter_mut()
            .for_each(|output| output.take_back(queues));
        self.waiting = self.files.iter().map(Output::waiting).sum();
    }

    /// Forgets files that are closed and have nothing to write, so that paths that come and go do not
    /// add up.
    fn drop_idle(&mut self) {
        let by_use: HashMap<usize, usize> = self
            .open
            .iter()
            .enumerate()
            .map(|(use_of, at)| (*at, use_of))
            .collect();
        let files = std::mem::take(&mut self.files).into_iter().enumerate();
        let kept: Vec<_> = files.filter(|(_, output)| !output.is_idle()).collect();
        let mut open: Vec<_> = kept
            .iter()
            .enumerate()
            .filter_map(|(now, (then, _))| Some((*by_use.get(then)?, now)))
            .collect();
        open.sort_unstable();
        self.open = open.into_iter().map(|(_, at)| at).collect();
        self.files = kept.into_iter().map(|(_, output)| output).collect();
        let places = self.files.iter().enumerate();
        self.by_path = places
            .map(|(at, output)| (output.path().to_owned(), at))
            .collect();
    }

    /// Runs `act`, which may open the file, after another one was closed for it if need be.
    fn with_room(&mut self, at: usize, act: fn(&mut Output) -> Result<()>) -> Result<()> {
        if let Some(place) = self.open.iter().position(|open| *open == at) {
            self.open.remove(place);
        } else if self.open.len() >= self.most_open
            && let Some(oldest) = self
                .open
                .front()
                .and_then(|oldest| self.files.get_mut(*oldest))
        {
            oldest.close(self.fsync)?;
            self.open.pop_front();
        }
        self.open.push_back(at);
        self.files.get_mut(at).map_or(Ok(()), act)
    }
}
