//! What one instance gets: directories, places on the network, environment variables. Only
//! [`crate::Grants::allow`] fills it, so whatever is in here was granted; opening a directory makes
//! sure that it still is the one that was looked at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::denied::Why;
use crate::egress::{AddressGrant, Endpoint, HostName, NetworkAccess, Origin};
use crate::text;

/// What an instance may touch. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    directories: Vec<Directory>,
    /// Behind a pointer, since plans and statuses carry it about.
    network: Arc<NetworkAccess>,
    /// Names of variables of the worker's environment.
    environment: Vec<String>,
}

/// One thing that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Directory(Directory),
    Http(Origin),
    Tcp(Endpoint),
    Resolve(HostName),
    Environment(String),
}

/// A directory the guest finds under the name it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Real path on the host.
    pub(crate) host: PathBuf,
    /// Path as the guest writes it.
    pub(crate) guest: String,
    /// Whether its content may be changed.
    pub(crate) writable: bool,
}

impl Access {
    /// The directories, each guest path once.
    pub fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// What this lets an instance touch and `other` does not, in words.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        let within = |mine: &Directory| {
            other.directories.iter().any(|known| {
                mine.host.starts_with(&known.host) && (known.writable || !mine.writable)
            })
        };
        let more = self.directories.iter().filter(|mine| !within(mine));
        let directories = more.map(|directory| {
            let right = if directory.writable { "write" } else { "read" };
            format!(
                "{right} directory `{}`",
                text::reason(&directory.host.to_string_lossy())
            )
        });
        let more = self.environment.iter();
        let environment = more
            .filter(|name| !other.environment.contains(name))
            .map(|name| format!("environment variable `{name}`"));
        directories
            .chain(self.network.beyond(&other.network))
            .chain(environment)
            .collect()
    }

    /// What of the network may be reached.
    pub fn network(&self) -> &Arc<NetworkAccess> {
        &self.network
    }

    /// The variables of the worker's environment that may be seen.
    pub fn environment(&self) -> &[String] {
        &self.environment
    }

    /// Adds one thing.
    ///
    /// # Errors
    /// A directory whose path leads elsewhere than that of an earlier one.
    pub(crate) fn add(&mut self, given: Given) -> Result<(), Why> {
        let network = Arc::make_mut(&mut self.network);
        match given {
            Given::Http(origin) => network.http.push(origin),
            Given::Tcp(endpoint) => network.tcp.push(endpoint),
            Given::Resolve(name) => network.names.push(name),
            Given::Directory(directory) => self.add_directory(directory)?,
            Given::Environment(name) => self.environment.push(name),
        }
        Ok(())
    }

    /// Adds addresses that what was granted may lead to.
    pub(crate) fn add_addresses(&mut self, addresses: impl Iterator<Item = AddressGrant>) {
        Arc::make_mut(&mut self.network).addresses.extend(addresses);
    }

    /// Adds a directory; asked for twice, the wider right holds. That right was granted for the
    /// directory that the path led to when it was looked at: should it lead elsewhere since, one must
    /// not get the right of the other.
    fn add_directory(&mut self, directory: Directory) -> Result<(), Why> {
        match self
            .directories
            .iter_mut()
            .find(|known| known.guest == directory.guest)
        {
            Some(known) if known.host != directory.host => {
                return Err(Why::Moved {
                    first: known.host.clone(),
                    now: directory.host,
                });
            }
            Some(known) => known.writable |= directory.writable,
            None => self.directories.push(directory),
        }
        Ok(())
    }
}

