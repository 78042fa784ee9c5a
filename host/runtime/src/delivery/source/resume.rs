//! What a source may ask of its host: where it left off, and a fresh plan.

use std::collections::HashSet;
use std::sync::Arc;

use connect_record::ResumePoint;
use connect_sandbox::{ResumeAnswer, SourceContext};
use connect_store::{Store, StoreError};
use futures::future::BoxFuture;

use crate::delivery::Report;

/// Partitions that a source may ask about in one call. One that has more asks for all of its points.
const PARTITIONS: usize = 65_536;

/// Resume points straight from the store: what is durable, whatever task wrote it.
pub(crate) struct StoredPoints {
    pub(crate) store: Store,
    pub(crate) connector: Arc<str>,
    pub(crate) report: Arc<dyn Report>,
}

impl SourceContext for StoredPoints {
    fn resume_points(&self, partitions: Option<Vec<String>>) -> BoxFuture<'_, ResumeAnswer> {
        let (store, connector) = (self.store.clone(), Arc::clone(&self.connector));
        Box::pin(async move {
            if let Some(asked) = partitions.as_ref().map(Vec::len)
                && asked > PARTITIONS
            {
                return Err(format!(
                    "it asked for the points of {asked} partitions, and may for {PARTITIONS} at a time or for all"
                )
                .into());
            }
            // reads a file and may have much to compare, which is no work for a guest's thread
            let points =
                tokio::task::spawn_blocking(move || points(&store, &connector, partitions));
            // no answer fails the task, which is run again; an empty one would repeat everything
            match points.await {
                Ok(points) => Ok(points?),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn reconfigure(&self) {
        self.report.reconfigure();
    }
}

fn points(
    store: &Store,
    connector: &str,
    partitions: Option<Vec<String>>,
) -> Result<Vec<ResumePoint>, StoreError> {
    let wanted: Option<HashSet<String>> = partitions.map(HashSet::from_iter);
    let stored = store.positions(connector)?.into_iter();
    let points = stored.map(|(partition, position)| ResumePoint {
        partition,
        position,
    });
    let asked = |point: &ResumePoint| {
        let wanted = wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(&point.partition))
    };
    Ok(points.filter(asked).collect())
}
