//! The plugins as they are now: a catalogue that is made anew when the directories have changed,
//! while whoever holds the old one goes on with it.
//!
//! A file that was good and is now broken, or still being written, keeps its last good plugin: only
//! a file that is gone takes its plugin away. Must never decide which connector uses what.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use connect_sandbox::{LoadError, Plugin, Sandbox, digest};

use crate::catalogue::{Catalogue, Entry};
use crate::deposit;
use crate::error::DepositError;
use crate::scan::{self, Found, ScanProblem, Stamp};

/// Where plugins come from, and what is there. One per worker.
pub struct Registry {
    sandbox: Sandbox,
    directories: Vec<PathBuf>,
    current: RwLock<Arc<Catalogue>>,
    /// What each file was when it was looked at last. Held while the directories are read, so that
    /// two reloads at once do the work once.
    seen: tokio::sync::Mutex<HashMap<PathBuf, Seen>>,
}

struct Seen {
    stamp: Stamp,
    /// The last good plugin of this path.
    entry: Option<Entry>,
}

/// What a reload found.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Plugins that were not there before.
    pub added: Vec<Plugin>,
    /// Plugins that are there no more. Who uses them still can.
    pub removed: Vec<Plugin>,
    /// Files that cannot be used as they are.
    pub problems: Vec<ScanProblem>,
}

impl Registry {
    /// Without plugins until [`Self::reload`] is called. Of two files with the same name and version
    /// the one in the first directory counts, then the first by name.
    pub fn new(sandbox: Sandbox, directories: Vec<PathBuf>) -> Self {
        Self {
            sandbox,
            directories,
            current: RwLock::default(),
            seen: tokio::sync::Mutex::default(),
        }
    }

    /// The directories that are looked at, the one that takes uploads first.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The plugins at this moment; stays as it is whatever happens to the files.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the directories and loads what is new. Guest code runs: call it where guests run.
    pub async fn reload(&self) -> Reloaded {
        let mut seen = self.seen.lock().await;
        let (found, mut problems) = scan::find(&self.directories).await;
        let before = self.catalogue();
        let mut known: HashMap<String, Plugin> = before
            .list()
            .iter()
            .map(|entry| (entry.plugin.digest().to_owned(), entry.plugin.clone()))
            .collect();
        let mut catalogue = Catalogue::default();
        let mut now = HashMap::new();
        for file in found {
            let earlier = seen.remove(&file.path);
            let Found { path, stamp } = file;
            let entry = match earlier {
                Some(Seen { stamp: same, entry }) if same == stamp => entry,
                earlier => {
                    let last = earlier.and_then(|seen| seen.entry);
                    match self.load(&path, &known).await {
                        Ok(plugin) => {
                            let plugin = known
                                .entry(plugin.digest().to_owned())
                                .or_insert(plugin)
                                .clone();
                            Some(Entry {
                                since: since(&plugin, last.as_ref(), &before),
                                plugin,
                                path: path.clone(),
                            })
                        }
                        Err(problem) => {
                            problems.push(problem);
                            // not noted with its stamp: the next reload tries it, and tells it, again
                            if let Some(entry) = last.clone() {
                                problems.extend(catalogue.add(entry));
                            }
                            let stamp = Stamp::default();
                            now.insert(path, Seen { stamp, entry: last });
                            continue;
                        }
                    }
                }
            };
            if let Some(entry) = entry.clone() {
                problems.extend(catalogue.add(entry));
            }
            now.insert(path, Seen { stamp, entry });
        }
        *seen = now;
        let reloaded = Reloaded {
            added: difference(&catalogue, &before),
            removed: difference(&before, &catalogue),
            problems,
        };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(catalogue);
        reloaded
    }

    /// Takes a plugin that somebody sends: checks it, and writes it to the first directory under
    /// its name and version. [`Self::reload`] makes it known. The same bytes twice are one plugin.
    ///
    /// # Errors
    /// The plugin cannot be used, another one has its name and version, or the disk refuses.
    pub async fn deposit(&self, bytes: Vec<u8>) -> Result<Plugin, DepositError> {
        let sha = digest(&bytes);
        if let Some(known) = self.catalogue().by_digest(&sha) {
            return Ok(known.plugin.clone());
        }
        let directory = self.directories.first().ok_or(DepositError::NoDirectory)?;
        let plugin = self.sandbox.load("the upload", bytes.clone()).await?;
        let description = plugin.description();
        let taken = self
            .catalogue()
            .exactly(&description.name, &description.version)
            .map(|entry| entry.path.clone());
        if let Some(path) = taken {
            return Err(DepositError::Taken {
                name: description.name.clone(),
                version: description.version.clone(),
                path,
            });
        }
        let path = deposit::path(directory, &description.name, &description.version)?;
        deposit::write(path, bytes).await?;
        Ok(plugin)
    }

    /// Removes the file of a plugin. [`Self::reload`] forgets it.
    ///
    /// # Errors
    /// There is no such plugin, or the disk refuses.
    pub async fn withdraw(&self, name: &str, version: &str) -> Result<PathBuf, DepositError> {
        let path = self
            .catalogue()
            .exactly(name, version)
            .map(|entry| entry.path.clone());
        let path = path.ok_or_else(|| DepositError::Unknown {
            name: name.to_owned(),
            version: version.to_owned(),
        })?;
        deposit::remove(path.clone()).await?;
        Ok(path)
    }

    /// Largest file that is taken, in bytes.
    pub fn max_component_bytes(&self) -> u64 {
        self.sandbox.max_component_bytes()
    }

    async fn load(
        &self,
        path: &Path,
        known: &HashMap<String, Plugin>,
    ) -> Result<Plugin, ScanProblem> {
        let bytes = scan::read(path, self.sandbox.max_component_bytes()).await?;
        if let Some(plugin) = known.get(&digest(&bytes)) {
            return Ok(plugin.clone());
        }
        let loaded = self.sandbox.load(&path.to_string_lossy(), bytes).await;
        loaded.map_err(|source: LoadError| ScanProblem::Load {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

/// Since when this plugin is here: a file that was only touched or moved is not new.
fn since(plugin: &Plugin, last: Option<&Entry>, before: &Catalogue) -> SystemTime {
    last.filter(|last| last.plugin.digest() == plugin.digest())
        .or_else(|| before.by_digest(plugin.digest()))
        .map_or_else(SystemTime::now, |entry| entry.since)
}

fn difference(of: &Catalogue, without: &Catalogue) -> Vec<Plugin> {
    of.list()
        .iter()
        .filter(|entry| without.by_digest(entry.plugin.digest()).is_none())
        .map(|entry| entry.plugin.clone())
        .collect()
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}
