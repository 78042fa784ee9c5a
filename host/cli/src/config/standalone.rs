//! The worker's own configuration format: TOML, every key typed and bounded.
//!
//! `conf/standalone.toml` explains each key to people; a test holds the two together.

use super::grants;
use super::limits;
use super::section::{Document, Section};
use super::settings::{
    BROKER_PORT, BrokerSettings, Embedded, NAMESRV_PORT, ReloadSettings, Remote, Settings,
    check_id, check_namesrv,
};
use connect_runtime::{ConverterDefault, Restart, Tuning};
use std::net::SocketAddr;
use std::path::PathBuf;

/// An hour: beyond it a time in milliseconds is a slip of the pen.
const HOUR: u64 = 3_600_000;
/// A day, for times that may be long.
const DAY: u64 = 24 * HOUR;

/// Reads the text of a file.
///
/// # Errors
/// Everything that is wrong with it, as one text that names `file`.
pub(crate) fn read(text: &str, file: &str) -> Result<Settings, String> {
    let document = Document::parse(text);
    // What could be read around a slip in the syntax would only add to the confusion.
    if let Some(problems) = document.report.text(file) {
        return Err(problems);
    }
    let mut root = document.root();
    let mut settings = Settings::default();
    worker(root.section("worker"), &mut settings);
    rest(root.section("rest"), &mut settings);
    settings.broker = broker(root.section("broker"));
    converters(root.section("converter"), &mut settings);
    settings.limits = limits::read(root.section("limits"));
    settings.tuning = delivery(root.section("delivery"));
    settings.restart = restart(root.section("restart"));
    settings.reload = reload(root.section("reload"));
    settings.grants = root
        .sections("grant")
        .into_iter()
        .filter_map(grants::table)
        .collect();
    root.finish();
    match document.report.text(file) {
        None => Ok(settings),
        Some(problems) => Err(problems),
    }
}

fn worker(mut section: Section<'_, '_>, settings: &mut Settings) {
    if let Some(id) = section.text("id") {
        match check_id(&id) {
            Ok(()) => settings.id = id,
            Err(why) => section.reject("id", why),
        }
    }
    set(
        &mut settings.directory,
        section.filled("directory").map(PathBuf::from),
    );
    settings.code_cache = section.filled("code-cache").map(PathBuf::from);
    set(&mut settings.plugins, section.texts("plugins").map(paths));
    set(
        &mut settings.shutdown_deadline,
        section.milliseconds("shutdown-deadline-ms", 0..=HOUR),
    );
    set(
        &mut settings.plugin_bytes,
        section.number("plugin-bytes", 1..=1_u64 << 30),
    );
    if let Some(cpu) = section.milliseconds("compile-ms", 1..=HOUR) {
        settings.compiler = settings.compiler.clone().within(cpu);
    }
    set(
        &mut settings.compiler.memory_bytes,
        section.number("compile-memory-bytes", 256 << 20..=1_u64 << 40),
    );
    section.finish();
}

fn rest(mut section: Section<'_, '_>, settings: &mut Settings) {
    let insecure = section.flag("insecure").unwrap_or(false);
    if let Some(text) = section.text("listen") {
        match text.parse::<SocketAddr>() {
            Ok(listen) if listen.ip().is_loopback() || insecure => settings.rest.listen = listen,
            Ok(listen) => section.reject("listen", open_address(listen)),
            Err(_) => section.reject(
                "listen",
                format!("`{text}` is no address and port, such as 127.0.0.1:8082"),
            ),
        }
    }
    set(&mut settings.rest.hosts, section.texts("hosts"));
    section.finish();
}

fn open_address(listen: SocketAddr) -> String {
    format!(
        "{listen} can be reached from other machines, and REST has no authentication: whoever \
         reaches it rules the worker; listen on 127.0.0.1, or add `insecure = true` under [rest] \
         where something else guards the port"
    )
}

fn broker(mut section: Section<'_, '_>) -> BrokerSettings {
    let remote = [
        "namesrv",
        "cluster",
        "access-key",
        "secret-key",
        "request-timeout-ms",
    ];
    let also = remote.iter().find(|key| section.has(key)).copied();
    let mut settings = Remote::default();
    if let Some(namesrv) = section.text("namesrv") {
        match check_namesrv(&namesrv) {
            Ok(()) => settings.namesrv = namesrv,
            Err(why) => section.reject("namesrv", why),
        }
    }
    settings.cluster = section.filled("cluster");
    settings.access_key = section.filled("access-key");
    settings.secret_key = section.filled("secret-key");
    for (key, other) in [("access-key", "secret-key"), ("secret-key", "access-key")] {
        if section.has(key) && !section.has(other) {
            section.reject(other, format!("is missing, but there is a `{key}`"));
        }
    }
    set(
        &mut settings.request_timeout,
        section.milliseconds("request-timeout-ms", 100..=HOUR),
    );
    let below = section.section("embedded");
    let embedded = below.is_present().then(|| embedded(below));
    if let (Some(_), Some(key)) = (&embedded, also) {
        section.reject(
            key,
            "has no place beside [broker.embedded]: it is one or the other",
        );
    }
    section.finish();
    match embedded {
        Some(embedded) => BrokerSettings::Embedded(embedded),
        None => BrokerSettings::Remote(settings),
    }
}

