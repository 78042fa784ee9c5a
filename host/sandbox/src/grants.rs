//! What the operator lets plugins touch, and the decision about one connector: what it needs must
//! lie inside what was granted. Nothing is granted by default, and a kind of access that is not
//! known here is never granted. Decides only; whoever makes an instance opens the directories.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::access::{Access, Directory};
use crate::denied::{Denied, Kind, Refusal, Why};

/// Something a plugin will touch with given settings, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// `read-directory`, `write-directory`, `http`, `tcp`, …
    pub kind: String,
    /// The directory, origin, address or name.
    pub target: String,
}

/// One entry of the operator's configuration: directories that a plugin may be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Name of the plugin; `*` for all of them.
    pub plugin: String,
    /// Directories whose content may be read. Relative ones start at the worker's working directory.
    #[serde(default)]
    pub read_directory: Vec<PathBuf>,
    /// Directories whose content may be read and changed.
    #[serde(default)]
    pub write_directory: Vec<PathBuf>,
}

/// All grants of a worker. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Grants(Vec<Grant>);

impl From<Vec<Grant>> for Grants {
    fn from(grants: Vec<Grant>) -> Self {
        Self(grants)
    }
}

impl Grants {
    /// What `plugin` gets of its `needs`: all of them or nothing. Both sides are resolved to real
    /// paths first, so `..` and symbolic links lead nowhere else. Looks at the file system, shortly.
    ///
    /// # Errors
    /// [`Denied`] with every need that is not granted and the lines of configuration that would
    /// grant it, or why no line can.
    pub fn allow(&self, plugin: &str, needs: &[Need]) -> Result<Access, Denied> {
        let mut access = Access::default();
        let mut refusals = Vec::new();
        for need in needs {
            match self.decide(plugin, need) {
                Ok(directory) => access.add(directory),
                Err(why) => refusals.push(Refusal {
                    need: need.clone(),
                    why,
                }),
            }
        }
        if refusals.is_empty() {
            Ok(access)
        } else {
            Err(Denied {
                plugin: plugin.to_owned(),
                refusals,
            })
        }
    }

    fn decide(&self, plugin: &str, need: &Need) -> Result<Directory, Why> {
        let kind = match need.kind.as_str() {
            "read-directory" => Kind::Read,
            "write-directory" => Kind::Write,
            _ => return Err(Why::Unknown),
        };
        let real = real_directory(Path::new(&need.target))?;
        if !self.covers(plugin, kind, &real) {
            return Err(Why::NotGranted {
                kind,
                grant: shown(&need.target, &real),
            });
        }
        Ok(Directory {
            host: real,
            guest: need.target.clone(),
            writable: kind == Kind::Write,
        })
    }

    fn covers(&self, plugin: &str, kind: Kind, real: &Path) -> bool {
        let mine = self
            .0
            .iter()
            .filter(|grant| grant.plugin == plugin || grant.plugin == "*");
        mine.flat_map(|grant| match kind {
            // What may be changed may be read as well.
            Kind::Read => grant.read_directory.iter().chain(&grant.write_directory),
            Kind::Write => grant.write_directory.iter().chain(&[]),
        })
        .any(|granted| {
            granted
                .canonicalize()
                .is_ok_and(|granted| real.starts_with(granted))
        })
    }
}

fn real_directory(path: &Path) -> Result<PathBuf, Why> {
    let real = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Why::Missing,
        _ => Why::Unreadable {
            reason: error.to_string(),
        },
    })?;
    if real.is_dir() {
        Ok(real)
    } else {
        Err(Why::NotADirectory)
    }
}

