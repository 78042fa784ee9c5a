//! The JSON of what a task may use and has used, as a status shows it beside the Java project's
//! fields. Only shapes: nothing is asked of the worker here.

use std::collections::BTreeMap;

use connect_runtime::{PluginUsage, TaskUsage};
use connect_sandbox::Limit;
use serde::Serialize;

/// `usage` of a task's status.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage<'a> {
    starts: u64,
    failures: u64,
    records_in: u64,
    bytes_in: u64,
    batches: u64,
    records_out: u64,
    bytes_out: u64,
    in_flight_records: u64,
    plugins: Vec<Plugin<'a>>,
}

/// One plugin of a task; a direct connector has two.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plugin<'a> {
    plugin: &'a str,
    role: String,
    calls: u64,
    cpu_ms: u64,
    held_ms: u64,
    instances: u64,
    memory_bytes: u64,
    memory_peak_bytes: u64,
    open_files: u64,
    connections: u64,
    refused: u64,
    log_lines: u64,
    log_bytes: u64,
    log_lines_dropped: u64,
    log_bytes_dropped: u64,
    /// How often a limit was reached, by its key.
    breaches: BTreeMap<&'static str, u64>,
    /// The limits in force, by their keys.
    limits: BTreeMap<&'static str, u64>,
}

/// Of a task that was started at least once.
pub(crate) fn usage(of: &TaskUsage) -> Option<Usage<'_>> {
    let moved = &of.moved;
    (of.starts > 0).then(|| Usage {
        starts: of.starts,
        failures: of.failures,
        records_in: moved.records_in,
        bytes_in: moved.bytes_in,
        batches: moved.batches,
        records_out: moved.records_out,
        bytes_out: moved.bytes_out,
        in_flight_records: moved.in_flight_records,
        plugins: of.plugins.iter().map(plugin).collect(),
    })
}

fn plugin(of: &PluginUsage) -> Plugin<'_> {
    let used = &of.used;
    Plugin {
        plugin: &of.plugin,
        role: of.role.to_string(),
        calls: used.calls,
        cpu_ms: u64::try_from(used.cpu.as_millis()).unwrap_or(u64::MAX),
        held_ms: u64::try_from(used.held.as_millis()).unwrap_or(u64::MAX),
        instances: used.instances,
        memory_bytes: used.memory_bytes,
        memory_peak_bytes: used.memory_peak_bytes,
        open_files: used.open_files,
        connections: used.connections,
        refused: used.refused,
        log_lines: used.log_lines,
        log_bytes: used.log_bytes,
        log_lines_dropped: used.log_lines_dropped,
        log_bytes_dropped: used.log_bytes_dropped,
        breaches: by_key(&used.breaches),
        limits: by_key(&of.limits),
    }
}

fn by_key(of: &[(Limit, u64)]) -> BTreeMap<&'static str, u64> {
    of.iter()
        .map(|(limit, value)| (limit.key(), *value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_sandbox::Role;

    #[test]
    fn limits_and_breaches_stand_under_their_keys() {
        let mut task = TaskUsage {
            starts: 1,
            plugins: vec![PluginUsage {
                plugin: "p".into(),
                role: Role::Sink,
                limits: vec![(Limit::Memory, 65_536)],
                used: connect_sandbox::Usage {
                    breaches: vec![(Limit::Memory, 2)],
                    ..connect_sandbox::Usage::default()
                },
            }],
            ..TaskUsage::default()
        };
        let json = serde_json::to_string(&usage(&task)).unwrap();
        let end = r#""breaches":{"memory-bytes":2},"limits":{"memory-bytes":65536}}]}"#;
        assert!(json.ends_with(end), "{json}");
        assert!(
            json.contains(r#""plugin":"p","role":"sink","calls":0"#),
            "{json}"
        );
        task.starts = 0;
        assert!(usage(&task).is_none());
    }
}
