//! What a pull brought, before anybody has read it. Must not be read on the way from the broker: the next
//! pull would wait for that.

use connect_record::Queue;

use super::decode::{self, Frame};
use super::errors::About;
use crate::error::BrokerError;
use crate::message::Incoming;

/// Messages of one pull. Where each of them ends is known; what is in them is read when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    queue: Queue,
    frames: Vec<Frame>,
}

impl Messages {
    pub(super) fn new(queue: Queue, frames: Vec<Frame>) -> Self {
        Self { queue, frames }
    }

    /// Bytes of all bodies, as they are stored, and of their properties.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Frame::bytes).sum()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`BrokerError::Answer`] names the first one that cannot be read.
    pub fn read(self) -> Result<Vec<Incoming>, BrokerError> {
        let Self { queue, frames } = self;
        let about = About::queue("pull", &queue);
        decode::messages(frames).map_err(|reason| about.nonsense(reason))
    }
}
