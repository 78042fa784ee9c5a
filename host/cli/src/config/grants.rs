//! What the operator lets plugins touch, in both forms of configuration. Reads and reports; what a
//! grant covers is decided by the sandbox.

use std::str::FromStr;

use connect_sandbox::{BadTarget, Grant};

use super::section::Section;

/// The keys of a grant.
const KINDS: [&str; 7] = [
    "read-directory",
    "write-directory",
    "http",
    "tcp",
    "resolve",
    "environment",
    "address",
];

/// One `[[grant]]` of a TOML file.
pub(super) fn table(mut section: Section<'_, '_>) -> Option<Grant> {
    let plugin = section.filled("plugin");
    if plugin.is_none() && !section.has("plugin") {
        section.reject(
            "plugin",
            "is missing: the plugin's name, or \"*\" for all of them",
        );
    }
    let mut grant = Grant::default();
    for kind in KINDS {
        let targets = section.texts(kind).unwrap_or_default();
        for why in add(&mut grant, kind, targets) {
            section.reject(kind, why);
        }
    }
    section.finish();
    grant.plugin = plugin?;
    Some(grant)
}

/// `PLUGIN.KIND` of a Java properties file, where a grant is one line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn line(key: &str, targets: Vec<String>) -> Result<Grant, String> {
    let named = key.rsplit_once('.');
    let Some((plugin, kind)) =
        named.filter(|(plugin, kind)| !plugin.is_empty() && KINDS.contains(kind))
    else {
        let known = KINDS.map(|kind| format!("grant.<plugin>.{kind}"));
        return Err(format!("expected {}", known.join(" or ")));
    };
    let mut grant = Grant {
        plugin: plugin.to_owned(),
        ..Grant::default()
    };
    let wrong = add(&mut grant, kind, targets);
    if wrong.is_empty() {
        Ok(grant)
    } else {
        Err(wrong.join("; "))
    }
}

/// Adds targets of one kind; answers what is wrong with those that are none.
fn add(grant: &mut Grant, kind: &str, targets: Vec<String>) -> Vec<String> {
    match kind {
        "read-directory" => grant.read_directory.extend(paths(targets)),
        "write-directory" => grant.write_directory.extend(paths(targets)),
        "environment" => grant.environment.extend(targets),
        "http" => return parse(&mut grant.http, targets),
        "tcp" => return parse(&mut grant.tcp, targets),
        "resolve" => return parse(&mut grant.resolve, targets),
        "address" => return parse(&mut grant.address, targets),
        _ => return vec![format!("`{kind}` is nothing that can be granted")],
    }
    Vec::new()
}

fn paths(targets: Vec<String>) -> impl Iterator<Item = std::path::PathBuf> {
    targets.into_iter().map(Into::into)
}

fn parse<T: FromStr<Err = BadTarget>>(into: &mut Vec<T>, targets: Vec<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for target in targets {
        match target.parse() {
            Ok(target) => into.push(target),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::{java, standalone};
    use super::*;

    fn toml(text: &str) -> Result<Vec<Grant>, String> {
        standalone::read(text, "worker.toml").map(|settings| settings.grants)
    }

    fn properties(text: &str) -> Result<Vec<Grant>, String> {
        let text = format!("namesrvAddr=a:1\n{text}");
        java::read(text.as_bytes(), "worker.conf", None).map(|settings| settings.grants)
    }

    fn granted() -> Grant {
        Grant {
            plugin: "p".into(),
            read_directory: vec!["a".into()],
            write_directory: vec!["b".into()],
            http: vec!["https://*.example.com".parse().unwrap()],
            tcp: vec!["db.example.com:5432".parse().unwrap()],
            resolve: vec!["ns.example.com".parse().unwrap()],
            environment: vec!["TOKEN".into()],
            address: vec!["10.1.0.0/16".parse().unwrap()],
        }
    }

    #[test]
    fn all_that_can_be_granted_is_read() {
        let text = r#"
[[grant]]
plugin = "p"
read-directory = ["a"]
write-directory = ["b"]
http = ["https://*.example.com:443"]
tcp = ["DB.example.com:5432"]
resolve = ["ns.example.com"]
environment = ["TOKEN"]
address = ["10.1.0.0/16"]
"#;
        assert_eq!(toml(text), Ok(vec![granted()]));
        let text = "grant.p.read-directory=a\ngrant.p.write-directory=b\n\
            grant.p.http=https://*.example.com\ngrant.p.tcp=db.example.com:5432\n\
            grant.p.resolve=ns.example.com\ngrant.p.environment=TOKEN\n\
            grant.p.address=10.1.0.0/16\n";
        let all = properties(text).unwrap();
        assert_eq!(all.len(), KINDS.len());
        for grant in &all {
            assert_eq!(grant.plugin, "p");
        }
        let mine = granted();
        assert!(all.iter().any(|grant| grant.http == mine.http));
        assert!(all.iter().any(|grant| grant.address == mine.address));
    }

    #[test]
    fn what_is_no_target_is_told_with_its_line() {
        let error = toml(
            "[[grant]]\nplugin = \"p\"\nhttp = [\"example.com\", \"https://a.com/path\"]\n\
             tcp = [\"host\"]\nresolve = [\"10.1.2.3\"]\naddress = [\"0.0.0.0/0\"]\nsockets = []\n",
        )
        .unwrap_err();
        for part in [
            "line 3: `grant.http`: `example.com`: it must begin with",
            "line 3: `grant.http`: `https://a.com/…`: only scheme and authority",
            "line 4: `grant.tcp`: `host`: the port is missing",
            "line 5: `grant.resolve`: `10.1.2.3`: ",
            "line 6: `grant.address`: `0.0.0.0/0`: only private networks",
            "line 7: unknown key `grant.sockets`",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let error = properties("grant.p.http=example.com\ngrant.p.sockets=a\n").unwrap_err();
        for part in [
            "line 2: `grant.p.http`: `example.com`: it must begin with",
            "line 3: `grant.p.sockets`: expected grant.<plugin>.read-directory or",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    /// The example in the comments is one.
    #[test]
    fn the_commented_example_grants_something_of_each_kind() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conf/standalone.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let example: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#   "))
            .collect();
        let all = toml(&example.join("\n")).unwrap();
        let [grant] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert!(!grant.http.is_empty() && !grant.tcp.is_empty());
        assert!(!grant.resolve.is_empty() && !grant.address.is_empty());
        assert_eq!(grant.environment.len(), 1);
    }
}
