//! What network grants cover, and that no text slips through by being read in two ways.

use std::str::FromStr;

use proptest::prelude::*;

use super::super::target::BadTarget;
use super::*;

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

fn goes(scheme: &str, authority: &str) -> Destination {
    Destination::read(scheme, authority).unwrap()
}

#[test]
fn an_origin_is_scheme_host_and_port_exactly() {
    let api = origin("https://api.example.com");
    assert_eq!(api, origin("https://API.example.com:443"));
    assert!(api.admits(&goes("https", "api.example.com")));
    assert!(api.admits(&goes("https", "Api.Example.Com:443")));
    for (scheme, authority) in [
        ("http", "api.example.com:443"),
        ("http", "api.example.com"),
        ("https", "api.example.com:8443"),
        ("https", "example.com"),
        ("https", "x.api.example.com"),
        ("https", "api.example.com.evil.org"),
        ("https", "xapi.example.com"),
    ] {
        assert!(
            !api.admits(&goes(scheme, authority)),
            "{scheme} {authority}"
        );
    }
}

#[test]
fn a_star_covers_the_names_below_and_nothing_else() {
    let all = origin("https://*.example.com");
    assert!(all.admits(&goes("https", "a.example.com")));
    assert!(all.admits(&goes("https", "a.b.example.com")));
    for authority in [
        "example.com",
        "aexample.com",
        "10.1.2.3",
        "a.example.com.org",
    ] {
        assert!(!all.admits(&goes("https", authority)), "{authority}");
    }
    assert!(all.covers(&origin("https://*.example.com")));
    assert!(all.covers(&origin("https://*.a.example.com")));
    assert!(!origin("https://a.example.com").covers(&all));
    assert!(!origin("https://*.a.example.com").covers(&all));
    assert!(!all.covers(&origin("https://*.b-example.com")));
}

#[test]
fn what_is_no_target_is_refused() {
    for bad in [
        "",
        "api.example.com",
        "ftp://example.com",
        "HTTPS://example.com",
        "https://",
        "https://:443",
        "https://example.com:",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:+80",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?q",
        "https://example.com#f",
        "https://example.com\\@evil.org",
        "https://user@example.com",
        "https://user:pass@example.com",
        "https://example.com:80@evil.org",
        "https://exa mple.com",
        "https://example.com.",
        "https://example..com",
        "https://-a.com",
        "https://bücher.example",
        "https://*",
        "https://*.com",
        "https://*.*.com",
        "https://a.*.example.com",
        "https://*.10.1.2.3",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://0x7f.1",
        "https://010.0.0.1",
        "https://1.2.3.4.5",
        "https://[::1",
        "https://[::1]x",
        "https://[fe80::1%eth0]",
        "https://::1",
        "https://[127.0.0.1]",
        "https://0.0.0.0",
        "https://[::]",
        "https://224.0.0.1",
        "https://a%2eexample.com",
        "https://example.com\r\nHost: x",
    ] {
        let error = bad.parse::<Origin>().unwrap_err();
        assert!(!error.why().is_empty(), "{bad}");
        if let Some(authority) = bad.strip_prefix("https://")
            && !authority.starts_with('*')
        {
            Destination::read("https", authority).unwrap_err();
        }
    }
    for bad in [
        "",
        "host",
        "host:",
        ":80",
        "host:80:80",
        "*.a.com:80",
        "a:1@b:2",
    ] {
        bad.parse::<Endpoint>().unwrap_err();
    }
    for bad in ["", "*.a.com", "a:1", "10.1.2.3", "[::1]", "a b"] {
        bad.parse::<HostName>().unwrap_err();
    }
}

fn access(http: &[&str], tcp: &[&str], names: &[&str], addresses: &[&str]) -> NetworkAccess {
    fn all<T: FromStr<Err = BadTarget>>(texts: &[&str]) -> Vec<T> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }
    NetworkAccess {
        http: all(http),
        tcp: all(tcp),
        names: all(names),
        addresses: all(addresses),
    }
}

