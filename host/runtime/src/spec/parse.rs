//! From a configuration as someone wrote it to a [`Spec`], or to the list of all that is wrong.

mod known;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use connect_convert::{Converter, converter};
use connect_plugins::{Catalogue, ResolveError};
use connect_sandbox::{OptionKind, Plugin, Role};

use super::keys;
use super::rocketmq_names::{bad_group, bad_topic, group_of};
use super::{Flow, OffsetLost, QueueBy, Sizes, Spec, StartAt, options};
use crate::error::story;
use crate::settings::ConverterDefault;

/// What a connector takes from the worker where it says nothing itself.
pub(crate) struct Defaults<'a> {
    pub(crate) key: &'a ConverterDefault,
    pub(crate) value: &'a ConverterDefault,
}

/// The plugins to choose from, and which of several versions is wanted where a class names none.
pub(crate) struct Choice<'a> {
    pub(crate) catalogue: &'a Catalogue,
    /// Digests that are taken before any other.
    pub(crate) prefer: &'a [String],
    /// Versions that are taken only where there is no other.
    pub(crate) avoid: &'a dyn Fn(&Plugin) -> bool,
}

impl Choice<'_> {
    fn resolve(&self, class: &str) -> Result<Plugin, ResolveError> {
        let preferred = |plugin: &Plugin| self.prefer.iter().any(|it| it == plugin.digest());
        match self.catalogue.resolve_among(class, preferred) {
            Ok(plugin) if preferred(&plugin) => Ok(plugin),
            _ => self
                .catalogue
                .resolve_among(class, |plugin| !(self.avoid)(plugin)),
        }
    }
}

/// The configuration being read, with the problems found on the way.
struct Reader<'a> {
    config: &'a BTreeMap<String, String>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

