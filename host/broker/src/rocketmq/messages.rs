//! What a pull brought, before anybody has read it. Must not be read on the way from the broker: the next
//! pull would wait for that.

use std::collections::VecDeque;

use connect_record::Queue;

use super::decode::Frame;
use super::errors::About;
use crate::error::BrokerError;
use crate::message::Incoming;

/// Messages of one pull. Where each of them ends is known; what is in them is read when it is needed, one
/// by one and in order, so that what came compressed is not held all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    queue: Queue,
    frames: VecDeque<Frame>,
}

/// A message that is there and cannot be read. Those after it can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message at offset {offset}: {reason}")]
pub struct Unreadable {
    /// Its place in the queue.
    pub offset: u64,
    /// What is wrong with it.
    pub reason: String,
    /// Bytes that were made at most to find that out.
    pub spent: usize,
}

impl Messages {
    pub(super) fn new(queue: Queue, frames: Vec<Frame>) -> Self {
        let frames = frames.into();
        Self { queue, frames }
    }

    /// Bytes of all bodies, as they are stored, and of their properties.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Frame::bytes).sum()
    }

    /// Whether all have been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Reads all at once.
    ///
    /// # Errors
    /// [`BrokerError::Answer`] names the first one that cannot be read.
    pub fn read(self) -> Result<Vec<Incoming>, BrokerError> {
        let queue = self.queue.clone();
        let about = About::queue("pull", &queue);
        let read: Result<Vec<Incoming>, Unreadable> = self.collect();
        read.map_err(|error| about.nonsense(error.to_string()))
    }
}

impl Iterator for Messages {
    type Item = Result<Incoming, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.frames.pop_front()?;
        let (offset, spent) = (frame.queue_offset(), frame.most());
        let unreadable = |reason| Unreadable {
            offset,
            reason,
            spent,
        };
        Some(frame.read().map_err(unreadable))
    }
}