#[test]
fn look_up_follows_from_what_is_granted_and_not_from_stars() {
    let access = access(
        &["https://a.example.com", "https://*.b.example.com"],
        &["c.example.com:1"],
        &["d.example.com"],
        &[],
    );
    for name in ["a.example.com", "c.example.com", "d.example.com"] {
        assert!(access.may_resolve(&name.parse().unwrap()), "{name}");
    }
    for name in [
        "b.example.com",
        "x.b.example.com",
        "e.example.com",
        "xa.example.com",
    ] {
        assert!(!access.may_resolve(&name.parse().unwrap()), "{name}");
    }
}

#[test]
fn an_address_is_public_or_named() {
    let access = access(&[], &[], &[], &["10.1.2.3", "192.168.0.0/24"]);
    let vet = |host: &str, address: &str| {
        access.vet(&Host::read(host).unwrap(), address.parse().unwrap())
    };
    for (host, address) in [
        ("a.com", "8.8.8.8"),
        ("a.com", "10.1.2.3"),
        ("a.com", "192.168.0.9"),
        ("localhost", "127.0.0.1"),
        ("localhost", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("169.254.169.254", "169.254.169.254"),
    ] {
        assert_eq!(vet(host, address), Ok(()), "{host} {address}");
    }
    for (host, address, why) in [
        ("a.com", "10.1.2.4", Class::Private),
        ("a.com", "192.168.1.1", Class::Private),
        ("a.com", "127.0.0.1", Class::Loopback),
        ("a.com", "169.254.169.254", Class::Metadata),
        ("localhost", "10.0.0.1", Class::Private),
        ("localhost", "169.254.169.254", Class::Metadata),
        ("x.localhost", "127.0.0.1", Class::Loopback),
        ("127.0.0.1", "127.0.0.2", Class::Loopback),
        ("a.com", "::ffff:10.1.2.3", Class::Embedded),
    ] {
        assert_eq!(vet(host, address), Err(why), "{host} {address}");
    }
}

proptest! {
    /// What was read is shown in a form that reads as the same.
    #[test]
    fn targets_read_back_as_they_are_shown(
        secure: bool,
        star: bool,
        host in "[a-zA-Z0-9]{1,5}(-[a-z0-9]{1,3})?(\\.[a-z0-9]{1,4}){0,2}\\.[a-z]{2,5}",
        port in proptest::option::of(1_u16..),
    ) {
        let scheme = if secure { "https" } else { "http" };
        let star = if star { "*." } else { "" };
        let tail = port.map(|port| format!(":{port}")).unwrap_or_default();
        let read = origin(&format!("{scheme}://{star}{host}{tail}"));
        prop_assert_eq!(origin(&read.to_string()), read);
        if let Some(port) = port {
            let endpoint: Endpoint = format!("{host}:{port}").parse().unwrap();
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
        }
    }

    /// Any text: it is refused, or it is shown as nothing but the characters of an origin, and a
    /// request is admitted only when it reads as the same host and port.
    #[test]
    fn no_text_is_read_in_two_ways(text in "(https?://)?[a-z0-9.:@/\\\\\\[\\]%#?*-]{0,24}") {
        if let Ok(origin) = text.parse::<Origin>() {
            let shown = origin.to_string();
            prop_assert!(!shown.contains(['@', '\\', '?', '#', '%']), "{}", shown);
            let authority = text.split_once("://").unwrap().1;
            if let Ok(destination) = Destination::read(if origin.secure { "https" } else { "http" }, authority) {
                prop_assert!(origin.admits(&destination));
                // The library that assembles requests reads the same host.
                let uri: http::Uri = text.parse().unwrap();
                prop_assert_eq!(uri.host().unwrap().to_ascii_lowercase(), destination.endpoint.host.to_string());
            }
        }
    }

    /// What a star covers is below it.
    #[test]
    fn a_star_is_a_suffix(host in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}", suffix in "[a-c]{1,2}\\.[a-c]{1,2}") {
        let star = origin(&format!("https://*.{suffix}"));
        let below = host.ends_with(&format!(".{suffix}"));
        prop_assert_eq!(star.admits(&goes("https", &host)), below);
    }
}