fn embedded(mut section: Section<'_, '_>) -> Embedded {
    let settings = Embedded {
        directory: section
            .filled("directory")
            .map_or_else(|| "data/broker".into(), PathBuf::from),
        namesrv_port: section
            .number("namesrv-port", 1..=u16::MAX)
            .unwrap_or(NAMESRV_PORT),
        broker_port: section
            .number("broker-port", 1..=u16::MAX)
            .unwrap_or(BROKER_PORT),
    };
    section.finish();
    settings
}

fn converters(mut section: Section<'_, '_>, settings: &mut Settings) {
    set(
        &mut settings.key_converter,
        converter(&mut section, "key", true),
    );
    set(
        &mut settings.value_converter,
        converter(&mut section, "value", false),
    );
    section.finish();
}

/// A name, or a table with `class` and the converter's own settings.
fn converter(
    section: &mut Section<'_, '_>,
    key: &'static str,
    is_key: bool,
) -> Option<ConverterDefault> {
    let default = match section.is_text(key) {
        true => ConverterDefault {
            class: section.text(key)?,
            settings: Default::default(),
        },
        false => {
            let mut below = section.section(key);
            if !below.is_present() {
                return None;
            }
            let Some(class) = below.text("class") else {
                if !below.has("class") {
                    below.reject(
                        "class",
                        "is missing: the converter's name, such as \"json\"",
                    );
                }
                return None;
            };
            ConverterDefault {
                class,
                settings: below.rest(),
            }
        }
    };
    match connect_convert::converter(&default.class, &default.settings, is_key) {
        Ok(_) => Some(default),
        Err(error) => {
            section.reject(key, error);
            None
        }
    }
}

fn delivery(mut section: Section<'_, '_>) -> Tuning {
    let mut tuning = Tuning::default();
    let table = &mut section;
    set(
        &mut tuning.batch_records,
        table.number("batch-records", 1..=4_096_u32),
    );
    set(
        &mut tuning.batch_bytes,
        table.number("batch-bytes", 1..=8_u32 << 20),
    );
    set(
        &mut tuning.poll_wait,
        table.milliseconds("poll-wait-ms", 0..=HOUR),
    );
    set(
        &mut tuning.flush_records,
        table.number("flush-records", 1..=u64::MAX),
    );
    set(
        &mut tuning.flush_interval,
        table.milliseconds("flush-interval-ms", 1..=DAY),
    );
    set(
        &mut tuning.pull_messages,
        table.number("pull-messages", 1..=1_024_u32),
    );
    set(
        &mut tuning.pull_wait,
        table.milliseconds("pull-wait-ms", 1..=15_000),
    );
    set(
        &mut tuning.queue_refresh,
        table.milliseconds("queue-refresh-ms", 100..=DAY),
    );
    set(
        &mut tuning.topic_queues,
        table.number("topic-queues", 1..=1_024_u32),
    );
    set(&mut tuning.drain, table.milliseconds("drain-ms", 0..=HOUR));
    section.finish();
    tuning
}

fn reload(mut section: Section<'_, '_>) -> ReloadSettings {
    let mut reload = ReloadSettings::default();
    set(&mut reload.watch, section.flag("watch"));
    set(&mut reload.upload, section.flag("upload"));
    set(
        &mut reload.trial.confirm_batches,
        section.number("confirm-batches", 1..=1_000_000_u32),
    );
    set(
        &mut reload.trial.confirm_after,
        section.milliseconds("confirm-after-ms", 0..=DAY),
    );
    section.finish();
    reload
}

fn restart(mut section: Section<'_, '_>) -> Restart {
    let mut restart = Restart::default();
    set(
        &mut restart.first,
        section.milliseconds("first-ms", 1..=DAY),
    );
    set(
        &mut restart.longest,
        section.milliseconds("longest-ms", 1..=DAY),
    );
    set(
        &mut restart.healthy,
        section.milliseconds("healthy-ms", 1..=DAY),
    );
    set(
        &mut restart.attempts,
        section.number("attempts", 0..=u32::MAX),
    );
    if restart.longest < restart.first {
        section.reject("longest-ms", "must not be less than `first-ms`");
    }
    section.finish();
    restart
}

fn paths(texts: Vec<String>) -> Vec<PathBuf> {
    texts.into_iter().map(PathBuf::from).collect()
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
