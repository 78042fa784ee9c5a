//! Worker configuration files of the Java project (`.conf`, `.properties`), as they are.
//!
//! A key that does nothing here is a warning, never an error: these files carry many. A value
//! that cannot be understood is an error, where the Java project went on with its default. Must
//! never quote the value of a secret key.

use super::grants;
use super::report::{Report, nearest, printable};
use super::settings::{BrokerSettings, Remote, Settings, check_id, check_namesrv};
use connect_runtime::ConverterDefault;
use connect_sandbox::Grant;
use java_properties::{LineContent, PropertiesIter};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keys that mean something here.
const USED: &[&str] = &[
    "workerId",
    "httpPort",
    "namesrvAddr",
    "pluginPaths",
    "storePathRootDir",
    "keyConverter",
    "valueConverter",
    "aclEnable",
    "accessKey",
    "secretKey",
    "operationTimeout",
    "maxStopTimeoutMills",
    "offsetCommitIntervalMsConfig",
];

/// Keys that the Java project knows and this worker has no use for, with the reason.
const UNUSED: &[(&str, &str)] = &[
    ("clusterName", UNREAD),
    ("connectClusterId", DISTRIBUTED),
    ("clusterStoreTopic", DISTRIBUTED),
    ("allocTaskStrategy", DISTRIBUTED),
    ("clusterManagementService", DISTRIBUTED),
    ("configManagementService", DISTRIBUTED),
    ("positionManagementService", DISTRIBUTED),
    ("stateManagementService", DISTRIBUTED),
    ("configStoreTopic", OWN_STORE),
    ("configPersistInterval", OWN_STORE),
    ("positionStoreTopic", OWN_STORE),
    ("positionPersistInterval", OWN_STORE),
    ("offsetStoreTopic", OWN_STORE),
    ("offsetPersistInterval", OWN_STORE),
    ("connectStatusTopic", OWN_STORE),
    ("statePersistInterval", OWN_STORE),
    ("autoCreateGroupEnable", "groups are always created"),
    ("autoCreateTopicEnable", "topics are always created"),
    ("maxMessageSize", UNREAD),
    ("rmqProducerGroup", "sending needs no group"),
    ("rmqConsumerGroup", "a sink's group is its connector's"),
    ("adminExtGroup", "administration needs no group"),
    ("rmqMaxRedeliveryTimes", DISTRIBUTED),
    ("rmqMessageConsumeTimeout", DISTRIBUTED),
    ("rmqMaxConsumeThreadNums", UNREAD),
    ("rmqMinConsumeThreadNums", DISTRIBUTED),
    ("brokerSuspendMaxTimeMillis", DISTRIBUTED),
    (
        "maxStartTimeoutMills",
        "each call into a plugin has a limit of its own",
    ),
    (
        "offsetCommitTimeoutMsConfig",
        "a commit ends when it is durable",
    ),
    ("openLogMetricReporter", "there are no metrics in the log"),
    ("metricsConfigPath", "there are no metrics reporters"),
];

const DISTRIBUTED: &str = "this worker runs alone";
const OWN_STORE: &str = "the worker keeps it in a store of its own, durable at every commit";
const UNREAD: &str = "the Java worker does not read it either";

/// How files begin that hold two bytes for each character.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Prefix of grants, which the Java project has not: `grant.<plugin>.read-directory=<dir>,…`.
const GRANT: &str = "grant.";

/// Reads the bytes of a file. `namesrv` is what the environment says about name servers.
///
/// # Errors
/// Everything that is wrong with it, as one text that names `file`.
pub(crate) fn read(bytes: &[u8], file: &str, namesrv: Option<String>) -> Result<Settings, String> {
    let mut keys = Keys::parse(bytes);
    let settings = settings(&mut keys, namesrv);
    match keys.report.text(file) {
        None => Ok(settings),
        Some(problems) => Err(problems),
    }
}

