//! What a source may ask of its host: where it left off, and a fresh plan.

use std::sync::Arc;

use connect_record::ResumePoint;
use connect_sandbox::SourceContext;
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
    fn resume_points(&self, partitions: Option<Vec<String>>) -> BoxFuture<'_, Vec<ResumePoint>> {
        let stored = match self.store.positions(&self.connector) {
            Ok(stored) => stored,
            Err(error) => {
                // an empty answer would begin the source anew and repeat everything
                tracing::error!(connector = %self.connector, %error, "positions cannot be read");
                return Box::pin(std::future::pending());
            }
        };
        let points = stored
            .into_iter()
            .filter(|(partition, _)| {
                partitions
                    .as_ref()
                    .is_none_or(|wanted| wanted.contains(partition))
            })
            .map(|(partition, position)| ResumePoint {
                partition,
                position,
            })
            .collect();
        Box::pin(std::future::ready(points))
    }

    fn reconfigure(&self) {
        self.report.reconfigure();
    }
}
