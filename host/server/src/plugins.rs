//! The routes of plugins: what `connector.class` and the converter keys may name, and how that
//! changes.
//!
//! Must never load or look into a plugin: the worker's catalogue is what there is.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use connect_runtime::{PluginInfo, Worker};
use connect_sandbox::Role;
use serde::{Deserialize, Serialize};

use crate::connectors::detached;
use crate::envelope::{success, success_with_warnings};
use crate::error::Refusal;
use crate::shapes::{self, Plugin};
use crate::swaps::{self, InUse};

/// What `/v1/plugins/reload` answers.
#[derive(Serialize)]
struct Reloaded<'a> {
    added: Vec<InUse<'a>>,
    removed: Vec<InUse<'a>>,
    problems: &'a [String],
}

/// `GET /plugin/reload`: looks at the plugin directories, in the Java project's words.
pub(crate) async fn reload_java(State(worker): State<Worker>) -> Result<Response, Refusal> {
    let report = detached(async move { Ok(worker.reload().await?) }).await?;
    let problems = &report.problems;
    Ok(success_with_warnings("Plugin reload succeeded", problems))
}

/// `POST /v1/plugins/reload`: the same, with what was found.
pub(crate) async fn reload(State(worker): State<Worker>) -> Result<Response, Refusal> {
    let report = detached(async move { Ok(worker.reload().await?) }).await?;
    Ok(success(Reloaded {
        added: swaps::in_use(&report.added),
        removed: swaps::in_use(&report.removed),
        problems: &report.problems,
    }))
}

/// `POST /v1/plugins`: takes in a plugin, the body being the component.
pub(crate) async fn upload(State(worker): State<Worker>, body: Bytes) -> Result<Response, Refusal> {
    let plugin = detached(async move { Ok(worker.deposit_plugin(body.into()).await?) }).await?;
    Ok(success(swaps::one(&plugin)))
}

/// `POST /v1/plugins` of a worker that takes none.
pub(crate) async fn no_upload() -> Response {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "this worker takes no plugins over REST; put the file into a plugin directory, or set `upload = true` under [reload]",
    )
    .into_response()
}

/// `DELETE /v1/plugins/{name}/{version}`.
pub(crate) async fn withdraw(
    State(worker): State<Worker>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let told = format!("plugin {name}@{version} is removed");
    detached(async move { Ok(worker.withdraw_plugin(&name, &version).await?) }).await?;
    Ok(success(told))
}

/// `GET /v1/connectors/{name}/plugin`: what it runs, what changes, what has changed.
pub(crate) async fn of_connector(
    State(worker): State<Worker>,
    Path(name): Path<String>,
) -> Response {
    match worker.connector(&name) {
        Some(info) => success(swaps::plugin(&info)),
        None => Refusal::new(
            StatusCode::NOT_FOUND,
            format!("connector `{name}` does not exist"),
        )
        .into_response(),
    }
}

/// Which version is approved.
#[derive(Deserialize)]
pub(crate) struct Approval {
    digest: String,
}

/// `POST /v1/connectors/{name}/plugin/approve?digest=…`: lets it go over to a version that asks for
/// more.
pub(crate) async fn approve(
    State(worker): State<Worker>,
    Path(name): Path<String>,
    approval: Result<Query<Approval>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Ok(Query(Approval { digest })) = approval else {
        return Err(Refusal::bad_request(
            "name the version that is approved: `?digest=…` with the digest that the status shows",
        ));
    };
    detached(async move { Ok(worker.approve(&name, &digest).await?) }).await?;
    Ok(success("approved"))
}

/// `GET /plugin/list`: plugins and converters.
pub(crate) async fn list(State(worker): State<Worker>) -> Response {
    success(entries(&worker.plugins()))
}

/// `GET /plugin/list/connectors`: sources and sinks only.
pub(crate) async fn connectors(State(worker): State<Worker>) -> Response {
    let plugins = worker.plugins();
    success(
        plugins
            .iter()
            .filter(|it| it.role != Role::Transform)
            .map(shapes::plugin)
            .collect::<Vec<_>>(),
    )
}

fn entries(plugins: &[PluginInfo]) -> Vec<Plugin<'_>> {
    let converters = connect_convert::known().iter().map(|(class, _)| Plugin {
        class_name: class,
        kind: "CONVERTER",
        // converters are part of the worker and have its version
        version: env!("CARGO_PKG_VERSION"),
        more: None,
    });
    let mut entries: Vec<_> = plugins
        .iter()
        .map(shapes::plugin)
        .chain(converters)
        .collect();
    entries.sort_by_key(|it| it.class_name);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_plugins_and_converters_by_name() {
        let sink = PluginInfo {
            name: "file-sink".into(),
            version: "0.1.0".into(),
            class: "org.apache.rocketmq.connect.file.FileSinkConnector".into(),
            role: Role::Sink,
            digest: "00".into(),
            path: "file_sink.wasm".into(),
            since: 0,
            tasks: 0,
            quarantined: None,
            asked: connect_sandbox::Usage::default(),
        };
        let sinks = [sink];
        let names: Vec<_> = entries(&sinks)
            .iter()
            .map(|it| (it.class_name, it.kind))
            .collect();
        assert_eq!(
            names.first(),
            Some(&("org.apache.rocketmq.connect.file.FileSinkConnector", "SINK"))
        );
        let string = "org.apache.rocketmq.connect.runtime.converter.record.StringConverter";
        assert!(names.contains(&(string, "CONVERTER")), "{names:?}");
        assert!(names.is_sorted());
    }
}