/// The path to write into a grant: as the connector wrote it, unless it leads elsewhere by a link
/// or a `..`, which the operator should see.
fn shown(target: &str, real: &Path) -> String {
    let plain = std::path::absolute(target).is_ok_and(|absolute| absolute == real);
    if plain {
        target.to_owned()
    } else {
        real.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn need(kind: &str, target: &Path) -> Need {
        Need {
            kind: kind.into(),
            target: target.to_str().unwrap().into(),
        }
    }

    fn grants(toml: &str) -> Grants {
        #[derive(Deserialize)]
        struct File {
            grant: Grants,
        }
        toml::from_str::<File>(toml).unwrap().grant
    }

    /// A directory with `in`, `in/deep`, `out`, and links from the first to the second.
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("in/deep")).unwrap();
        fs::create_dir(root.join("out")).unwrap();
        fs::write(root.join("in/file"), "").unwrap();
        symlink(root.join("out"), root.join("in/away")).unwrap();
        symlink(root.join("in"), root.join("out/back")).unwrap();
        (directory, root)
    }

    #[test]
    fn a_granted_directory_and_those_below_it_are_given_with_the_asked_rights() {
        let (_keep, root) = tree();
        let text = format!(
            "[[grant]]\nplugin = \"p\"\nwrite-directory = [{:?}]\n",
            root.join("in")
        );
        let grants = grants(&text);
        let needs = [
            need("read-directory", &root.join("in")),
            need("write-directory", &root.join("in/deep/../deep")),
        ];
        let access = grants.allow("p", &needs).unwrap();
        let found: Vec<_> = access
            .directories()
            .iter()
            .map(|d| (d.host.clone(), d.writable))
            .collect();
        assert_eq!(
            found,
            [(root.join("in"), false), (root.join("in/deep"), true)]
        );
        assert_eq!(access.directories()[1].guest, needs[1].target);
        assert!(grants.allow("q", &needs).is_err());
    }

    #[test]
    fn a_read_grant_does_not_let_write_and_the_star_is_everyone() {
        let (_keep, root) = tree();
        let text = format!(
            "[[grant]]\nplugin = \"*\"\nread-directory = [{:?}]\n",
            root.join("in")
        );
        let grants = grants(&text);
        assert!(
            grants
                .allow("any", &[need("read-directory", &root.join("in"))])
                .is_ok()
        );
        let denied = grants
            .allow("any", &[need("write-directory", &root.join("in"))])
            .unwrap_err();
        assert!(matches!(
            denied.refusals[0].why,
            Why::NotGranted {
                kind: Kind::Write,
                ..
            }
        ));
    }

    #[test]
    fn neither_links_nor_dots_lead_out_and_a_link_back_in_is_fine() {
        let (_keep, root) = tree();
        let text = format!(
            "[[grant]]\nplugin = \"p\"\nread-directory = [{:?}]\n",
            root.join("in")
        );
        let grants = grants(&text);
        for way_out in ["in/away", "in/../out", "out", "in/deep/../../out", "."] {
            let denied = grants
                .allow("p", &[need("read-directory", &root.join(way_out))])
                .unwrap_err();
            assert!(
                matches!(denied.refusals[0].why, Why::NotGranted { .. }),
                "{way_out}: {denied}"
            );
        }
        let access = grants
            .allow("p", &[need("read-directory", &root.join("out/back"))])
            .unwrap();
        assert_eq!(access.directories()[0].host, root.join("in"));
        // A name that merely begins like a granted one is another directory.
        fs::create_dir(root.join("in2")).unwrap();
        assert!(
            grants
                .allow("p", &[need("read-directory", &root.join("in2"))])
                .is_err()
        );
    }

    #[test]
    fn the_refusal_says_what_to_write_and_that_text_grants_it() {
        let (_keep, root) = tree();
        let needs = [
            need("read-directory", &root.join("in/away")),
            need("write-directory", &root.join("in")),
        ];
        let text = Grants::default()
            .allow("p \"q\"", &needs)
            .unwrap_err()
            .to_string();
        let lines: String = text
            .lines()
            .filter(|l| l.starts_with(['[', 'p', 'r', 'w']) && !l.starts_with("plugin `"))
            .fold(String::new(), |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            });
        assert!(grants(&lines).allow("p \"q\"", &needs).is_ok(), "{text}");
    }

    #[test]
    fn what_is_missing_no_directory_or_of_an_unknown_kind_says_so() {
        let (_keep, root) = tree();
        let why = |kind: &str, path: &str| {
            let denied = Grants::default()
                .allow("p", &[need(kind, &root.join(path))])
                .unwrap_err();
            (denied.to_string(), denied.refusals[0].why.clone())
        };
        let (text, reason) = why("read-directory", "nowhere");
        assert!(
            matches!(reason, Why::Missing) && text.contains("does not exist"),
            "{text}"
        );
        let (text, reason) = why("write-directory", "in/file");
        assert!(
            matches!(reason, Why::NotADirectory) && text.contains("not a directory"),
            "{text}"
        );
        let (text, reason) = why("tcp", "in");
        assert!(
            matches!(reason, Why::Unknown) && text.contains("`tcp`"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_key_in_a_grant_is_an_error() {
        let error = toml::from_str::<Grant>("plugin = \"p\"\nread = []\n").unwrap_err();
        assert!(error.to_string().contains("read-directory"), "{error}");
    }
}
