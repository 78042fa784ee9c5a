//! What a configuration file means, and what is said about one that means nothing.

use super::settings::{BrokerSettings, Settings};
use super::{java, load, standalone};
use std::path::PathBuf;
use std::time::Duration;

fn conf(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../conf", name]
        .iter()
        .collect()
}

fn toml(text: &str) -> Result<Settings, String> {
    standalone::read(text, "worker.toml")
}

fn toml_error(text: &str) -> String {
    match toml(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error,
    }
}

fn properties(text: &str) -> Result<Settings, String> {
    java::read(text.as_bytes(), "worker.conf", None)
}

fn properties_error(text: &str) -> String {
    match properties(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error,
    }
}

fn remote(settings: &Settings) -> &super::Remote {
    match &settings.broker {
        BrokerSettings::Remote(remote) => remote,
        BrokerSettings::Embedded(_) => panic!("embedded"),
    }
}

/// Everything but secrets, to compare two configurations.
fn shape(settings: &Settings) -> String {
    let broker = match &settings.broker {
        BrokerSettings::Remote(remote) => format!(
            "{} {:?} {:?} {:?}",
            remote.namesrv,
            remote.cluster,
            remote.access_key.is_some(),
            remote.request_timeout
        ),
        BrokerSettings::Embedded(embedded) => format!(
            "{:?} {} {}",
            embedded.directory, embedded.namesrv_port, embedded.broker_port
        ),
    };
    format!(
        "{} {:?} {:?} {:?} {} {:?} {} {:?} {broker} {:?} {:?} {:?} {:?} {:?}",
        settings.id,
        settings.directory,
        settings.plugins,
        settings.shutdown_deadline,
        settings.plugin_bytes,
        settings.compiler,
        settings.rest.listen,
        settings.rest.hosts,
        settings.key_converter,
        settings.value_converter,
        settings.limits,
        settings.tuning,
        settings.restart,
    )
}

#[test]
fn every_shipped_configuration_loads() {
    let mut loaded = 0;
    for entry in std::fs::read_dir(conf("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending != "md") {
            if let Err(error) = load(&path) {
                panic!("{error}");
            }
            loaded += 1;
        }
    }
    assert_eq!(loaded, 3);
}

#[test]
fn the_shipped_configuration_is_the_default_with_grants() {
    let shipped = load(&conf("standalone.toml")).unwrap_or_else(|error| panic!("{error}"));
    let default = toml("").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shape(&shipped), shape(&default));
    let grants = format!("{:?}", shipped.grants);
    for part in ["file-source", "file-sink", "\".\""] {
        assert!(grants.contains(part), "{grants}");
    }
    assert_eq!(default.grants, []);
}

