//! How to reach a cluster. Holds secrets: `Debug` must never show them.

use crate::error::BrokerError;
use std::fmt;
use std::time::Duration;

/// Settings of [`RocketMq`](crate::RocketMq).
#[derive(Clone)]
pub struct RocketMqSettings {
    /// Name servers, `host:port`, several separated by `;`.
    pub namesrv: String,
    /// A name for this worker; it becomes part of the client ids, which are made unique.
    pub client_name: String,
    /// The cluster to create topics and groups in. Default: the only one there is, or
    /// `DefaultCluster` among several.
    pub cluster: Option<String>,
    /// ACL access key; default none. Goes together with `secret_key`.
    pub access_key: Option<String>,
    /// ACL secret key; default none.
    pub secret_key: Option<String>,
    /// How long a request that does not wait for messages may take; default 5 s.
    pub request_timeout: Duration,
}

impl RocketMqSettings {
    /// Settings without access control and with every default.
    pub fn new(namesrv: impl Into<String>, client_name: impl Into<String>) -> Self {
        Self {
            namesrv: namesrv.into(),
            client_name: client_name.into(),
            cluster: None,
            access_key: None,
            secret_key: None,
            request_timeout: Duration::from_secs(5),
        }
    }

    /// The name servers' addresses.
    pub(super) fn name_servers(&self) -> Result<Vec<String>, BrokerError> {
        let refuse = |reason| {
            Err(BrokerError::Setting {
                key: "namesrv",
                reason,
            })
        };
        let mut addresses: Vec<String> = Vec::new();
        for entry in self
            .namesrv
            .split([';', ','])
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let port = entry.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                return refuse(format!(
                    "{entry:?} is not host:port, such as 127.0.0.1:9876"
                ));
            }
            if !addresses.iter().any(|known| known == entry) {
                addresses.push(entry.to_owned());
            }
        }
        if addresses.is_empty() {
            return refuse("is empty; give host:port, such as 127.0.0.1:9876".to_owned());
        }
        Ok(addresses)
    }

    /// Access key and secret key, when there are any.
    pub(super) fn credentials(&self) -> Result<Option<(&str, &str)>, BrokerError> {
        let given = |key: &'static str, value: &Option<String>| match value.as_deref() {
            Some(text) if text.trim().is_empty() => Err(BrokerError::Setting {
                key,
                reason: "is blank; leave it out instead".into(),
            }),
            _ => Ok(()),
        };
        given("access-key", &self.access_key)?;
        given("secret-key", &self.secret_key)?;
        match (self.access_key.as_deref(), self.secret_key.as_deref()) {
            (Some(access), Some(secret)) => Ok(Some((access, secret))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(BrokerError::Setting {
                key: "secret-key",
                reason: "is missing, but there is an access-key".into(),
            }),
            (None, Some(_)) => Err(BrokerError::Setting {
                key: "access-key",
                reason: "is missing, but there is a secret-key".into(),
            }),
        }
    }
}

impl fmt::Debug for RocketMqSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "***");
        f.debug_struct("RocketMqSettings")
            .field("namesrv", &self.namesrv)
            .field("client_name", &self.client_name)
            .field("cluster", &self.cluster)
            .field("access_key", &hidden(&self.access_key))
            .field("secret_key", &hidden(&self.secret_key))
            .field("request_timeout", &self.request_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_split_and_checked() {
        let of = |text: &str| RocketMqSettings::new(text, "w").name_servers();
        assert_eq!(of("a:1; b:2;;a:1").unwrap(), ["a:1", "b:2"]);
        for bad in ["", " ; ", "a", "a:", ":1", "a:x", "a:70000", "a:0", "a:1;b"] {
            assert!(
                matches!(of(bad), Err(BrokerError::Setting { key: "namesrv", .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn keys_come_in_pairs_and_are_never_shown() {
        let mut settings = RocketMqSettings::new("a:1", "w");
        assert!(settings.credentials().unwrap().is_none());
        settings.secret_key = Some("hush".into());
        assert!(settings.credentials().is_err());
        settings.access_key = Some("visible-to-nobody".into());
        assert_eq!(
            settings.credentials().unwrap(),
            Some(("visible-to-nobody", "hush"))
        );
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("visible"),
            "{shown}"
        );
        settings.access_key = Some(" ".into());
        assert!(settings.credentials().is_err());
    }
}
