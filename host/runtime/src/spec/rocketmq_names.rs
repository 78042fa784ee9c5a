//! Which names RocketMQ accepts for topics and consumer groups, so that one it would refuse is told
//! when a connector is created, or held against the one record that carries it. The rules are those
//! of the broker's own validators (5.3): letters, digits, `%`, `_`, `-` and `|`.

use crate::fixed_hash::hash;

/// Longest topic name, in bytes.
const LONGEST_TOPIC: usize = 127;
/// Longest group name, in bytes.
const LONGEST_GROUP: usize = 120;

/// Why RocketMQ would refuse this topic name, if it would.
pub(crate) fn bad_topic(topic: &str) -> Option<String> {
    bad("topic", topic, LONGEST_TOPIC)
}

/// Why RocketMQ would refuse this group name, if it would.
pub(crate) fn bad_group(group: &str) -> Option<String> {
    bad("group", group, LONGEST_GROUP)
}

/// The consumer group of a connector that names none: `connect-` and its name. A name that a group
/// cannot have (a dot, too long) is written with `_`, cut, and told from others by a hash of all of it.
pub(crate) fn group_of(connector: &str) -> String {
    let plain = format!("connect-{connector}");
    if bad_group(&plain).is_none() {
        return plain;
    }
    let readable: String = plain
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .take(LONGEST_GROUP - 17)
        .collect();
    format!("{readable}-{:016x}", hash(connector.as_bytes()))
}

fn bad(what: &str, name: &str, longest: usize) -> Option<String> {
    if name.is_empty() {
        return Some(format!("the name of a {what} is empty"));
    }
    if name.len() > longest {
        return Some(format!(
            "{what} `{name}` has {} bytes; at most {longest} are allowed",
            name.len()
        ));
    }
    name.chars().find(|c| !allowed(*c)).map(|found| {
        format!(
            "{what} `{name}` holds {found:?}; letters, digits, `%`, `_`, `-` and `|` are allowed"
        )
    })
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '%' | '_' | '-' | '|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_follows_from_every_connectors_name() {
        assert_eq!(group_of("fileSink"), "connect-fileSink");
        let dotted = group_of("orders.eu");
        assert!(dotted.starts_with("connect-orders_eu-"), "{dotted}");
        assert_ne!(dotted, group_of("orders_eu"));
        assert_ne!(dotted, group_of("orders-eu"));
        let (long, other) = ("x".repeat(199) + "a", "x".repeat(199) + "b");
        assert_ne!(group_of(&long), group_of(&other));
        for name in ["a", "orders.eu", "..", &long, &"y.".repeat(100)] {
            assert_eq!(bad_group(&group_of(name)), None, "{name}");
        }
    }

    #[test]
    fn what_rocketmq_refuses_is_named() {
        for (name, part) in [
            (String::new(), "empty"),
            ("a.b".into(), "'.'"),
            ("a b".into(), "' '"),
            ("x".repeat(128), "128 bytes"),
        ] {
            let text = bad_topic(&name).unwrap();
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(bad_topic(&"x".repeat(127)), None);
        assert!(bad_group(&"x".repeat(121)).is_some());
        assert_eq!(bad_group("%RETRY%a|b-c_1"), None);
    }
}