fn settings(keys: &mut Keys, namesrv: Option<String>) -> Settings {
    let mut settings = Settings::default();
    if let Some(id) = keys.take("workerId") {
        match check_id(&id) {
            Ok(()) => settings.id = id,
            Err(why) => keys.reject("workerId", why),
        }
    }
    if let Some(port) = keys.number("httpPort", 1, u16::MAX.into()) {
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        settings.rest.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    }
    keys.warn(
        "REST listens on 127.0.0.1 only, where the Java worker listened on every address; \
         to change that, use a TOML configuration"
            .to_owned(),
    );
    if let Some(paths) = keys.list("pluginPaths") {
        settings.plugins = plugin_paths(&paths, keys);
    }
    if let Some(directory) = keys.take("storePathRootDir") {
        settings.directory = directory.into();
    }
    settings.broker = BrokerSettings::Remote(remote(keys, namesrv));
    if let Some(default) = keys.converter("keyConverter", true) {
        settings.key_converter = default;
    }
    if let Some(default) = keys.converter("valueConverter", false) {
        settings.value_converter = default;
    }
    if let Some(time) = keys.number("maxStopTimeoutMills", 0, 3_600_000) {
        settings.shutdown_deadline = Duration::from_millis(time);
    }
    if let Some(time) = keys.number("offsetCommitIntervalMsConfig", 1, 86_400_000) {
        settings.tuning.flush_interval = Duration::from_millis(time);
    }
    settings.grants = keys.grants();
    keys.warn_of_the_rest();
    settings.warnings = std::mem::take(&mut keys.warnings);
    settings
}

fn plugin_paths(paths: &[String], keys: &mut Keys) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for path in paths {
        let extension = Path::new(path).extension().and_then(|text| text.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("jar" | "zip") => keys.warn(format!(
                "`pluginPaths`: {path} is a Java archive; plugins here are .wasm files"
            )),
            _ => directories.push(PathBuf::from(path)),
        }
    }
    directories
}

fn remote(keys: &mut Keys, namesrv: Option<String>) -> Remote {
    let mut remote = Remote::default();
    match keys.take("namesrvAddr").or(namesrv) {
        Some(text) => match check_namesrv(&text) {
            Ok(()) => remote.namesrv = text,
            Err(why) => keys.reject("namesrvAddr", why),
        },
        None => keys.reject(
            "namesrvAddr",
            "is missing, and so is the environment variable NAMESRV_ADDR",
        ),
    }
    if let Some(time) = keys.number("operationTimeout", 100, 3_600_000) {
        remote.request_timeout = Duration::from_millis(time);
    }
    let enabled = keys.flag("aclEnable").unwrap_or(false);
    let pair = [keys.take("accessKey"), keys.take("secretKey")];
    match (enabled, pair) {
        (true, [Some(access), Some(secret)]) => {
            remote.access_key = Some(access);
            remote.secret_key = Some(secret);
        }
        (true, _) => keys.reject(
            "aclEnable",
            "is true, but `accessKey` or `secretKey` is missing",
        ),
        (false, [None, None]) => {}
        (false, _) => keys
            .warn("`accessKey`, `secretKey`: not used, since `aclEnable` is not true".to_owned()),
    }
    remote
}

/// The keys of a file; each is taken out once it is understood.
struct Keys {
    values: BTreeMap<String, (usize, String)>,
    report: Report,
    warnings: Vec<String>,
    /// Lines of keys that were taken, for what is said about them later.
    lines: BTreeMap<String, usize>,
}

