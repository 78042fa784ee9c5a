//! What the operator lets plugins touch, and the decision about one connector: what it needs must
//! lie inside what was granted. Nothing is granted by default, and a kind of access that is not
//! known here is never granted. Decides only; whoever makes an instance opens the directories.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::access::{Access, Directory, Given};
use crate::denied::{Denied, Kind, Refusal, Why};
use crate::egress::{AddressGrant, BadTarget, Endpoint, HostName, Origin, may_resolve};

/// Something a plugin will touch with given settings, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// `read-directory`, `write-directory`, `http`, `tcp`, `resolve` or `environment`.
    pub kind: String,
    /// The directory, origin, address or name.
    pub target: String,
}

/// One entry of the operator's configuration: what a plugin may be given.
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
    /// Origins that HTTP requests may go to.
    #[serde(default)]
    pub http: Vec<Origin>,
    /// Endpoints that TCP connections may go to.
    #[serde(default)]
    pub tcp: Vec<Endpoint>,
    /// Host names that may be looked up, beside those of `http` and `tcp`.
    #[serde(default)]
    pub resolve: Vec<HostName>,
    /// Variables of the worker's environment that may be seen.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Addresses and private networks that granted names may lead to. Needs no asking.
    #[serde(default)]
    pub address: Vec<AddressGrant>,
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
            let given = self.decide(plugin, need);
            match given.and_then(|given| access.add(given)) {
                Ok(()) => {}
                Err(why) => refusals.push(Refusal {
                    need: need.clone(),
                    why,
                }),
            }
        }
        if refusals.is_empty() {
            access.add_addresses(self.of(plugin).flat_map(|grant| &grant.address).copied());
            Ok(access)
        } else {
            Err(Denied {
                plugin: plugin.to_owned(),
                refusals,
            })
        }
    }

    /// The entries for `plugin`.
    fn of(&self, plugin: &str) -> impl Iterator<Item = &Grant> {
        self.0
            .iter()
            .filter(move |grant| grant.plugin == plugin || grant.plugin == "*")
    }

    fn decide(&self, plugin: &str, need: &Need) -> Result<Given, Why> {
        let target = need.target.as_str();
        let kind = Kind::of(&need.kind).ok_or(Why::Unknown)?;
        let (given, granted, shown) = match kind {
            Kind::Read | Kind::Write => {
                let real = real_directory(Path::new(target))?;
                let granted = self.covers(plugin, kind, &real);
                let shown = shown(target, &real);
                let directory = Directory {
                    host: real,
                    guest: target.to_owned(),
                    writable: kind == Kind::Write,
                };
                (Given::Directory(directory), granted, shown)
            }
            Kind::Http => {
                let origin: Origin = read(target)?;
                let mut all = self.of(plugin).flat_map(|grant| &grant.http);
                let granted = all.any(|granted| granted.covers(&origin));
                let shown = origin.to_string();
                (Given::Http(origin), granted, shown)
            }
            Kind::Tcp => {
                let endpoint: Endpoint = read(target)?;
                let granted = self.of(plugin).any(|grant| grant.tcp.contains(&endpoint));
                let shown = endpoint.to_string();
                (Given::Tcp(endpoint), granted, shown)
            }
            Kind::Resolve => {
                let name: HostName = read(target)?;
                let granted = self
                    .of(plugin)
                    .any(|grant| may_resolve(&grant.http, &grant.tcp, &grant.resolve, &name));
                let shown = name.to_string();
                (Given::Resolve(name), granted, shown)
            }
            Kind::Environment => {
                let name = variable(target)?;
                let granted = self
                    .of(plugin)
                    .any(|grant| grant.environment.contains(&name));
                (Given::Environment(name.clone()), granted, name)
            }
        };
        if granted {
            Ok(given)
        } else {
            Err(Why::NotGranted { kind, grant: shown })
        }
    }

    fn covers(&self, plugin: &str, kind: Kind, real: &Path) -> bool {
        self.of(plugin)
            .flat_map(|grant| {
                // What may be changed may be read as well.
                let read: &[PathBuf] = match kind {
                    Kind::Read => &grant.read_directory,
                    _ => &[],
                };
                read.iter().chain(&grant.write_directory)
            })
            .any(|granted| {
                granted
                    .canonicalize()
                    .is_ok_and(|granted| real.starts_with(granted))
            })
    }
}

/// A target of the network.
fn read<T: std::str::FromStr<Err = BadTarget>>(target: &str) -> Result<T, Why> {
    target.parse().map_err(|bad: BadTarget| Why::Malformed {
        reason: bad.why().to_owned(),
    })
}

/// The name of an environment variable.
fn variable(target: &str) -> Result<String, Why> {
    let fits = !target.is_empty()
        && !target.starts_with(|first: char| first.is_ascii_digit())
        && target
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(target.to_owned())
    } else {
        let reason = "a variable's name has letters, digits and `_`".to_owned();
        Err(Why::Malformed { reason })
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
#[path = "grants/tests.rs"]
mod tests;
