//! The JSON of connectors, tasks and plugins, field for field as the Java project writes it.
//!
//! Only shapes: built from what the worker says of itself, with the secrets already replaced there.
//! Must never ask anything of the worker.

use std::collections::BTreeMap;

use connect_runtime::{ConnectorInfo, PluginInfo, State, TaskInfo};
use connect_sandbox::Role;
use serde::Serialize;

use crate::swaps;
use crate::usage::{Usage, usage};

/// An entry of `/connectors/list`.
#[derive(Serialize)]
pub(crate) struct Listed<'a> {
    status: Status<'a>,
    info: Info<'a>,
}

/// `/connectors/{name}/status`.
#[derive(Serialize)]
pub(crate) struct Status<'a> {
    name: &'a str,
    connector: ConnectorStatus<'a>,
    tasks: Vec<TaskStatus<'a>>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    /// What its plugins are, beside what the Java project writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<swaps::InUse<'a>>,
    #[serde(rename = "pluginChange", skip_serializing_if = "Option::is_none")]
    change: Option<swaps::Change<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectorStatus<'a> {
    state: &'static str,
    trace: Option<&'a str>,
    worker_id: &'a str,
}

/// `/connectors/{name}/tasks/{task}/status`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskStatus<'a> {
    state: &'static str,
    trace: Option<&'a str>,
    worker_id: &'a str,
    id: u32,
    /// Not of the Java project, whose clients pass over what they do not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage<'a>>,
}

/// `/connectors/{name}/config`.
#[derive(Serialize)]
pub(crate) struct Info<'a> {
    name: &'a str,
    config: &'a BTreeMap<String, String>,
    tasks: Vec<TaskId<'a>>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct TaskId<'a> {
    connector: &'a str,
    task: u32,
}

/// An entry of `/connectors/{name}/tasks`.
#[derive(Serialize)]
pub(crate) struct Task<'a> {
    id: TaskId<'a>,
    config: &'a BTreeMap<String, String>,
}

/// `/allocated/tasks`: tasks by how far they are.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Allocated<'a> {
    pending_tasks: Vec<AllocatedTask<'a>>,
    running_tasks: Vec<AllocatedTask<'a>>,
    stopping_tasks: Vec<AllocatedTask<'a>>,
    stopped_tasks: Vec<AllocatedTask<'a>>,
    error_tasks: Vec<AllocatedTask<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllocatedTask<'a> {
    connector_name: &'a str,
    config: &'a BTreeMap<String, String>,
    task_state: &'static str,
}

/// An entry of `/plugin/list`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plugin<'a> {
    pub(crate) class_name: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) version: &'a str,
    /// What follows is beside what the Java project writes; converters do not have it.
    #[serde(flatten)]
    pub(crate) more: Option<PluginMore<'a>>,
}

/// What a plugin has that a converter has not.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PluginMore<'a> {
    name: &'a str,
    digest: &'a str,
    /// Milliseconds since the epoch.
    since: u64,
    /// Tasks that run it.
    tasks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined: Option<&'a str>,
}

/// Everything about one connector.
pub(crate) fn listed(info: &ConnectorInfo) -> Listed<'_> {
    let mut status = status(info);
    for task in &mut status.tasks {
        task.usage = None;
    }
    Listed {
        status,
        info: self::info(info),
    }
}

/// How a connector and its tasks are.
pub(crate) fn status(info: &ConnectorInfo) -> Status<'_> {
    Status {
        name: &info.name,
        connector: ConnectorStatus {
            state: state(info.state),
            trace: info.reason.as_deref(),
            worker_id: &info.worker_id,
        },
        tasks: info
            .tasks
            .iter()
            .map(|task| task_status(info, task))
            .collect(),
        kind: kind(info.role),
        warnings: &info.warnings,
        plugins: swaps::in_use(&info.plugins),
        change: info.change.as_ref().map(swaps::change),
    }
}

/// How one task is.
pub(crate) fn task_status<'a>(info: &'a ConnectorInfo, task: &'a TaskInfo) -> TaskStatus<'a> {
    TaskStatus {
        state: state(task.state),
        trace: task.reason.as_deref(),
        worker_id: &info.worker_id,
        id: task.id,
        usage: usage(&task.usage),
    }
}

/// What a connector was told to do.
pub(crate) fn info(info: &ConnectorInfo) -> Info<'_> {
    Info {
        name: &info.name,
        config: &info.config,
        tasks: info
            .tasks
            .iter()
            .map(|task| TaskId {
                connector: &info.name,
                task: task.id,
            })
            .collect(),
        kind: kind(info.role),
    }
}

/// What a connector's tasks were told to do.
pub(crate) fn tasks(info: &ConnectorInfo) -> Vec<Task<'_>> {
    let task = |task: &'_ TaskInfo| TaskId {
        connector: &info.name,
        task: task.id,
    };
    info.tasks
        .iter()
        .map(|it| Task {
            id: task(it),
            config: &it.config,
        })
        .collect()
}