impl Keys {
    fn parse(bytes: &[u8]) -> Self {
        let report = Report::default();
        let mut values = BTreeMap::new();
        let mut bytes = Cow::Borrowed(bytes);
        if UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
            let why = "not a properties file: UTF-16; save it as UTF-8 with a byte order mark";
            report.add(Some(1), why);
            bytes = Cow::default();
        }
        // The library panics at an end in the midst of a character, which a line end is not.
        bytes.to_mut().push(b'\n');
        for line in PropertiesIter::new(&*bytes) {
            match line {
                // Of a key that is there twice the last one counts, as in Java.
                Ok(line) => {
                    let number = line.line_number();
                    if let LineContent::KVPair(key, value) = line.consume_content() {
                        values.insert(key, (number, value.trim().to_owned()));
                    }
                }
                Err(error) => {
                    report.add(
                        error.line_number(),
                        "not a properties file: a broken escape",
                    );
                    break;
                }
            }
        }
        Self {
            values,
            report,
            warnings: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    /// The value of a key; none when it is blank, which to Java means the same.
    fn take(&mut self, key: &str) -> Option<String> {
        let (line, value) = self.values.remove(key)?;
        self.lines.insert(key.to_owned(), line);
        Some(value).filter(|value| !value.is_empty())
    }

    fn reject(&self, key: &str, why: impl std::fmt::Display) {
        let line = self.lines.get(key).copied();
        self.report.add(line, format!("`{key}`: {why}"));
    }

    fn warn(&mut self, text: String) {
        self.warnings.push(printable(&text));
    }

    fn number(&mut self, key: &str, low: u64, high: u64) -> Option<u64> {
        let text = self.take(key)?;
        let number = text
            .parse()
            .ok()
            .filter(|number| (low..=high).contains(number));
        if number.is_none() {
            self.reject(key, format!("expected a whole number from {low} to {high}"));
        }
        number
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        let text = self.take(key)?;
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.reject(key, "expected true or false");
                None
            }
        }
    }

    fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let text = self.take(key)?;
        let items = text.split(',').map(str::trim);
        Some(
            items
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    fn converter(&mut self, key: &str, is_key: bool) -> Option<ConverterDefault> {
        let class = self.take(key)?;
        let settings = BTreeMap::new();
        match connect_convert::converter(&class, &settings, is_key) {
            Ok(_) => Some(ConverterDefault { class, settings }),
            Err(error) => {
                self.reject(key, error);
                None
            }
        }
    }

    fn grants(&mut self) -> Vec<Grant> {
        let keys: Vec<String> = self
            .values
            .keys()
            .filter(|key| key.starts_with(GRANT))
            .cloned()
            .collect();
        let mut all = Vec::new();
        for key in keys {
            let targets = self.list(&key).unwrap_or_default();
            let rest = key.strip_prefix(GRANT).unwrap_or_default();
            match grants::line(rest, targets) {
                Ok(grant) => all.push(grant),
                Err(why) => self.reject(&key, why),
            }
        }
        all
    }

    fn warn_of_the_rest(&mut self) {
        let rest = std::mem::take(&mut self.values);
        for (key, (line, _)) in rest {
            let known = UNUSED.iter().find(|(known, _)| *known == key);
            let why = match known {
                Some((_, why)) => format!("has no effect: {why}"),
                None => {
                    let all = USED
                        .iter()
                        .chain(UNUSED.iter().map(|(key, _)| key))
                        .copied();
                    match nearest(&key, all) {
                        Some(near) => format!("unknown key; did you mean `{near}`?"),
                        None => "unknown key".to_owned(),
                    }
                }
            };
            self.warn(format!("line {line}: `{key}`: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn an_end_in_the_midst_of_a_character_is_no_panic() {
        let name_server = || Some("a:1".to_owned());
        for bytes in [
            &b"\xef"[..],
            b"\xef\xbb",
            b"\xff",
            b"\xfe",
            b"\xef\xbb\xbfworkerId=a\n\xd5",
            b"\xef\xbb\xbf\xf0\x9f\x98",
            b"workerId=a\\",
        ] {
            let settings = read(bytes, "f", name_server());
            settings.unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
        }
        let marked = read(b"\xef\xbb\xbfworkerId=m\xc3\xbcll", "f", name_server());
        let error = marked.map(drop).unwrap_err();
        assert!(error.contains("line 1: `workerId`"), "{error}");
        for bytes in [&b"\xff\xfe"[..], b"\xff\xfea\0=", b"\xfe\xff\0a\0"] {
            let error = read(bytes, "f", name_server()).map(drop).unwrap_err();
            assert!(
                error.contains("line 1: not a properties file: UTF-16"),
                "{error}"
            );
        }
    }
}
