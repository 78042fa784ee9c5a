//! Which path leads where, and what holds for all of them: who may ask, how large a body is, how
//! long an answer may take.
//!
//! As in the Java project a path may end in a slash. Must never contain a handler of its own but
//! those for what does not exist.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use connect_runtime::Worker;

use crate::error::Refusal;
use crate::guard::{self, Guard};
use crate::{ServerSettings, cluster, connectors, health, metrics, plugins};

/// All routes of a worker.
pub(crate) fn routes(worker: Worker, settings: &ServerSettings) -> Router {
    let reading = Router::new();
    let reading = route(reading, "/getClusterInfo", get(cluster::members));
    let reading = route(reading, "/allocated/connectors", get(cluster::connectors));
    let reading = route(reading, "/allocated/tasks", get(cluster::tasks));
    let reading = route(reading, "/connectors/list", get(connectors::list));
    let reading = route(
        reading,
        "/connectors/{name}/config",
        get(connectors::config),
    );
    let reading = route(
        reading,
        "/connectors/{name}/status",
        get(connectors::status),
    );
    let reading = route(reading, "/connectors/{name}/tasks", get(connectors::tasks));
    let reading = route(
        reading,
        "/connectors/{name}/tasks/{task}/status",
        get(connectors::task_status),
    );
    let reading = route(reading, "/plugin/list", get(plugins::list));
    let reading = route(reading, "/plugin/list/connectors", get(plugins::connectors));
    let reading = route(
        reading,
        "/v1/connectors/{name}/plugin",
        get(plugins::of_connector),
    );
    let reading = route(reading, "/health/live", get(health::live));
    let reading = route(reading, "/health/ready", get(health::ready));
    let begun = Instant::now();
    let show = get(move |worker| metrics::show(worker, begun));
    let reading = route(reading, "/metrics", show);

    let changing = Router::new();
    let changing = route(
        changing,
        "/connectors/{name}",
        get(connectors::create_by_get).post(connectors::create),
    );
    let changing = route(changing, "/connectors/list", post(connectors::create_list));
    let changing = route(changing, "/connectors/{name}/stop", get(connectors::stop));
    let changing = route(changing, "/connectors/{name}/pause", get(connectors::pause));
    let changing = route(
        changing,
        "/connectors/{name}/resume",
        get(connectors::resume),
    );
    let changing = route(changing, "/connectors/stop/all", get(connectors::stop_all));
    let changing = route(
        changing,
        "/connectors/pause/all",
        get(connectors::pause_all),
    );
    let changing = route(
        changing,
        "/connectors/resume/all",
        get(connectors::resume_all),
    );
    let changing = route(changing, "/plugin/reload", get(plugins::reload_java));
    let changing = route(changing, "/v1/plugins/reload", post(plugins::reload));
    let changing = route(
        changing,
        "/v1/plugins/{name}/{version}",
        delete(plugins::withdraw),
    );
    let changing = route(
        changing,
        "/v1/connectors/{name}/plugin/approve",
        post(plugins::approve),
    );
    let upload = match settings.upload_bytes {
        Some(bytes) => post(plugins::upload).layer(DefaultBodyLimit::max(bytes)),
        None => post(plugins::no_upload),
    };
    let changing = route(changing, "/v1/plugins", upload);
    let changing = changing.route_layer(from_fn(guard::same_origin));

    common(reading.merge(changing).with_state(worker), settings)
}

/// What holds for every route.
pub(crate) fn common(router: Router, settings: &ServerSettings) -> Router {
    let guard = Guard {
        loopback: settings.listen.ip().is_loopback(),
        hosts: settings
            .hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect(),
    };
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(settings.body_bytes))
        .layer(from_fn_with_state(settings.answer_within, in_time))
        .layer(from_fn_with_state(Arc::new(guard), guard::known_host))
}

fn route(router: Router<Worker>, path: &str, methods: MethodRouter<Worker>) -> Router<Worker> {
    router
        .route(path, methods.clone())
        .route(&format!("{path}/"), methods)
}

async fn unknown_route(request: Request) -> Response {
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("there is no route {}", request.uri().path()),
    )
    .into_response()
}

/// The router adds the `Allow` header.
async fn wrong_method(request: Request) -> Response {
    let text = format!(
        "{} is not a method of {}",
        request.method(),
        request.uri().path()
    );
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}

async fn in_time(
    State(limit): State<std::time::Duration>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "no answer within {} ms; a change that had begun goes on, ask for the status",
                limit.as_millis()
            ),
        )
        .into_response(),
    }
}
