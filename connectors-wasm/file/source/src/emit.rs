//! From bytes to records: cuts what was read into lines and adds them to the batch. The other half of
//! a follower; opens, reads and looks at no file.

use connect_sdk::{Batch, Failure, Result};
use file_shared::{Line, find_line, name};

use crate::config::Key;
use crate::follow::{Follower, Round};
use crate::position::At;

/// What a record takes beside its line and key, at most: position and header.
const BESIDE: usize = 128;

impl Follower {
    /// Sends the lines that have ended. False when the batch is full.
    pub(crate) fn take_lines(&mut self, round: &mut Round<'_>, batch: &mut Batch) -> Result<bool> {
        loop {
            let window = round.buffer.window();
            if self.position.at == At::Return {
                match window.first() {
                    None => return Ok(true),
                    Some(b'\n') => {
                        self.step(
                            Line {
                                content: 0,
                                total: 1,
                            },
                            At::Line,
                            round,
                        );
                        continue;
                    }
                    Some(_) => self.position.at = At::Line,
                }
            }
            let Some(line) = find_line(window, round.buffer.seen, round.config.ends) else {
                let (length, seen) = (window.len(), round.config.ends.seen(window));
                self.refuse_longer(seen.min(length), round)?;
                round.buffer.seen = seen;
                return Ok(true);
            };
            self.refuse_longer(line.content, round)?;
            // The end of a line whose beginning was sent already ends nothing more.
            if self.position.at == At::Inside && line.content == 0 {
                self.step(line, At::Line, round);
            } else if !self.send(line, At::Line, round, batch)? {
                return Ok(false);
            }
        }
    }

    /// Sends what stands at the end without a line end. False when the batch is full.
    pub(crate) fn take_rest(&mut self, round: &mut Round<'_>, batch: &mut Batch) -> Result<bool> {
        let rest = round.config.ends.final_line(round.buffer.window());
        let at = if rest.content < rest.total {
            At::Return
        } else {
            At::Inside
        };
        if self.position.at == At::Inside && rest.content == 0 {
            self.step(rest, at, round);
            return Ok(true);
        }
        self.send(rest, at, round, batch)
    }

    fn refuse_longer(&self, length: usize, round: &Round<'_>) -> Result<()> {
        let most = round.config.max_line;
        if length <= most {
            return Ok(());
        }
        let Self { path, position, .. } = self;
        let offset = position.offset;
        Err(Failure::fatal(format!(
            "{path}: the line at byte {offset} is longer than max.line.bytes={most}"
        )))
    }

    /// Moves over bytes without a record.
    fn step(&mut self, line: Line, at: At, round: &mut Round<'_>) {
        let bytes = round.buffer.window().get(..line.total).unwrap_or_default();
        self.position = self.position.after(bytes, at);
        self.moved = true;
        round.buffer.consume(line.total);
    }

    /// Adds a record. False when the batch has no room for it.
    #[inline]
    fn send(
        &mut self,
        line: Line,
        at: At,
        round: &mut Round<'_>,
        batch: &mut Batch,
    ) -> Result<bool> {
        let file_name = name(&self.path);
        let key = match round.config.key {
            Key::None => None,
            Key::Name => Some(file_name),
            Key::Path => Some(self.path.as_str()),
        };
        let beside = BESIDE
            + key.map_or(0, str::len)
            + round.config.header.as_ref().map_or(0, |_| file_name.len());
        if !batch.has_room(line.content + beside) {
            return Ok(false);
        }
        let bytes = round.buffer.window().get(..line.total).unwrap_or_default();
        let content = bytes.get(..line.content).unwrap_or_default();
        let after = self.position.after(bytes, at);
        let mut record = batch
            .add()
            .partition(&self.path)
            .position(round.text.of(&after))
            .timestamp(round.timestamp)
            .value(content);
        if let Some(key) = key {
            record = record.key(key.as_bytes());
        }
        if let Some(header) = &round.config.header {
            record = record.header(header, file_name.as_bytes());
        }
        if round.config.schema && std::str::from_utf8(content).is_ok() {
            record = record.value_schema(&self.schema);
        }
        record.finish()?;
        self.position = after;
        self.moved = false;
        round.buffer.consume(line.total);
        Ok(true)
    }
}
