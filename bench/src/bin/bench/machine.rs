//! On what it was measured: processors, memory, kernel, versions, load before the run. Must not name
//! the machine itself, its user or its folders.

use std::process::Command;

use serde_json::{Value, json};

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text);
    Some(text.lines().next()?.trim().to_owned())
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What a reader needs to judge the figures.
pub(crate) fn describe() -> Value {
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    let memory = file("/proc/meminfo");
    let memory = memory.lines().find_map(|line| {
        let text = line.strip_prefix("MemTotal:")?.trim();
        text.strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = file("/proc/loadavg");
    json!({
        "processor": model.unwrap_or_else(|| "unknown".into()),
        "cores": cores,
        "memory-gib": memory.map(|kib| (kib as f64 / 1024.0 / 1024.0).round()),
        "kernel": first_line("uname", &["-sr"]),
        "load-before": load.split_whitespace().next(),
        "commit": first_line("git", &["rev-parse", "--short", "HEAD"]),
        "rustc": first_line("rustc", &["--version"]),
        "java": first_line("java", &["-version"]),
    })
}

/// The same for people.
pub(crate) fn markdown(machine: &Value) -> String {
    let mut text = String::new();
    if let Some(machine) = machine.as_object() {
        for (key, value) in machine {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("- {key}: {value}\n"));
        }
    }
    text
}
