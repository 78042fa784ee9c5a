//! The role of a transform: turns records into records between a connector and RocketMQ.

use connect_rows::View;

use crate::Result;
use crate::batch::Batch;
use crate::connector::Connector;
use crate::settings::Settings;
use crate::sink::Rejected;

/// A connector that changes, drops, splits or routes records.
pub trait Transform: Connector {
    /// Makes the transform ready.
    ///
    /// # Errors
    /// Retriable: `open` is called again. Others end the task.
    fn open(settings: &Settings) -> Result<Self>;

    /// Adds to `output` what becomes of `input`, in the order of `input`, with
    /// [`keep`](Batch::keep) or [`derive`](Batch::derive) (or [`origin`](connect_rows::RecordBuilder::origin)
    /// by hand). A record that nothing comes from was dropped on purpose; one that cannot be
    /// transformed is answered as rejected.
    ///
    /// # Errors
    /// Retriable: the same batch comes again. Others end the task.
    fn apply(&mut self, input: &View<'_>, output: &mut Batch) -> Result<Vec<Rejected>>;

    /// Called once before the transform is dropped on purpose; nothing by default.
    ///
    /// # Errors
    /// Logged by the host; the task ends anyway.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
