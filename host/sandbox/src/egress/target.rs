//! The words of network grants: origins, endpoints, host names, and what each of them covers. Text
//! in, yes or no out. Whatever is not understood to the last character is refused, since the
//! libraries behind might read it in another way.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::address::{AddressGrant, Class, class};
use crate::text;

/// Longest host name, and longest label of one, in bytes.
const NAME_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;

/// A target as it may be logged, whoever wrote it: without path and query, and without anything that
/// could be a password.
pub(crate) fn shown(target: &str) -> String {
    let (scheme, rest) = match target.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), target),
    };
    if target.contains('@') {
        return text::reason(&format!("{scheme}…"));
    }
    let mut parts = rest.splitn(2, ['/', '?', '#']);
    let authority = parts.next().unwrap_or_default();
    let more = if parts.next().is_some() { "/…" } else { "" };
    text::reason(&format!("{scheme}{authority}{more}"))
}

/// Text that names no target, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {why}")]
pub struct BadTarget {
    text: String,
    why: String,
}

impl BadTarget {
    pub(crate) fn new(text: &str, why: &str) -> Self {
        Self {
            text: shown(text),
            why: why.to_owned(),
        }
    }

    /// The same with all of a text in which there is nothing to hide.
    pub(crate) fn whole(text: &str, why: &str) -> Self {
        Self {
            text: text::reason(text),
            why: why.to_owned(),
        }
    }

    /// What is wrong with it, without the text itself.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// A host name in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Reads a name, an IPv4 address, or an IPv6 address in brackets.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest.strip_suffix(']').ok_or("a `[` without its `]`")?;
            let address: Ipv6Addr = inner.parse().map_err(|_| "no IPv6 address in brackets")?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        name(text).map(Self::Name)
    }
}

/// A host name in lower case. International names must be in their ASCII form.
fn name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("the host is missing");
    }
    if text.len() > NAME_BYTES {
        return Err("the host name is too long");
    }
    for label in text.split('.') {
        let fits = (1..=LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !fits {
            return Err(
                "not a host name of letters, digits, `-` and `.`; international names are \
                 written in their `xn--` form",
            );
        }
    }
    // Resolvers read `127.1`, `2130706433` and `0x7f.1` as addresses.
    let last = text.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or_else(|| last.strip_prefix("0X"))
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if number {
        return Err("a host that ends in a number must be an address such as 10.1.2.3");
    }
    Ok(text.to_ascii_lowercase())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    const WHY: &str = "what follows the `:` is no port between 1 and 65535";
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WHY);
    }
    text.parse::<u16>().ok().filter(|port| *port > 0).ok_or(WHY)
}

/// `host` or `host:port`; a port by itself is none.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    if text.contains('@') {
        return Err("user and password have no place in it");
    }
    let end = if text.starts_with('[') {
        text.find(']').map_or(text.len(), |end| end + 1)
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at_checked(end).ok_or("not a host and a port")?;
    match rest.strip_prefix(':') {
        Some(digits) => Ok((host, Some(port(digits)?))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err("not a host and a port"),
    }
}

/// Where one connection goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl FromStr for Endpoint {
    type Err = BadTarget;

    /// Reads `host:port`.
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let read = || {
            let (host, port) = host_and_port(text)?;
            let port = port.ok_or("the port is missing: write host:port")?;
            let host = Host::read(host)?;
            reachable(&host)?;
            Ok(Self { host, port })
        };
        read().map_err(|why| BadTarget::new(text, why))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn reachable(host: &Host) -> Result<(), &'static str> {
    match host {
        Host::Address(address)
            if matches!(class(*address), Class::Unspecified | Class::Multicast) =>
        {
            Err("this is not the address of one host")
        }
        Host::Address(_) | Host::Name(_) => Ok(()),
    }
}

/// Where one request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) secure: bool,
    pub(crate) endpoint: Endpoint,
}

impl Destination {
    /// Reads scheme and authority of a request.
    pub(crate) fn read(scheme: &str, authority: &str) -> Result<Self, BadTarget> {
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(BadTarget::new(scheme, "the scheme is not http or https")),
        };
        let read = || {
            let (host, port) = host_and_port(authority)?;
            let host = Host::read(host)?;
            reachable(&host)?;
            let port = port.unwrap_or(default_port(secure));
            Ok(Self {
                secure,
                endpoint: Endpoint { host, port },
            })
        };
        read().map_err(|why| BadTarget::new(authority, why))
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

/// Scheme and authority that requests may go to: `https://api.example.com`, `http://10.1.2.3:8080`,
/// or every name below one, `https://*.example.com`. Without a port it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub(super) secure: bool,
    pub(super) host: Hosts,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Hosts {
    One(Host),
    /// The names that end in `.` and this.
    Below(String),
}

impl Hosts {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Below(suffix), Self::One(Host::Name(name)) | Self::Below(name)) => {
                let within = name
                    .strip_suffix(suffix.as_str())
                    .is_some_and(|rest| rest.ends_with('.'));
                within || (matches!(other, Self::Below(_)) && name == suffix)
            }
            (Self::One(mine), Self::One(theirs)) => mine == theirs,
            (Self::Below(_), Self::One(Host::Address(_))) | (Self::One(_), Self::Below(_)) => false,
        }
    }
}

impl Origin {
    /// Whether all that `other` covers is covered.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.secure == other.secure && self.port == other.port && self.host.covers(&other.host)
    }

    /// Whether a request to `destination` is covered.
    pub(crate) fn admits(&self, destination: &Destination) -> bool {
        self.secure == destination.secure
            && self.port == destination.endpoint.port
            && self
                .host
                .covers(&Hosts::One(destination.endpoint.host.clone()))
    }
}

impl FromStr for Origin {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let read = || {
            let (secure, authority) = match text.split_once("://") {
                Some(("https", rest)) => (true, rest),
                Some(("http", rest)) => (false, rest),
                _ => return Err("it must begin with https:// or http://"),
            };
            if authority.contains(['/', '?', '#', '\\']) {
                return Err("only scheme and authority, such as https://api.example.com:443");
            }
            let (host, port) = host_and_port(authority)?;
            let host = match host.strip_prefix("*.") {
                // What is below a name without a dot is half of the internet.
                Some(suffix) if !suffix.contains('.') => {
                    return Err("`*.` must stand before a name of two parts or more");
                }
                Some(suffix) => Hosts::Below(name(suffix)?),
                None => {
                    let host = Host::read(host)?;
                    reachable(&host)?;
                    Hosts::One(host)
                }
            };
            Ok(Self {
                secure,
                host,
                port: port.unwrap_or(default_port(secure)),
            })
        };
        read().map_err(|why| BadTarget::new(text, why))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "https://" } else { "http://" })?;
        match &self.host {
            Hosts::One(host) => write!(f, "{host}")?,
            Hosts::Below(suffix) => write!(f, "*.{suffix}")?,
        }
        if self.port == default_port(self.secure) {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

/// A host name that may be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(pub(crate) String);

impl FromStr for HostName {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        name(text)
            .map(Self)
            .map_err(|why| BadTarget::new(text, why))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Configuration is read by the same rules.
macro_rules! deserialize {
    ($($target:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $target {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
deserialize!(Origin, Endpoint, HostName, AddressGrant);
