//! What `/metrics` shows of one moment.

use super::*;
use connect_runtime::{Moved, TaskUsage};
use connect_sandbox::{Limit, Usage};

#[test]
fn every_figure_stands_under_its_labels() {
    let task = TaskInfo {
        id: 3,
        state: State::Failed,
        reason: Some("a reason with words".into()),
        config: [("key".to_owned(), "a value".to_owned())].into(),
        usage: TaskUsage {
            moved: Moved {
                records_in: 7,
                ..Moved::default()
            },
            starts: 3,
            failures: 2,
            plugins: vec![PluginUsage {
                plugin: "file-sink".into(),
                role: Role::Sink,
                limits: vec![(Limit::Memory, 65_536), (Limit::Tables, 9)],
                used: Usage {
                    cpu: Duration::from_millis(1_500),
                    held: Duration::from_millis(250),
                    breaches: vec![(Limit::Memory, 4)],
                    ..Usage::default()
                },
            }],
        },
    };
    let now = Snapshot {
        worker: "w".into(),
        uptime: Duration::from_secs(5),
        connectors: vec![ConnectorInfo {
            name: "c".into(),
            role: Some(Role::Sink),
            config: [].into(),
            state: State::Running,
            reason: None,
            warnings: vec![],
            worker_id: "w".into(),
            plugins: Vec::new(),
            change: None,
            history: Vec::new(),
            tasks: vec![task],
        }],
        plugins: vec![PluginInfo {
            name: "file-sink".into(),
            version: "0.1.0".into(),
            class: "c".into(),
            role: Role::Sink,
            digest: "00".into(),
            path: "file_sink.wasm".into(),
            since: 0,
            tasks: 1,
            quarantined: None,
            asked: Usage {
                calls: 11,
                breaches: vec![(Limit::CallCpu, 2)],
                ..Usage::default()
            },
        }],
    };
    let text = now.text().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let plugin = r#"{connector="c",task="3",plugin="file-sink",role="sink""#;
    for line in [
        &format!(r#"connect_worker{{id="w",version="{version}"}} 1"#),
        "connect_worker_uptime_seconds 5.0",
        r#"connect_connectors{state="RUNNING"} 1"#,
        r#"connect_connectors{state="FAILED"} 0"#,
        r#"connect_tasks{state="FAILED"} 1"#,
        r#"connect_plugins{role="source"} 0"#,
        "# TYPE connect_task_records_in counter",
        r#"connect_task_records_in_total{connector="c",task="3"} 7"#,
        r#"connect_task_restarts_total{connector="c",task="3"} 2"#,
        r#"connect_task_failures_total{connector="c",task="3"} 2"#,
        &format!("connect_plugin_cpu_seconds_total{plugin}}} 1.5"),
        &format!("connect_plugin_held_seconds_total{plugin}}} 0.25"),
        &format!(r#"connect_plugin_breaches_total{plugin},limit="memory-bytes"}} 4"#),
        &format!(r#"connect_plugin_breaches_total{plugin},limit="tables"}} 0"#),
        &format!(r#"connect_plugin_limit{plugin},limit="memory-bytes"}} 65536"#),
        r#"connect_plugin_questions_total{plugin="file-sink",version="0.1.0"} 11"#,
        r#"connect_plugin_question_breaches_total{plugin="file-sink",version="0.1.0",limit="call-cpu-ms"} 2"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|it| it == line), "no `{line}` in:\n{text}");
    }
    assert!(
        !text.contains("a value") && !text.contains("words"),
        "{text}"
    );
}
