//! What is there, and which plugin a class means.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use connect_sandbox::Plugin;

use crate::names::{self, Match};
use crate::scan::ScanProblem;

/// Loaded plugins. Never changes; a reload makes another catalogue.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// By name, then by version, oldest first.
    entries: Vec<Entry>,
}

/// One plugin and where it came from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The plugin.
    pub plugin: Plugin,
    /// Its file.
    pub path: PathBuf,
    /// When it was first found.
    pub since: SystemTime,
}

/// A class that names no plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// The class as given.
    pub class: String,
    /// The nearest class there is; none when nothing comes near.
    pub nearest: Option<String>,
    /// Plugins that the class could mean, when it could mean several.
    pub candidates: Vec<String>,
}

impl std::error::Error for ResolveError {}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            class,
            nearest,
            candidates,
        } = self;
        if !candidates.is_empty() {
            return write!(
                f,
                "class `{class}` could mean `{}`: use one of these names",
                candidates.join("` or `")
            );
        }
        write!(f, "no plugin is called `{class}`")?;
        match nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => f.write_str("; put its .wasm file into a plugin directory of the worker"),
        }
    }
}

impl Catalogue {
    /// The plugins, by name and then version, oldest first.
    pub fn list(&self) -> &[Entry] {
        &self.entries
    }

    /// The plugin that `class` means: its name, `name@version`, an alias such as a Java class name,
    /// the last part of one, or that without `Connector`. Without a version the newest.
    ///
    /// # Errors
    /// [`ResolveError`] with the nearest class there is, or the several that it could mean.
    pub fn resolve(&self, class: &str) -> Result<Plugin, ResolveError> {
        self.resolve_among(class, |_| true)
    }

    /// As [`Self::resolve`]; of a class without a version only those that `fit` are looked at, unless
    /// none does.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub fn resolve_among(
        &self,
        class: &str,
        fit: impl Fn(&Plugin) -> bool,
    ) -> Result<Plugin, ResolveError> {
        let (_, version) = names::split(class.trim());
        let found = match version {
            None => self.find(class, |entry| fit(&entry.plugin)),
            Some(version) => {
                self.find(class, |entry| entry.plugin.description().version == version)
            }
        };
        match found {
            Err(error) if version.is_none() && error.candidates.is_empty() => {
                self.find(class, |_| true)
            }
            found => found,
        }
    }

    fn find(&self, class: &str, wanted: impl Fn(&Entry) -> bool) -> Result<Plugin, ResolveError> {
        let (name, _) = names::split(class.trim());
        let graded: Vec<(Match, &Entry)> = self
            .entries
            .iter()
            .filter(|entry| wanted(entry))
            .filter_map(|entry| Some((entry.matches(name)?, entry)))
            .collect();
        let Some(best) = graded.iter().map(|(grade, _)| *grade).min() else {
            return Err(self.unknown(class));
        };
        let mut found: Vec<&Entry> = graded
            .into_iter()
            .filter(|(grade, _)| *grade == best)
            .map(|(_, entry)| entry)
            .collect();
        let mut candidates: Vec<String> =
            found.iter().map(|entry| entry.name().to_owned()).collect();
        candidates.dedup();
        match (candidates.len(), found.pop()) {
            (1, Some(newest)) => Ok(newest.plugin.clone()),
            _ => Err(ResolveError {
                class: class.to_owned(),
                nearest: None,
                candidates,
            }),
        }
    }

    /// The plugin with this digest.
    pub fn by_digest(&self, digest: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.plugin.digest() == digest)
    }

    /// The plugin with exactly this name and version.
    pub fn exactly(&self, name: &str, version: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.name() == name && entry.plugin.description().version == version)
    }

    pub(crate) fn add(&mut self, entry: Entry) -> Option<ScanProblem> {
        let place = self.entries.binary_search_by(|known| known.order(&entry));
        match place {
            Err(place) => {
                self.entries.insert(place, entry);
                None
            }
            Ok(place) => {
                let known = self.entries.get(place)?;
                if known.plugin.digest() == entry.plugin.digest() {
                    return None;
                }
                let description = entry.plugin.description();
                Some(ScanProblem::Duplicate {
                    kept: known.path.clone(),
                    name: description.name.clone(),
                    version: description.version.clone(),
                    path: entry.path,
                })
            }
        }
    }

    fn unknown(&self, class: &str) -> ResolveError {
        let known = self.entries.iter().flat_map(|entry| {
            let description = entry.plugin.description();
            names::all(&description.name, &description.aliases)
        });
        let nearest = nearest(names::split(class.trim()), known, || {
            self.entries
                .iter()
                .map(|entry| format!("{}@{}", entry.name(), entry.plugin.description().version))
        });
        ResolveError {
            class: class.to_owned(),
            nearest,
            candidates: Vec::new(),
        }
    }
}

impl Entry {
    fn name(&self) -> &str {
        &self.plugin.description().name
    }

    fn matches(&self, class: &str) -> Option<Match> {
        names::matches(class, self.name(), &self.plugin.description().aliases)
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (self.plugin.description(), other.plugin.description());
        a.name
            .cmp(&b.name)
            .then_with(|| names::compare_versions(&a.version, &b.version))
    }
}

/// The known class that is most like what was written, unless nothing is much like it.
fn nearest<'a, I: Iterator<Item = String>>(
    (name, version): (&str, Option<&str>),
    known: impl Iterator<Item = &'a str>,
    versions: impl FnOnce() -> I,
) -> Option<String> {
    if let Some(version) = version {
        let wanted = format!("{name}@{version}");
        return most_like(&wanted, versions());
    }
    most_like(name, known.map(str::to_owned))
}

fn most_like(wanted: &str, known: impl Iterator<Item = String>) -> Option<String> {
    const ENOUGH: f64 = 0.7;
    let lower = wanted.to_lowercase();
    known
        .map(|class| (strsim::jaro_winkler(&lower, &class.to_lowercase()), class))
        .filter(|(likeness, _)| *likeness >= ENOUGH)
        .max_by(|(a, first), (b, second)| {
            a.total_cmp(b).then_with(|| second.len().cmp(&first.len()))
        })
        .map(|(_, class)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_class_is_found_whatever_its_case_and_nothing_is_better_than_nonsense() {
        let known = || {
            ["file-source", "file-sink", "org.acme.FileSourceConnector"]
                .into_iter()
                .map(str::to_owned)
        };
        assert_eq!(
            most_like("File-Sourc", known()).as_deref(),
            Some("file-source")
        );
        assert_eq!(
            most_like("org.acme.FileSourceConector", known()).as_deref(),
            Some("org.acme.FileSourceConnector")
        );
        assert_eq!(most_like("zzzz", known()), None);
    }

    #[test]
    fn the_error_says_what_to_do() {
        let error = |nearest: Option<&str>, candidates: &[&str]| ResolveError {
            class: "x".into(),
            nearest: nearest.map(str::to_owned),
            candidates: candidates.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert!(
            error(Some("y"), &[])
                .to_string()
                .contains("did you mean `y`")
        );
        assert!(error(None, &[]).to_string().contains("plugin directory"));
        assert!(error(None, &["a", "b"]).to_string().contains("`a` or `b`"));
    }
}
