//! `rocketmq-connect plugin`: what a plugin file is, before a worker gets it.
//!
//! Must never run a plugin with access to anything.

use crate::arguments::{Output, PluginCommand};
use crate::failure::Failure;
use crate::output::{harmless, print, table};
use anyhow::Context as _;
use connect_sandbox::{
    Compiler, CompilerCommand, OptionKind, OptionSpec, Plugin, Sandbox, SandboxSettings,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Does what was asked for.
///
/// # Errors
/// The file cannot be read or is no plugin.
pub(crate) fn run(output: Output, what: &PluginCommand) -> Result<(), Failure> {
    match what {
        PluginCommand::Inspect { file } => inspect(file, output),
    }
}

fn inspect(file: &Path, output: Output) -> Result<(), Failure> {
    let settings = SandboxSettings {
        compiler: Compiler::Child(CompilerCommand::this_program(["compile"])),
        ..SandboxSettings::default()
    };
    let bytes = read(file, settings.max_component_bytes)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("guest")
        .enable_all()
        .build()?;
    let name = file.display().to_string();
    let plugin = runtime.block_on(async { Sandbox::new(settings)?.load(&name, bytes).await })?;
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&as_json(&plugin))?,
        Output::Table => as_text(&plugin),
    };
    runtime.shutdown_background();
    Ok(print(&text)?)
}

/// At most one byte more than a plugin may have, so that the sandbox sees that it is too large.
fn read(file: &Path, largest: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?
        .take(largest + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn as_json(plugin: &Plugin) -> Value {
    let description = plugin.description();
    let options: Vec<Value> = description
        .options
        .iter()
        .map(|option| {
            json!({
                "key": option.key,
                "kind": kind(option.kind),
                "required": option.required,
                "default": option.default,
                "allowed": option.allowed,
                "doc": option.doc,
            })
        })
        .collect();
    json!({
        "name": description.name,
        "version": description.version,
        "role": plugin.role().to_string(),
        "digest": plugin.digest(),
        "aliases": description.aliases,
        "position-format": description.position_format,
        "doc": description.doc,
        "options": options,
    })
}

fn as_text(plugin: &Plugin) -> String {
    let description = plugin.description();
    let mut text = String::new();
    let mut say = |what: &str, value: &str| {
        let written = writeln!(text, "{what:<9}{}", harmless(value));
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    };
    say("name", &description.name);
    say("version", &description.version);
    say("role", &plugin.role().to_string());
    say("digest", plugin.digest());
    for alias in &description.aliases {
        say("alias", alias);
    }
    for line in description.doc.lines() {
        say("doc", line);
    }
    if !description.options.is_empty() {
        text.push('\n');
        let rows = description.options.iter().map(row).collect();
        text.push_str(&table(["OPTION", "KIND", "DEFAULT", "MEANING"], rows));
    }
    text
}

fn row(option: &OptionSpec) -> [String; 4] {
    let default = match (&option.default, option.required) {
        (Some(default), _) => default.clone(),
        (None, true) => "(required)".to_owned(),
        (None, false) => String::new(),
    };
    let mut kind = kind(option.kind).to_owned();
    if !option.allowed.is_empty() {
        kind = option.allowed.join("|");
    }
    // The first line says what it is; the rest is in the JSON.
    let meaning = option.doc.lines().next().unwrap_or_default().to_owned();
    [option.key.clone(), kind, default, meaning]
}

fn kind(kind: OptionKind) -> &'static str {
    match kind {
        OptionKind::Boolean => "boolean",
        OptionKind::Integer => "integer",
        OptionKind::Decimal => "decimal",
        OptionKind::Text => "text",
        OptionKind::TextList => "text-list",
        OptionKind::Duration => "duration",
        OptionKind::Size => "size",
        OptionKind::Secret => "secret",
    }
}
