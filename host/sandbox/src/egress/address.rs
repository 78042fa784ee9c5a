//! Which addresses on the network are fit for a plugin: those that anyone may reach, and those that
//! the operator named. Knows numbers only; whoever connects asks here first, for each address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::target::BadTarget;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Routed everywhere.
    Public,
    /// This machine.
    Loopback,
    /// Networks behind a router of their own: private, shared and unique local ones.
    Private,
    /// The same link only.
    LinkLocal,
    /// Where clouds hand out credentials.
    Metadata,
    /// IPv6 forms that hold an IPv4 address, and so could hide any of the above.
    Embedded,
    /// Many receivers.
    Multicast,
    /// No address at all; systems take it for this machine.
    Unspecified,
    /// For examples in texts.
    Documentation,
    /// Set aside for anything else.
    Reserved,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "an address of a private network",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Embedded => "an IPv6 form of an IPv4 address",
            Self::Multicast => "a multicast address",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "an address for documentation",
            Self::Reserved => "a reserved address",
        })
    }
}

/// Metadata services and the like; some of them have public addresses.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// What `address` is for.
pub(crate) fn class(address: IpAddr) -> Class {
    if METADATA.contains(&address) {
        return Class::Metadata;
    }
    match address {
        IpAddr::V4(address) => class_of_4(address),
        IpAddr::V6(address) => class_of_6(address),
    }
}

fn class_of_4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        [169, 254, ..] => Class::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        // Protocol assignments, the way into 6to4, benchmarks.
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => Class::Reserved,
        [224..=239, ..] => Class::Multicast,
        [240..=255, ..] => Class::Reserved,
        _ => Class::Public,
    }
}

fn class_of_6(address: Ipv6Addr) -> Class {
    if address.is_unspecified() {
        return Class::Unspecified;
    }
    if address.is_loopback() {
        return Class::Loopback;
    }
    match address.segments() {
        // Compatible, mapped, translated (NAT64), 6to4 and Teredo.
        [0, 0, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, ..]
        | [0x2002, ..]
        | [0x2001, 0, ..] => Class::Embedded,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Documentation,
        [0x2001, 1..=0x1ff, ..] => Class::Reserved,
        [0xfc00..=0xfdff, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Reserved,
    }
}

/// An address, or a private network, that granted names may lead to. Written `10.1.2.3` or
/// `10.1.0.0/16`; only private networks can be named as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressGrant {
    base: IpAddr,
    prefix: u8,
}

impl AddressGrant {
    /// Whether `address` is the one that was named, or in the private network that was.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        if self.is_single() {
            return self.base == address;
        }
        class(address) == Class::Private && self.network_of(address) == Some(bits(self.base))
    }

    fn is_single(&self) -> bool {
        self.prefix == width(self.base)
    }

    /// The bits of `address` that name its network, if it is of the same family.
    fn network_of(&self, address: IpAddr) -> Option<u128> {
        (address.is_ipv4() == self.base.is_ipv4()).then(|| {
            let rest = u32::from(width(self.base).saturating_sub(self.prefix));
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            bits(address) & mask
        })
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

impl FromStr for AddressGrant {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = |why: &str| BadTarget::whole(text, why);
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| {
            bad("expected an address such as 10.1.2.3, or a network as 10.1.0.0/16")
        })?;
        let Some(prefix) = prefix else {
            return Ok(Self {
                base,
                prefix: width(base),
            });
        };
        let prefix = prefix
            .parse::<u8>()
            .ok()
            .filter(|prefix| *prefix <= width(base))
            .ok_or_else(|| bad("what follows the `/` is not the length of a prefix"))?;
        let grant = Self { base, prefix };
        if grant.network_of(base) != Some(bits(base)) {
            return Err(bad("the address has bits beyond the prefix"));
        }
        if !grant.is_single() && class(base) != Class::Private {
            return Err(bad("only private networks can be granted as a whole"));
        }
        Ok(grant)
    }
}

