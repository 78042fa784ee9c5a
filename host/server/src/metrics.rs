//! `GET /metrics`: what the worker, its tasks and their plugins do, as Prometheus reads it (the text
//! form of OpenMetrics). Everything is collected when it is asked for; nothing is kept here.
//!
//! Labels are names that were checked when a connector was made or a plugin loaded, numbers, and words
//! of our own. Must never carry a setting's value or a reason: those are without bounds, or secret.

use std::fmt;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State as Of;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use connect_runtime::{ConnectorInfo, PluginInfo, PluginUsage, State, TaskInfo, Worker};
use connect_sandbox::Role;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::error::Refusal;

const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const STATES: [State; 5] = [
    State::Unassigned,
    State::Running,
    State::Paused,
    State::Failed,
    State::Stopped,
];
const ROLES: [Role; 3] = [Role::Source, Role::Sink, Role::Transform];

/// Answers with everything there is; `begun` is when the worker was.
pub(crate) async fn show(Of(worker): Of<Worker>, begun: Instant) -> Response {
    let now = Snapshot {
        worker: worker.id().to_owned(),
        uptime: begun.elapsed(),
        connectors: worker.connectors(),
        plugins: worker.plugins(),
    };
    match now.text() {
        Ok(text) => {
            let mut response = Response::new(Body::from(text));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the metrics cannot be written: {error}"),
        )
        .into_response(),
    }
}

/// What there is to tell at one moment.
#[derive(Debug)]
struct Snapshot {
    worker: String,
    uptime: Duration,
    connectors: Vec<ConnectorInfo>,
    plugins: Vec<PluginInfo>,
}

impl Snapshot {
    fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }

    fn tasks(&self) -> impl Iterator<Item = Task<'_>> + Clone {
        self.connectors.iter().flat_map(|connector| {
            let tasks = connector.tasks.iter();
            tasks.map(|info| Task {
                connector: &connector.name,
                number: info.id.to_string(),
                info,
            })
        })
    }
}

#[derive(Clone)]
struct Task<'a> {
    connector: &'a str,
    number: String,
    info: &'a TaskInfo,
}

/// Labels of one figure.
type Labels = Vec<(&'static str, String)>;

impl Task<'_> {
    fn labels(&self) -> Labels {
        vec![
            ("connector", self.connector.to_owned()),
            ("task", self.number.clone()),
        ]
    }

    /// Labels of a plugin's figures, with one more where it has parts.
    fn of(&self, plugin: &PluginUsage, more: Option<(&'static str, &str)>) -> Labels {
        let mut labels = self.labels();
        labels.push(("plugin", plugin.plugin.clone()));
        labels.push(("role", plugin.role.to_string()));
        labels.extend(more.map(|(name, value)| (name, value.to_owned())));
        labels
    }
}

/// Writes family after family.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        (name, help): (&str, &str),
        rows: impl Iterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// The form adds `_total` to the name.
    fn counter<V: EncodeCounterValue>(
        &mut self,
        (name, help): (&str, &str),
        rows: impl Iterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in rows {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }
}

/// A figure of a task and what it means.
type OfTask = (&'static str, &'static str, fn(&TaskInfo) -> u64);
/// A figure of a plugin in a task and what it means.
type OfPlugin = (&'static str, &'static str, fn(&PluginUsage) -> u64);

const TASK_COUNTERS: [OfTask; 7] = [
    (
        "connect_task_records_in",
        "Records the task took on.",
        |task| task.usage.moved.records_in,
    ),
    (
        "connect_task_bytes_in",
        "Bytes of the records it took on.",
        |task| task.usage.moved.bytes_in,
    ),
    (
        "connect_task_batches",
        "Batches in which it took them on.",
        |task| task.usage.moved.batches,
    ),
    (
        "connect_task_records_out",
        "Records it is done with: confirmed by the broker, or durable in the sink.",
        |task| task.usage.moved.records_out,
    ),
    (
        "connect_task_bytes_out",
        "Bytes of the records it is done with.",
        |task| task.usage.moved.bytes_out,
    ),
    (
        "connect_task_restarts",
        "Starts of the task after its first.",
        |task| task.usage.starts.saturating_sub(1),
    ),
    (
        "connect_task_failures",
        "Times that the task failed.",
        |task| task.usage.failures,
    ),
];

const PLUGIN_COUNTERS: [OfPlugin; 8] = [
    ("connect_plugin_calls", "Calls into the plugin.", |plugin| {
        plugin.used.calls
    }),
    (
        "connect_plugin_instances",
        "Instances made of it.",
        |plugin| plugin.used.instances,
    ),
    ("connect_plugin_log_lines", "Lines it logged.", |plugin| {
        plugin.used.log_lines
    }),
    (
        "connect_plugin_log_bytes",
        "Bytes of those lines.",
        |plugin| plugin.used.log_bytes,
    ),
    (
        "connect_plugin_log_lines_dropped",
        "Lines of it that were dropped by a limit.",
        |plugin| plugin.used.log_lines_dropped,
    ),
    (
        "connect_plugin_log_bytes_dropped",
        "Bytes of the dropped lines.",
        |plugin| plugin.used.log_bytes_dropped,
    ),
    (
        "connect_plugin_connections",
        "Connections it made.",
        |plugin| plugin.used.connections,
    ),
    (
        "connect_plugin_refused",
        "Times that it was refused access for want of a grant.",
        |plugin| plugin.used.refused,
    ),
];

const PLUGIN_GAUGES: [OfPlugin; 3] = [
    (
        "connect_plugin_memory_bytes",
        "Its linear memory.",
        |plugin| plugin.used.memory_bytes,
    ),
    (
        "connect_plugin_memory_peak_bytes",
        "The most linear memory one of its instances had.",
        |plugin| plugin.used.memory_peak_bytes,
    ),
    (
        "connect_plugin_open_files",
        "Files it has open.",
        |plugin| plugin.used.open_files,
    ),
];

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        self.worker(&mut out)?;
        for (name, help, figure) in TASK_COUNTERS {
            let rows = self.tasks().map(|task| (task.labels(), figure(task.info)));
            out.counter((name, help), rows)?;
        }
        out.gauge(
            (
                "connect_task_in_flight_records",
                "Records it took on and is not done with.",
            ),
            self.tasks()
                .map(|task| (task.labels(), task.info.usage.moved.in_flight_records)),
        )?;
        self.plugins(&mut out)
    }
}

