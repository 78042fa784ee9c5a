//! What is granted, what is not, and that a refusal's own words grant it.

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

/// The lines of a refusal that are configuration.
fn lines(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("plugin `"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn other(kind: &str, target: &str) -> Need {
    need(kind, Path::new(target))
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
    let lines = lines(&text);
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
    let (text, reason) = why("usb", "in");
    assert!(
        matches!(reason, Why::Unknown) && text.contains("`usb`"),
        "{text}"
    );
}

#[test]
fn an_unknown_key_in_a_grant_is_an_error() {
    let error = toml::from_str::<Grant>("plugin = \"p\"\nread = []\n").unwrap_err();
    assert!(error.to_string().contains("read-directory"), "{error}");
}

#[test]
fn what_was_asked_for_is_given_as_far_as_it_was_granted() {
    let grants = grants(
        "[[grant]]\nplugin = \"p\"\nhttp = [\"https://*.example.com\", \"http://10.1.2.3:80\"]\n\
         tcp = [\"db.example.com:5432\"]\nresolve = [\"ns.example.com\"]\nenvironment = [\"HOME\"]\n\
         [[grant]]\nplugin = \"*\"\naddress = [\"10.0.0.0/8\"]\n\
         [[grant]]\nplugin = \"q\"\naddress = [\"127.0.0.1\"]\n",
    );
    let needs = [
        other("http", "https://API.example.com:443"),
        other("http", "http://10.1.2.3"),
        other("tcp", "db.example.com:5432"),
        other("resolve", "ns.example.com"),
        other("resolve", "db.example.com"),
        other("environment", "HOME"),
    ];
    let access = grants.allow("p", &needs).unwrap();
    let network = access.network();
    assert_eq!(network.http[0].to_string(), "https://api.example.com");
    assert_eq!(network.http.len(), 2);
    assert_eq!((network.tcp.len(), network.names.len()), (1, 2));
    assert_eq!(access.environment(), ["HOME"]);
    // What the operator grants to others, or beyond what was asked for, is not there.
    assert_eq!(network.addresses.len(), 1);
    let nothing = grants.allow("p", &[]).unwrap();
    assert_eq!(nothing.network().http, []);
    assert!(grants.allow("q", &needs).is_err());
    for (kind, target) in [
        ("http", "https://example.com"),
        ("http", "http://api.example.com"),
        ("http", "https://*.org.example"),
        ("tcp", "db.example.com:5433"),
        ("tcp", "api.example.com:443"),
        ("resolve", "api.example.com"),
        ("environment", "home"),
    ] {
        let denied = grants.allow("p", &[other(kind, target)]).unwrap_err();
        assert!(
            matches!(denied.refusals[0].why, Why::NotGranted { .. }),
            "{denied}"
        );
    }
    for (kind, target) in [
        ("http", "https://user:secret@example.com"),
        ("http", "example.com"),
        ("tcp", "example.com"),
        ("resolve", "10.1.2.3"),
        ("environment", "A=B"),
        ("environment", ""),
    ] {
        let denied = grants.allow("p", &[other(kind, target)]).unwrap_err();
        assert!(
            matches!(denied.refusals[0].why, Why::Malformed { .. }),
            "{denied}"
        );
    }
}

/// Plugins make targets of settings, and settings hold passwords.
#[test]
fn a_refusal_shows_no_more_of_a_target_than_where_it_is() {
    for (target, shown) in [
        ("https://user:SECRET@a.com", "https://…"),
        ("https://a.com/hook?key=SECRET", "https://a.com/…"),
        ("https://a.com?SECRET", "https://a.com/…"),
        ("https://a.com:443/x@SECRET", "https://…"),
        ("SECRET@a.com", "…"),
    ] {
        for kind in ["http", "tcp", "resolve"] {
            let denied = Grants::default().allow("p", &[other(kind, target)]);
            let text = denied.unwrap_err().to_string();
            assert!(text.contains(&format!("on `{shown}`")), "{text}");
            assert!(!text.contains("SECRET"), "{text}");
        }
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn any_need() -> impl Strategy<Value = Need> {
        let host = "[a-z]{1,8}\\.[a-z]{2,3}|10\\.[0-9]\\.[0-9]\\.[0-9]|\\[fd00::[0-9a-f]{1,3}\\]";
        prop_oneof![
            (host, 1_u16.., any::<bool>()).prop_map(|(host, port, secure)| {
                let scheme = if secure { "https" } else { "http" };
                other("http", &format!("{scheme}://{host}:{port}"))
            }),
            "[a-z]{1,8}\\.[a-z]{2,3}".prop_map(|name| other("http", &format!("https://*.{name}"))),
            (host, 1_u16..).prop_map(|(host, port)| other("tcp", &format!("{host}:{port}"))),
            "[a-zA-Z]{1,8}(\\.[a-z]{1,3}){0,2}".prop_map(|name| other("resolve", &name)),
            "[A-Za-z_][A-Za-z0-9_]{0,9}".prop_map(|name| other("environment", &name)),
        ]
    }

    proptest! {
        /// Nothing is given without a grant, and the words of the refusal are the grant.
        #[test]
        fn the_lines_of_a_refusal_grant_what_it_refused(
            needs in proptest::collection::vec(any_need(), 1..6),
            plugin in "[a-z\"\\\\-]{1,8}",
        ) {
            let denied = Grants::default().allow(&plugin, &needs).unwrap_err();
            prop_assert_eq!(denied.refusals.len(), needs.len());
            let text = denied.to_string();
            let granted = grants(&lines(&text)).allow(&plugin, &needs);
            prop_assert!(granted.is_ok(), "{}\n{:?}", text, granted);
        }
    }
}