impl fmt::Display for AddressGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            write!(f, "{}", self.base)
        } else {
            write!(f, "{}/{}", self.base, self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Class {
        class(text.parse().unwrap())
    }

    #[test]
    fn addresses_that_are_no_business_of_a_plugin_are_known() {
        for (text, expected) in [
            ("8.8.8.8", Class::Public),
            ("100.63.255.255", Class::Public),
            ("172.32.0.1", Class::Public),
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.254", Class::Loopback),
            ("10.0.0.1", Class::Private),
            ("172.16.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.1.1", Class::Private),
            ("100.64.0.1", Class::Private),
            ("169.254.1.1", Class::LinkLocal),
            ("169.254.169.254", Class::Metadata),
            ("100.100.100.200", Class::Metadata),
            ("168.63.129.16", Class::Metadata),
            ("0.0.0.0", Class::Unspecified),
            ("0.1.2.3", Class::Unspecified),
            ("224.0.0.1", Class::Multicast),
            ("255.255.255.255", Class::Reserved),
            ("198.18.0.1", Class::Reserved),
            ("192.0.2.7", Class::Documentation),
            ("2606:4700::1111", Class::Public),
            ("::1", Class::Loopback),
            ("::", Class::Unspecified),
            ("fd12::1", Class::Private),
            ("fd00:ec2::254", Class::Metadata),
            ("fe80::1", Class::LinkLocal),
            ("fec0::1", Class::Reserved),
            ("ff02::1", Class::Multicast),
            ("2001:db8::1", Class::Documentation),
            ("::ffff:8.8.8.8", Class::Embedded),
            ("::ffff:169.254.169.254", Class::Embedded),
            ("::127.0.0.1", Class::Embedded),
            ("64:ff9b::a9fe:a9fe", Class::Embedded),
            ("64:ff9b:1::1", Class::Embedded),
            ("2002:7f00:1::", Class::Embedded),
            ("2001:0:1::", Class::Embedded),
            ("100::1", Class::Reserved),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_network_holds_its_private_addresses_and_nothing_special() {
        let grant: AddressGrant = "10.1.0.0/16".parse().unwrap();
        for (address, held) in [
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("::ffff:10.1.2.3", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(grant.holds(address.parse().unwrap()), held, "{address}");
        }
        let shared: AddressGrant = "100.64.0.0/10".parse().unwrap();
        assert!(shared.holds("100.100.100.201".parse().unwrap()));
        assert!(!shared.holds("100.100.100.200".parse().unwrap()));
        let metadata: AddressGrant = "169.254.169.254".parse().unwrap();
        assert!(metadata.holds("169.254.169.254".parse().unwrap()));
        for bad in [
            "",
            "10.1",
            "10.1.0.0/33",
            "10.1.2.3/16",
            "0.0.0.0/0",
            "127.0.0.0/8",
            "8.8.0.0/16",
            "::/0",
            "fe80::/10",
            "10.0.0.0/",
            "10.0.0.0/+8x",
        ] {
            assert!(bad.parse::<AddressGrant>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whatever hides an IPv4 address is not taken for a public one.
        #[test]
        fn no_embedded_form_is_public(bits: u32) {
            let [a, b, c, d] = bits.to_be_bytes().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for hidden in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                prop_assert_ne!(class(hidden.into()), Class::Public);
            }
        }

        #[test]
        fn what_the_standard_library_calls_special_is_not_public(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || class(address.into()) != Class::Public);
        }

        #[test]
        fn a_grant_reads_back_as_it_is_shown(bits: u32, prefix in 8_u8..=32) {
            let rest = u32::from(32 - prefix);
            let base = (0x0a00_0000 | bits & 0x00ff_ffff).checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0);
            let text = format!("{}/{prefix}", Ipv4Addr::from(base));
            let grant: AddressGrant = text.parse().unwrap();
            prop_assert!(grant.holds(Ipv4Addr::from(base).into()));
            prop_assert_eq!(grant.to_string().parse::<AddressGrant>().unwrap(), grant);
        }
    }
}