impl Snapshot {
    fn worker(&self, out: &mut Writer<'_>) -> fmt::Result {
        let about = vec![
            ("id", self.worker.clone()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        out.gauge(
            ("connect_worker", "The worker's name and version."),
            [(about, 1_u64)].into_iter(),
        )?;
        out.gauge(
            (
                "connect_worker_uptime_seconds",
                "How long it has been running.",
            ),
            [(Labels::new(), self.uptime.as_secs_f64())].into_iter(),
        )?;
        let by_state = |states: Vec<State>| {
            STATES.into_iter().map(move |state| {
                let count = states.iter().filter(|it| **it == state).count();
                (vec![("state", state.as_str().to_owned())], count as u64)
            })
        };
        out.gauge(
            ("connect_connectors", "Connectors by state."),
            by_state(self.connectors.iter().map(|it| it.state).collect()),
        )?;
        out.gauge(
            ("connect_tasks", "Tasks by state."),
            by_state(self.tasks().map(|it| it.info.state).collect()),
        )?;
        let by_role = ROLES.into_iter().map(|role| {
            let count = self.plugins.iter().filter(|it| it.role == role).count();
            (vec![("role", role.to_string())], count as u64)
        });
        out.gauge(("connect_plugins", "Plugins by role."), by_role)
    }

    fn plugins(&self, out: &mut Writer<'_>) -> fmt::Result {
        let each = || {
            self.tasks().flat_map(|task| {
                let plugins = task.info.usage.plugins.iter();
                plugins.map(move |plugin| (task.clone(), plugin))
            })
        };
        for (name, help, figure) in PLUGIN_COUNTERS {
            let rows = each().map(|(task, plugin)| (task.of(plugin, None), figure(plugin)));
            out.counter((name, help), rows)?;
        }
        out.counter(
            (
                "connect_plugin_cpu_seconds",
                "Time on a thread for guests, in calls into the plugin.",
            ),
            each().map(|(task, plugin)| (task.of(plugin, None), plugin.used.cpu.as_secs_f64())),
        )?;
        out.counter(
            (
                "connect_plugin_held_seconds",
                "Time in which the plugin was held back, being over its share of a core.",
            ),
            each().map(|(task, plugin)| (task.of(plugin, None), plugin.used.held.as_secs_f64())),
        )?;
        for (name, help, figure) in PLUGIN_GAUGES {
            let rows = each().map(|(task, plugin)| (task.of(plugin, None), figure(plugin)));
            out.gauge((name, help), rows)?;
        }
        // A limit that was never reached shows as well, so that the first time is a step.
        let breaches = each().flat_map(|(task, plugin)| {
            let limits = plugin.limits.iter();
            limits.map(move |(limit, _)| {
                let mut known = plugin.used.breaches.iter();
                let count = known
                    .find(|(of, _)| of == limit)
                    .map_or(0, |(_, count)| *count);
                (task.of(plugin, Some(("limit", limit.key()))), count)
            })
        });
        out.counter(
            ("connect_plugin_breaches", "Times that a limit was reached."),
            breaches,
        )?;
        let limits = each().flat_map(|(task, plugin)| {
            let limits = plugin.limits.iter();
            limits
                .map(move |(limit, value)| (task.of(plugin, Some(("limit", limit.key()))), *value))
        });
        out.gauge(
            (
                "connect_plugin_limit",
                "The limits in force, in the units of their keys.",
            ),
            limits,
        )?;
        self.questions(out)
    }

    /// What plugins use outside tasks: for their needs, the check of settings, the plan.
    fn questions(&self, out: &mut Writer<'_>) -> fmt::Result {
        let of = |plugin: &PluginInfo| {
            vec![
                ("plugin", plugin.name.clone()),
                ("version", plugin.version.clone()),
            ]
        };
        let each = || self.plugins.iter();
        out.counter(
            (
                "connect_plugin_questions",
                "Calls into the plugin outside tasks, about its needs and settings.",
            ),
            each().map(|plugin| (of(plugin), plugin.asked.calls)),
        )?;
        out.counter(
            (
                "connect_plugin_question_cpu_seconds",
                "Time on a thread for guests in those calls.",
            ),
            each().map(|plugin| (of(plugin), plugin.asked.cpu.as_secs_f64())),
        )?;
        let breaches = each().flat_map(|plugin| {
            let breaches = plugin.asked.breaches.iter();
            breaches.map(move |(limit, count)| {
                let mut labels = of(plugin);
                labels.push(("limit", limit.key().to_owned()));
                (labels, *count)
            })
        });
        out.counter(
            (
                "connect_plugin_question_breaches",
                "Times that a limit was reached in those calls.",
            ),
            breaches,
        )
    }
}

#[cfg(test)]
mod tests;