/// Understands `config`.
///
/// # Errors
/// Every problem that was found, each naming its key and what would be right.
pub(crate) fn parse(
    name: &str,
    config: &BTreeMap<String, String>,
    choice: &Choice<'_>,
    defaults: &Defaults<'_>,
) -> Result<Spec, Vec<String>> {
    let mut reader = Reader {
        config,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let direct = reader.boolean("connector.direct.enable");
    let Some(class) = reader
        .text("connector.class")
        .filter(|class| !class.is_empty())
    else {
        return Err(vec!["Request config key: connector.class".into()]);
    };
    let plugin = choice
        .resolve(class)
        .map_err(|error| vec![error.to_string()])?;
    let java = class != plugin.description().name && class.contains('.') && !class.contains('@');

    let sink_plugin = if direct {
        reader.direct_sink(choice)
    } else {
        None
    };
    reader.check_keys(&plugin, sink_plugin.as_ref(), direct, java);
    let mut secrets = BTreeSet::new();
    let source_prefix = direct.then_some("source.");
    let settings = reader.plugin_settings(&plugin, source_prefix, &mut secrets);
    let key_converter = reader.converter("key.converter", defaults.key, true);
    let value_converter = reader.converter("value.converter", defaults.value, false);
    let flow = reader.flow(&plugin, direct, sink_plugin, &mut secrets);
    let max_tasks = reader.number("max.tasks", 1, 1..=1_000).unwrap_or(1);
    let sizes = reader.sizes();
    let skip_bad_records = match reader
        .text("errors.tolerance")
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("none") => false,
        Some("all") => true,
        Some(_) => {
            reader.mistyped("errors.tolerance", "`none` or `all`");
            false
        }
    };
    let group = reader
        .text("task.group.id")
        .map_or_else(|| group_of(name), str::to_owned);
    let sink = matches!(flow, Some(Flow::Sink { .. }));
    if let Some(problem) = bad_group(&group).filter(|_| sink) {
        reader.problems.push(format!("`task.group.id`: {problem}"));
    }

    let (Some(flow), Some(key_converter), Some(value_converter)) =
        (flow, key_converter, value_converter)
    else {
        return Err(reader.problems);
    };
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    Ok(Spec {
        name: Arc::from(name),
        config: config.clone(),
        secrets,
        plugin,
        settings,
        max_tasks,
        flow,
        key_converter,
        value_converter,
        group,
        skip_bad_records,
        sizes,
        warnings: reader.warnings,
    })
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(|text| text.trim())
    }

    fn mistyped(&mut self, key: &str, expected: &str) {
        let found = self.config.get(key).cloned().unwrap_or_default();
        self.problems
            .push(format!("`{key}` is `{found}`; expected {expected}"));
    }

    fn boolean(&mut self, key: &str) -> bool {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.mistyped(key, "`true` or `false`");
                false
            }
        }
    }

    fn number(
        &mut self,
        key: &str,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let Some(text) = self.text(key) else {
            return Some(default);
        };
        match text.parse::<u32>() {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                self.mistyped(
                    key,
                    &format!("a whole number from {} to {}", range.start(), range.end()),
                );
                None
            }
        }
    }

    fn sizes(&mut self) -> Sizes {
        let mut sizes = Sizes::default();
        if self.config.contains_key("batch.records") {
            sizes.batch_records = self.number("batch.records", 1, 1..=4_096);
        }
        if let Some(text) = self.text("batch.bytes") {
            match options::size(text).and_then(|size| u32::try_from(size).ok()) {
                Some(size) if (1_024..=8 << 20).contains(&size) => sizes.batch_bytes = Some(size),
                _ => self.mistyped("batch.bytes", "a size from 1KiB to 8MiB"),
            }
        }
        if self.config.contains_key("flush.records") {
            sizes.flush_records = self.number("flush.records", 1, 1..=u32::MAX).map(u64::from);
        }
        if let Some(text) = self.text("flush.interval.ms") {
            match options::duration(text) {
                Some(interval) if interval > 0 => {
                    sizes.flush_interval = Some(Duration::from_millis(interval))
                }
                _ => self.mistyped("flush.interval.ms", "milliseconds above 0"),
            }
        }
        sizes
    }

    fn plugin_settings(
        &mut self,
        plugin: &Plugin,
        prefix: Option<&str>,
        secrets: &mut BTreeSet<String>,
    ) -> Vec<(String, String)> {
        let mut settings = BTreeMap::new();
        for option in &plugin.description().options {
            let mut given = false;
            for (key, text) in self.config {
                let bare = prefix.and_then(|prefix| key.strip_prefix(prefix));
                let wanted = bare.unwrap_or(key);
                if !keys::covers(&option.key, wanted) {
                    continue;
                }
                given = true;
                if option.kind == OptionKind::Secret {
                    secrets.insert(key.clone());
                }
                match options::normalise(option, key, text) {
                    // a prefixed key speaks for this side alone and wins over the common one
                    Ok(value) if bare.is_some() || !settings.contains_key(wanted) => {
                        settings.insert(wanted.to_owned(), value);
                    }
                    Ok(_) => {}
                    Err(problem) => self.problems.push(problem),
                }
            }
            if given {
                continue;
            }
            match &option.default {
                Some(default) => match options::normalise(option, &option.key, default) {
                    Ok(value) => {
                        settings.insert(option.key.clone(), value);
                    }
                    Err(problem) => self
                        .problems
                        .push(format!("the plugin's own default: {problem}")),
                },
                None if option.required => {
                    self.problems
                        .push(format!("`{}` is required: {}", option.key, option.doc));
                }
                None => {}
            }
        }
        settings.into_iter().collect()
    }

    fn converter(
        &mut self,
        key: &str,
        default: &ConverterDefault,
        is_key: bool,
    ) -> Option<Arc<dyn Converter>> {
        let prefix = format!("{key}.");
        let class = self.config.get(key).unwrap_or(&default.class).clone();
        self.check_converter_keys(key, class.trim());
        let own = self.config.iter().filter_map(|(name, value)| {
            name.strip_prefix(&prefix)
                .map(|bare| (bare.to_owned(), value.clone()))
        });
        let made = match self.config.get(key) {
            Some(class) => converter(class.trim(), &own.collect(), is_key),
            None => {
                let mut settings = default.settings.clone();
                settings.extend(own);
                converter(&default.class, &settings, is_key)
            }
        };
        made.map_err(|error| self.problems.push(format!("`{key}`: {}", story(&error))))
            .ok()
    }

    fn direct_sink(&mut self, choice: &Choice<'_>) -> Option<Plugin> {
        let Some(class) = self.config.get("sink.task.class") else {
            self.problems
                .push("`sink.task.class` is required with connector.direct.enable".into());
            return None;
        };
        // Java names the task's class; the plugin goes by the connector's.
        let connector = class
            .trim()
            .strip_suffix("Task")
            .map(|stem| format!("{stem}Connector"));
        let found = choice
            .resolve(class.trim())
            .or_else(|error| match &connector {
                Some(connector) => choice.resolve(connector).map_err(|_| error),
                None => Err(error),
            });
        match found {
            Ok(plugin) if plugin.role() == Role::Sink => Some(plugin),
            Ok(plugin) => {
                let name = &plugin.description().name;
                self.problems
                    .push(format!("`sink.task.class`: `{name}` is not a sink"));
                None
            }
            Err(error) => {
                self.problems.push(format!("`sink.task.class`: {error}"));
                None
            }
        }
    }

    fn flow(
        &mut self,
        plugin: &Plugin,
        direct: bool,
        sink: Option<Plugin>,
        secrets: &mut BTreeSet<String>,
    ) -> Option<Flow> {
        let topic = self
            .text("connect.topicname")
            .filter(|topic| !topic.is_empty())
            .map(str::to_owned);
        // a sink may have a list in this key, and checks its topics itself
        if plugin.role() == Role::Source
            && let Some(problem) = topic.as_deref().and_then(bad_topic)
        {
            self.problems
                .push(format!("`connect.topicname`: {problem}"));
        }
        match (plugin.role(), direct) {
            (Role::Source, true) => {
                let sink = sink?;
                let sink_settings = self.plugin_settings(&sink, Some("sink."), secrets);
                Some(Flow::Direct {
                    sink,
                    sink_settings,
                    topic,
                })
            }
            (Role::Source, false) => {
                // a plugin that knows this key names no topic of its own
                let options = &plugin.description().options;
                if topic.is_none()
                    && options
                        .iter()
                        .any(|option| option.key == "connect.topicname")
                {
                    self.problems
                        .push("`connect.topicname` is required: the topic to write to".into());
                }
                let queue_by = match self.text("queue.by") {
                    None | Some("key") => QueueBy::Key,
                    Some("partition") => QueueBy::Partition,
                    Some("round-robin") => QueueBy::RoundRobin,
                    Some(_) => {
                        self.mistyped("queue.by", "`key`, `partition` or `round-robin`");
                        return None;
                    }
                };
                Some(Flow::Source { topic, queue_by })
            }
            (Role::Sink, false) => self.sink_flow(),
            (role, _) => {
                let name = &plugin.description().name;
                let wanted = if direct {
                    "a source with connector.direct.enable"
                } else {
                    "a source or a sink"
                };
                self.problems.push(format!(
                    "`connector.class`: `{name}` is a {role}; expected {wanted}"
                ));
                None
            }
        }
    }

    fn sink_flow(&mut self) -> Option<Flow> {
        let listed = self
            .text("connect.topicnames")
            .or_else(|| self.text("connect.topicname"));
        let mut topics: Vec<String> = Vec::new();
        for topic in listed
            .unwrap_or_default()
            .split([';', ','])
            .map(str::trim)
            .filter(|topic| !topic.is_empty())
        {
            if !topics.iter().any(|known| known == topic) {
                topics.push(topic.to_owned());
            }
        }
        if topics.is_empty() {
            self.problems
                .push("Config connect.topicnames cannot be empty".into());
            return None;
        }
        for topic in &topics {
            if let Some(problem) = bad_topic(topic) {
                self.problems
                    .push(format!("`connect.topicnames`: {problem}"));
            }
        }
        let start = match self.text("consume.from.where") {
            None | Some("CONSUME_FROM_FIRST_OFFSET" | "earliest") => StartAt::Earliest,
            Some("CONSUME_FROM_LAST_OFFSET" | "latest") => StartAt::Latest,
            Some("CONSUME_FROM_TIMESTAMP" | "timestamp") => {
                match self.text("consume.from.timestamp").map(str::parse::<u64>) {
                    Some(Ok(at)) => StartAt::Time(at),
                    _ => {
                        self.mistyped("consume.from.timestamp", "milliseconds since the epoch");
                        return None;
                    }
                }
            }
            Some(_) => {
                self.mistyped(
                    "consume.from.where",
                    "`CONSUME_FROM_FIRST_OFFSET`, `CONSUME_FROM_LAST_OFFSET` or `CONSUME_FROM_TIMESTAMP`",
                );
                return None;
            }
        };
        let offset_lost = match self.text("offset.lost") {
            None | Some("fail") => OffsetLost::Fail,
            Some("earliest") => OffsetLost::Earliest,
            Some(_) => {
                self.mistyped("offset.lost", "`fail` or `earliest`");
                return None;
            }
        };
        Some(Flow::Sink {
            topics,
            start,
            offset_lost,
        })
    }
}
