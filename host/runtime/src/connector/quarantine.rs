//! Versions of plugins that failed right after a connector had gone over to them. No connector goes
//! over to one by itself again; naming it as `name@version` is still possible. Outlives the worker.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use connect_sandbox::Plugin;
use connect_store::{Store, StoreError};

/// Digests with the reason.
pub(crate) struct Quarantine {
    store: Store,
    known: RwLock<BTreeMap<String, String>>,
}

impl Quarantine {
    /// What the store knows.
    pub(crate) fn open(store: Store) -> Result<Self, StoreError> {
        let known = RwLock::new(store.quarantine()?);
        Ok(Self { store, known })
    }

    /// Why a plugin is not to be tried, if so.
    pub(crate) fn reason(&self, digest: &str) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(digest).cloned()
    }

    /// Holds from now on, and after a restart once it is stored; a store that fails is told in the
    /// log only, since nothing is lost by trying a version once more.
    pub(crate) async fn add(&self, plugin: &Plugin, reason: &str) {
        let digest = plugin.digest();
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(digest.to_owned(), reason.to_owned());
        }
        let description = plugin.description();
        tracing::error!(plugin = %description.name, version = %description.version, digest, reason,
            "this version is not tried again until its file changes");
        if let Err(error) = self.store.set_quarantine(digest, Some(reason)).await {
            tracing::error!(%error, digest, "the quarantine of a plugin could not be stored");
        }
    }
}