/// What the comments call a default must be one, and each key must be there to be read.
#[test]
fn the_commented_keys_show_their_defaults() {
    let text = std::fs::read_to_string(conf("standalone.toml")).unwrap();
    let key_line = |line: &str| {
        line.strip_prefix("# ").and_then(|line| {
            let (key, _) = line.split_once(" = ")?;
            let plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
            key.chars().all(plain).then(|| line.to_owned())
        })
    };
    // Not defaults but examples, or the other choice.
    let examples = [
        "cluster",
        "access-key",
        "secret-key",
        "value",
        "hostcall-bytes",
        "directory",
        "namesrv-port",
        "broker-port",
    ];
    let mut uncommented = 0;
    let all: Vec<String> = text
        .lines()
        .map(|line| match key_line(line) {
            Some(key) if !examples.iter().any(|example| key.starts_with(example)) => {
                uncommented += 1;
                key
            }
            _ => line.to_owned(),
        })
        .collect();
    let shown = toml(&all.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    let default = toml("").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shape(&shown), shape(&default));
    assert_eq!(uncommented, 49, "a key was added to one place only");
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = r#"[worker]
plugin = ["x"]
id = "no spaces please"
directory = 7
[rest]
listen = "nowhere"
prot = 1
[brocker]
namesrv = "x"
[limits]
memory-bytes = -1
call-cpu-ms = "1 s"
[[grant]]
plugin = "file-source"
read-directroy = ["."]
[[grant]]
read-directory = ["a", 3]
[delivery]
batch-records = 100000
[converter]
value = "jsn"
key = { "schemas.enable" = true }
"#;
    let error = toml_error(text);
    for part in [
        "worker.toml cannot be used",
        "line 2: unknown key `worker.plugin`; did you mean `worker.plugins`?",
        "line 3: `worker.id`: expected 1 to 100 of",
        "line 4: `worker.directory`: expected a text in quotes, found a whole number",
        "line 6: `rest.listen`: `nowhere` is no address",
        "line 7: unknown key `rest.prot`; known here are",
        "line 8: unknown key `brocker`; did you mean `broker`?",
        "line 11: `limits.memory-bytes`: expected a whole number from 65536",
        "line 12: `limits.call-cpu-ms`: expected a whole number from 1 to 3600000, found a text",
        "line 15: unknown key `grant.read-directroy`; did you mean `grant.read-directory`?",
        "line 16: `grant.plugin`: is missing",
        "line 17: `grant.read-directory`: expected a list of texts",
        "line 19: `delivery.batch-records`: expected a whole number from 1 to 4096",
        "line 21: `converter.value`: ",
        "`jsn`",
        "line 22: `converter.key.class`: is missing",
    ] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn what_is_no_toml_is_told_without_quoting_it() {
    let error = toml_error("[broker]\nsecret-key = \"hunter2\nnamesrv = \"x:1\"\n");
    assert!(error.contains("line 2: not TOML"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = toml_error("[worker\n");
    assert!(
        error.contains("worker.toml") && error.contains("line 1"),
        "{error}"
    );
    let error = toml_error("[worker]\nid = \"a\"\nid = \"b\"\n");
    assert!(error.contains("line 3"), "{error}");
}

#[test]
fn a_table_in_the_wrong_place_is_told() {
    for text in ["worker = 1", "worker = [1]", "[[worker]]\nid = \"a\""] {
        let error = toml_error(text);
        assert!(
            error.contains("`worker`: expected a table [worker]"),
            "{error}"
        );
    }
    for text in ["grant = 1", "[grant]\nplugin = \"a\""] {
        let error = toml_error(text);
        assert!(error.contains("[[grant]]"), "{error}");
    }
}

#[test]
fn rest_stays_on_this_machine_unless_that_is_spelled_out() {
    for open in ["0.0.0.0:8082", "192.168.1.5:1", "[::]:8082"] {
        let error = toml_error(&format!("[rest]\nlisten = \"{open}\"\n"));
        assert!(error.contains("insecure = true"), "{error}");
        let text = format!("[rest]\nlisten = \"{open}\"\ninsecure = true\n");
        assert!(toml(&text).is_ok_and(|settings| settings.rest.listen.to_string() == open));
    }
    for own in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:8082"] {
        assert!(toml(&format!("[rest]\nlisten = \"{own}\"\n")).is_ok());
    }
}

#[test]
fn the_broker_is_one_or_the_other() {
    let settings =
        toml("[broker.embedded]\nbroker-port = 20911\n").unwrap_or_else(|e| panic!("{e}"));
    match settings.broker {
        BrokerSettings::Embedded(embedded) => {
            assert_eq!((embedded.namesrv_port, embedded.broker_port), (9876, 20911));
        }
        BrokerSettings::Remote(_) => panic!("remote"),
    }
    let error = toml_error("[broker]\nnamesrv = \"a:1\"\n[broker.embedded]\n");
    assert!(error.contains("one or the other"), "{error}");
    for namesrv in ["", "a", "a:0", "a:b", ":1", "a:1;b", ";"] {
        let error = toml_error(&format!("[broker]\nnamesrv = \"{namesrv}\"\n"));
        assert!(error.contains("broker.namesrv"), "{error}");
    }
    let error = toml_error("[broker]\nsecret-key = \"hunter2\"\n");
    assert!(error.contains("`broker.access-key`: is missing"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn converters_may_have_settings() {
    let settings = toml(
        "[converter]\nkey = { class = \"json\", \"schemas.enable\" = false }\n\
         [converter.value]\nclass = \"JsonConverter\"\nschemas.enable = true\nschemas.cache.size = 10\n",
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.key_converter.class, "json");
    assert_eq!(settings.key_converter.settings["schemas.enable"], "false");
    assert_eq!(
        settings.value_converter.settings["schemas.cache.size"],
        "10"
    );
    let error = toml_error("[converter]\nkey = { class = \"json\", schemas.enabled = 1 }\n");
    assert!(error.contains("schemas.enabled"), "{error}");
}

/// As shipped by the Java project, but for the paths.
const JAVA: &str = "\
workerId=standalone-worker
storePathRootDir=/tmp/storeRoot

## Http port for user to access REST API
httpPort=8082

# Rocketmq namesrvAddr
namesrvAddr=localhost:9876

# RocketMQ acl
aclEnable=false
#accessKey=rocketmq
#secretKey=12345678

clusterName=\"DefaultCluster\"

# Source or sink connector jar file dir,The default value is rocketmq-connect-sample
pluginPaths=/opt/connectors, /opt/a.jar,/opt/b.ZIP
";

#[test]
fn a_java_configuration_loads_as_it_is() {
    let settings = properties(JAVA).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(settings.id, "standalone-worker");
    assert_eq!(settings.directory, PathBuf::from("/tmp/storeRoot"));
    assert_eq!(settings.plugins, [PathBuf::from("/opt/connectors")]);
    assert_eq!(settings.rest.listen.to_string(), "127.0.0.1:8082");
    assert_eq!(remote(&settings).namesrv, "localhost:9876");
    let warnings = settings.warnings.join("\n");
    for part in [
        "/opt/a.jar",
        "/opt/b.ZIP",
        "line 15: `clusterName`: has no effect",
        "127.0.0.1 only",
    ] {
        assert!(warnings.contains(part), "{warnings}");
    }
    assert_eq!(settings.warnings.len(), 4, "{warnings}");
}

#[test]
fn java_keys_mean_what_they_meant() {
    let text = "namesrvAddr = a:1;b:2\n\
        keyConverter: org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter\n\
        valueConverter org.apache.rocketmq.connect.runtime.converter.record.ByteArrayConverter\n\
        aclEnable=TRUE\naccessKey=me\nsecretKey=hun\\\n   ter2\n\
        operationTimeout=4000\nmaxStopTimeoutMills=5000\noffsetCommitIntervalMsConfig=2000\n\
        configStoreTopic=x\nworkerID=typo\nfoo=bar\n\
        grant.file-source.read-directory=in, more\ngrant.*.write-directory=out\n";
    let settings = properties(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(remote(&settings).namesrv, "a:1;b:2");
    assert_eq!(remote(&settings).access_key.as_deref(), Some("me"));
    assert_eq!(remote(&settings).secret_key.as_deref(), Some("hunter2"));
    assert_eq!(remote(&settings).request_timeout, Duration::from_secs(4));
    assert_eq!(settings.shutdown_deadline, Duration::from_secs(5));
    assert_eq!(settings.tuning.flush_interval, Duration::from_secs(2));
    assert!(settings.key_converter.class.ends_with("JsonConverter"));
    let grants = format!("{:?}", settings.grants);
    for part in ["file-source", "\"in\"", "\"more\"", "\"*\"", "\"out\""] {
        assert!(grants.contains(part), "{grants}");
    }
    let warnings = settings.warnings.join("\n");
    for part in [
        "`configStoreTopic`: has no effect",
        "did you mean `workerId`?",
        "`foo`: unknown key",
    ] {
        assert!(warnings.contains(part), "{warnings}");
    }
    assert!(!warnings.contains("hunter2"), "{warnings}");
}

#[test]
fn java_values_that_mean_nothing_are_errors() {
    let error = properties_error(
        "httpPort=eighty\naclEnable=maybe\naccessKey=k\nkeyConverter=com.acme.Mine\n\
         grant.x=y\nworkerId=a b\noperationTimeout=1\n",
    );
    for part in [
        "line 1: `httpPort`: expected a whole number from 1 to 65535",
        "line 2: `aclEnable`: expected true or false",
        "line 4: `keyConverter`: ",
        "line 5: `grant.x`: expected grant.<plugin>.read-directory",
        "line 6: `workerId`",
        "line 7: `operationTimeout`",
        "`namesrvAddr`: is missing",
    ] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let error = properties_error("namesrvAddr=a:1\naclEnable=true\nsecretKey=hunter2\n");
    assert!(error.contains("`aclEnable`: is true, but"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = properties_error("namesrvAddr=a:1\nsecretKey=hunter2\\uZZZZ\n");
    assert!(
        error.contains("line 2") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn name_servers_may_come_from_the_environment() {
    let read = |text: &str| java::read(text.as_bytes(), "f", Some("env:1".to_owned()));
    let namesrv = |text| read(text).map(|settings| remote(&settings).namesrv.clone());
    assert_eq!(namesrv(""), Ok("env:1".to_owned()));
    assert_eq!(namesrv("namesrvAddr=file:1"), Ok("file:1".to_owned()));
}

#[test]
fn the_ending_says_what_a_file_is() {
    let directory = tempfile::tempdir().unwrap();
    for (name, content, part) in [
        ("a.yaml", &b"x"[..], ".toml"),
        ("a.toml", b"\xff", "not UTF-8 at byte 0"),
        ("b.toml", b"x = ", "line 1"),
        ("c.toml", &[b'#'; (1 << 20) + 1], "larger than 1 MiB"),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = load(&path).err().unwrap();
        assert!(error.contains(part) && error.contains(name), "{error}");
    }
    let error = load(&directory.path().join("absent.toml")).err().unwrap();
    assert!(error.contains("absent.toml"), "{error}");
}

#[test]
fn doubts_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("w.toml");
    let text = "[broker]\naccess-key = \"a\"\nsecret-key = \"hunter2\"\n\
        [[grant]]\nplugin = \"p\"\nread-directory = [\"/\", \"/not/there\"]\n";
    std::fs::write(&path, text).unwrap();
    let warnings = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        load(&path)
            .unwrap_or_else(|error| panic!("{error}"))
            .warnings
    };
    let open = warnings(0o640);
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(
        open[0].contains("chmod 600") && !open[0].contains("hunter2"),
        "{open:?}"
    );
    assert!(
        open[1].contains("/not/there") && open[1].contains("`p`"),
        "{open:?}"
    );
    assert_eq!(warnings(0o600), &open[1..]);
}

mod hostile {
    use super::super::{java, standalone};
    use proptest::prelude::*;

    /// A shipped file with a few bytes of it replaced.
    fn damaged(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let good = std::fs::read(super::conf(name)).unwrap();
        let changes = prop::collection::vec((0..good.len(), any::<u8>()), 1..6);
        (changes, 0..good.len()).prop_map(move |(changes, cut)| {
            let mut bytes = good.clone();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            // Half of them are cut short as well.
            if cut % 2 == 0 {
                bytes.truncate(cut);
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_toml_gives_settings_or_an_error(bytes in damaged("standalone.toml")) {
            let text = String::from_utf8_lossy(&bytes);
            if let Err(error) = standalone::read(&text, "worker.toml") {
                prop_assert!(error.starts_with("worker.toml cannot be used"));
            }
        }

        #[test]
        fn any_properties_give_settings_or_an_error(bytes in damaged("connect-standalone.conf")) {
            if let Err(error) = java::read(&bytes, "worker.conf", None) {
                prop_assert!(error.starts_with("worker.conf cannot be used"));
            }
        }

        #[test]
        fn noise_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(standalone::read(&String::from_utf8_lossy(&bytes), "f"));
            drop(java::read(&bytes, "f", None));
        }

        #[test]
        fn escapes_are_harmless(text in "(\\\\|u|[0-9a-fx]|=|\n| |#){0,40}") {
            drop(java::read(text.as_bytes(), "f", None));
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        for (open, close) in [("[", "]"), ("{a=", "}")] {
            let text = format!("x = {}1{}", open.repeat(100_000), close.repeat(100_000));
            assert!(standalone::read(&text, "f").is_err());
        }
        let text = format!("[{}]", vec!["a"; 100_000].join("."));
        assert!(standalone::read(&text, "f").is_err());
    }
}