/// All tasks of all connectors, sorted by how far they are.
pub(crate) fn allocated(infos: &[ConnectorInfo]) -> Allocated<'_> {
    let mut allocated = Allocated::default();
    for info in infos {
        for task in &info.tasks {
            let (list, task_state) = match task.state {
                State::Unassigned => (&mut allocated.pending_tasks, "PENDING"),
                // the Java project has no task state for paused: such a task runs and waits
                State::Running | State::Paused => (&mut allocated.running_tasks, "RUNNING"),
                State::Failed => (&mut allocated.error_tasks, "ERROR"),
                State::Stopped => (&mut allocated.stopping_tasks, "STOPPING"),
            };
            list.push(AllocatedTask {
                connector_name: &info.name,
                config: &task.config,
                task_state,
            });
        }
    }
    allocated
}

/// A plugin as `/plugin/list` shows it.
pub(crate) fn plugin(info: &PluginInfo) -> Plugin<'_> {
    Plugin {
        class_name: &info.class,
        kind: kind(Some(info.role)),
        version: &info.version,
        more: Some(PluginMore {
            name: &info.name,
            digest: &info.digest,
            since: info.since,
            tasks: info.tasks,
            quarantined: info.quarantined.as_deref(),
        }),
    }
}

/// `STOPPED` is no word of the Java project, whose clients map these to an enumeration.
fn state(state: State) -> &'static str {
    match state {
        State::Stopped => State::Unassigned.as_str(),
        other => other.as_str(),
    }
}

fn kind(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Source) => "SOURCE",
        Some(Role::Sink) => "SINK",
        Some(Role::Transform) => "TRANSFORMATION",
        None => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector() -> ConnectorInfo {
        let config = BTreeMap::from([
            (
                "connector.class".to_owned(),
                "org.apache.rocketmq.connect.file.FileSinkConnector".to_owned(),
            ),
            ("filename".to_owned(), "out.txt".to_owned()),
        ]);
        ConnectorInfo {
            name: "fileSink".into(),
            role: Some(Role::Sink),
            config: config.clone(),
            state: State::Running,
            reason: None,
            warnings: Vec::new(),
            worker_id: "standalone-worker".into(),
            tasks: vec![TaskInfo {
                id: 0,
                state: State::Failed,
                reason: Some("disk full".into()),
                config,
                usage: connect_runtime::TaskUsage::default(),
            }],
            plugins: Vec::new(),
            change: None,
            history: Vec::new(),
        }
    }

    fn json(value: impl Serialize) -> String {
        serde_json::to_string(&value).unwrap()
    }

    const CONFIG: &str = r#"{"connector.class":"org.apache.rocketmq.connect.file.FileSinkConnector","filename":"out.txt"}"#;
    const STATUS: &str = concat!(
        r#"{"name":"fileSink","connector":{"state":"RUNNING","trace":null,"workerId":"standalone-worker"},"#,
        r#""tasks":[{"state":"FAILED","trace":"disk full","workerId":"standalone-worker","id":0}],"type":"SINK"}"#,
    );

    #[test]
    fn a_connector_is_listed_with_status_and_info() {
        let info = format!(
            r#"{{"name":"fileSink","config":{CONFIG},"tasks":[{{"connector":"fileSink","task":0}}],"type":"SINK"}}"#
        );
        assert_eq!(
            json(listed(&connector())),
            format!(r#"{{"status":{STATUS},"info":{info}}}"#)
        );
    }

    #[test]
    fn tasks_carry_id_and_config() {
        assert_eq!(
            json(tasks(&connector())),
            format!(r#"[{{"id":{{"connector":"fileSink","task":0}},"config":{CONFIG}}}]"#)
        );
    }

    #[test]
    fn warnings_show_in_the_status() {
        let mut info = connector();
        info.warnings.push("`batch.size` has no effect".into());
        assert!(
            json(status(&info))
                .ends_with(r#""type":"SINK","warnings":["`batch.size` has no effect"]}"#)
        );
    }

    #[test]
    fn only_words_of_the_java_project_are_used() {
        let mut info = connector();
        info.state = State::Stopped;
        info.role = None;
        let text = json(status(&info));
        assert!(
            text.contains(r#""connector":{"state":"UNASSIGNED""#),
            "{text}"
        );
        assert!(text.ends_with(r#""type":"UNKNOWN"}"#), "{text}");
    }

    #[test]
    fn allocated_tasks_stand_in_the_list_of_their_state() {
        let infos = [connector()];
        assert_eq!(
            json(allocated(&infos)),
            format!(
                r#"{{"pendingTasks":[],"runningTasks":[],"stoppingTasks":[],"stoppedTasks":[],"errorTasks":[{{"connectorName":"fileSink","config":{CONFIG},"taskState":"ERROR"}}]}}"#
            )
        );
    }

    #[test]
    fn a_plugin_has_the_fields_of_the_java_project_first() {
        let info = PluginInfo {
            name: "file-sink".into(),
            version: "0.1.0".into(),
            class: "org.apache.rocketmq.connect.file.FileSinkConnector".into(),
            role: Role::Sink,
            digest: "00".into(),
            path: "plugins/file_sink.wasm".into(),
            since: 7,
            tasks: 2,
            quarantined: None,
            asked: connect_sandbox::Usage::default(),
        };
        assert_eq!(
            json(plugin(&info)),
            r#"{"className":"org.apache.rocketmq.connect.file.FileSinkConnector","type":"SINK","version":"0.1.0","name":"file-sink","digest":"00","since":7,"tasks":2}"#
        );
    }
}
