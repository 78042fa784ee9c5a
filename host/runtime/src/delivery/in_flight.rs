//! The limit of records in flight. It stops nobody: a task that has reached it takes on no more until
//! it is done with some, and its status says so.

use connect_sandbox::{Breach, Limit};

use super::TaskContext;

impl TaskContext {
    /// Whether the task may take on more while so many records are in flight. Cheap enough for every
    /// turn of a loop; the status changes only when the answer does.
    pub(crate) fn may_take(&self, open: u64) -> bool {
        let room = self.metrics.has_room(open);
        if room.changed {
            self.report.running(room.full.then(|| self.crowded(open)));
        }
        !room.full
    }

    fn crowded(&self, open: u64) -> String {
        let breach = Breach {
            limit: Limit::InFlightRecords,
            value: self.metrics.in_flight_limit(),
            asked: None,
            plugin: self.spec.plugin.description().name.as_str().into(),
            connector: self.spec.name.as_ref().into(),
        };
        format!("waiting until some of {open} records in flight are done with: {breach}")
    }
}