impl Directory {
    /// Real path on the host.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// Path as the guest writes it.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// Whether its content may be changed; else it may only be read.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Hands `open` a path of the directory. The real path was granted some time ago; should a part
    /// of it have become a symbolic link since, this fails instead of following it.
    ///
    /// # Errors
    /// The directory is gone, became a link, or `open` failed; all name the directory.
    pub(crate) fn open(&self, open: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        self.open_unlinked(open).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("directory `{}`: {error}", self.host.display()),
            )
        })
    }

    #[cfg(target_os = "linux")]
    fn open_unlinked(&self, open: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        use rustix::io::Errno;
        use std::os::fd::AsRawFd;

        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat2(
            CWD,
            &self.host,
            flags,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS,
        ) {
            // Through this name of the descriptor the same directory is opened whatever happens to
            // the path meanwhile.
            Ok(held) => open(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd()))),
            // Older kernels and some containers do not have the call.
            Err(Errno::NOSYS | Errno::PERM) => self.open_checked(open),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_unlinked(&self, open: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        self.open_checked(open)
    }

    /// The next best thing: looks again right before opening.
    fn open_checked(&self, open: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        if self.host.canonicalize()? != self.host {
            return Err(io::Error::other("it leads elsewhere since it was granted"));
        }
        open(&self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denied::{Denied, Refusal};
    use crate::grants::Need;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_wider_right_holds_when_a_directory_is_needed_twice() {
        let directory = |writable| Directory {
            host: "/d".into(),
            guest: "d".into(),
            writable,
        };
        let mut access = Access::default();
        access.add_directory(directory(true)).unwrap();
        access.add_directory(directory(false)).unwrap();
        assert_eq!(access.directories(), [directory(true)]);
    }

    /// What a link leads to may change between two looks at it.
    #[test]
    fn no_directory_gets_the_right_to_another_by_the_name_of_both() {
        let given = |host: &str, writable| {
            Given::Directory(Directory {
                host: host.into(),
                guest: "link".into(),
                writable,
            })
        };
        let mut access = Access::default();
        access.add(given("/read", false)).unwrap();
        let why = access.add(given("/written", true)).unwrap_err();
        let moved = Why::Moved {
            first: "/read".into(),
            now: "/written".into(),
        };
        assert_eq!(why, moved);
        let [directory] = access.directories() else {
            panic!("{access:?}")
        };
        assert_eq!(
            (directory.host(), directory.writable()),
            (Path::new("/read"), false)
        );
        let denied = Denied {
            plugin: "p".into(),
            refusals: vec![Refusal {
                need: Need {
                    kind: "write-directory".into(),
                    target: "link".into(),
                },
                why,
            }],
        };
        let text = denied.to_string();
        for part in ["`link`", "`/read`", "`/written`"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_one_access_has_beyond_another_is_told() {
        let access = |directories: &[(&str, bool)]| {
            let mut access = Access::default();
            for (path, writable) in directories {
                access
                    .add_directory(Directory {
                        host: path.into(),
                        guest: (*path).into(),
                        writable: *writable,
                    })
                    .unwrap();
            }
            access
        };
        let old = access(&[("/in", false), ("/out", true)]);
        assert!(old.beyond(&old).is_empty());
        assert!(
            access(&[("/in/deep", false), ("/out", false)])
                .beyond(&old)
                .is_empty()
        );
        assert_eq!(
            access(&[("/in", true), ("/input", false)]).beyond(&old),
            ["write directory `/in`", "read directory `/input`"]
        );
    }

    /// A plugin that may write can make directories of any name.
    #[test]
    fn the_name_of_a_directory_cannot_forge_a_line() {
        let mut access = Access::default();
        let given = Given::Directory(Directory {
            host: "/d/a\nERROR".into(),
            guest: "d".into(),
            writable: false,
        });
        access.add(given).unwrap();
        assert_eq!(
            access.beyond(&Access::default()),
            ["read directory `/d/a | ERROR`"]
        );
    }

    #[test]
    fn more_of_network_and_environment_is_told_too() {
        let access = |http: &str, tcp: &str, names: &[&str], variable: &str| {
            let mut access = Access::default();
            access.add(Given::Http(http.parse().unwrap())).unwrap();
            access.add(Given::Tcp(tcp.parse().unwrap())).unwrap();
            for name in names {
                access.add(Given::Resolve(name.parse().unwrap())).unwrap();
            }
            access.add(Given::Environment(variable.to_owned())).unwrap();
            access
        };
        let old = access("https://*.a.com", "b.com:1", &["c.com"], "D");
        assert!(old.beyond(&old).is_empty());
        let less = access("https://x.a.com", "b.com:1", &["b.com"], "D");
        assert!(less.beyond(&old).is_empty());
        let other = access("https://a.com", "b.com:2", &["c.com", "e.com"], "F");
        assert_eq!(
            other.beyond(&old),
            [
                "HTTP requests to `https://a.com`",
                "TCP connections to `b.com:2`",
                "look-up of `e.com`",
                "environment variable `F`"
            ]
        );
    }

    #[test]
    fn a_path_that_became_a_link_is_not_followed() {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("granted/deep")).unwrap();
        fs::create_dir_all(root.join("secret/deep")).unwrap();
        fs::write(root.join("granted/deep/mine"), "").unwrap();
        let directory = Directory {
            host: root.join("granted/deep"),
            guest: ".".into(),
            writable: false,
        };
        let look = |path: &Path| fs::metadata(path.join("mine")).map(|_| ());
        directory.open(look).unwrap();
        directory.open_checked(look).unwrap();

        fs::rename(root.join("granted"), root.join("moved")).unwrap();
        symlink(root.join("secret"), root.join("granted")).unwrap();
        let error = directory.open(|_| panic!("followed the link")).unwrap_err();
        assert!(error.to_string().contains("granted/deep"), "{error}");
        directory
            .open_checked(|_| panic!("followed the link"))
            .unwrap_err();
    }
}
