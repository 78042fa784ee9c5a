//! What a source may ask of its host: where it left off, and a fresh plan.

use std::sync::Arc;

use connect_record::ResumePoint;
use connect_sandbox::{ResumeAnswer, SourceContext};
use connect_store::Store;
use futures::future::BoxFuture;

use crate::delivery::Report;

/// Resume points straight from the store: what is durable, whatever task wrote it.
pub(crate) struct StoredPoints {
    pub(crate) store: Store,
    pub(crate) connector: Arc<str>,
    pub(crate) report: Arc<dyn Report>,
}

impl SourceContext for StoredPoints {
    fn resume_points(&self, partitions: Option<Vec<String>>) -> BoxFuture<'_, ResumeAnswer> {
        let wanted = |partition: &String| {
            partitions
                .as_ref()
                .is_none_or(|wanted| wanted.contains(partition))
        };
        // no answer fails the task, which is run again; an empty one would repeat everything
        let points = match self.store.positions(&self.connector) {
            Ok(stored) => Ok(stored
                .into_iter()
                .filter(|(partition, _)| wanted(partition))
                .map(|(partition, position)| ResumePoint {
                    partition,
                    position,
                })
                .collect()),
            Err(error) => Err(error.into()),
        };
        Box::pin(std::future::ready(points))
    }

    fn reconfigure(&self) {
        self.report.reconfigure();
    }
}
