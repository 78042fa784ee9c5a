//! The routes under `/connectors`: create, look at, pause, resume and delete.
//!
//! Paths, words and answers are the Java project's; status codes are real ones. `stop` deletes, as
//! there. Must never hold state: the worker is asked each time.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use connect_runtime::{ConnectorInfo, Worker, WorkerError};

use crate::config::Posted;
use crate::envelope::{success, success_with_warnings};
use crate::error::Refusal;
use crate::shapes;

type Answer = Result<Response, Refusal>;
type Name = Result<Path<String>, PathRejection>;

/// `GET /connectors/list`
pub(crate) async fn list(State(worker): State<Worker>) -> Response {
    let infos = worker.connectors();
    success(
        infos
            .iter()
            .map(|info| (info.name.as_str(), shapes::listed(info)))
            .collect::<BTreeMap<_, _>>(),
    )
}

/// `POST /connectors/{name}` with the configuration as body, whatever its content type.
pub(crate) async fn create(
    State(worker): State<Worker>,
    name: Name,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    put(worker, name_of(name)?, &body_of(body)?).await
}

/// `POST /connectors/list`: the same for the one name that is a route of its own; the worker says
/// why it cannot be one.
pub(crate) async fn create_list(
    State(worker): State<Worker>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    put(worker, "list".to_owned(), &body_of(body)?).await
}

/// `GET /connectors/{name}?config=…`
pub(crate) async fn create_by_get(
    State(worker): State<Worker>,
    name: Name,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Answer {
    let name = name_of(name)?;
    let Query(query) = query.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
    put(
        worker,
        name,
        query.get("config").map_or(&[][..], |text| text.as_bytes()),
    )
    .await
}

async fn put(worker: Worker, name: String, text: &[u8]) -> Answer {
    let posted = Posted::parse(text)?;
    let settings = posted.settings()?;
    let (put, shown) = detached(async move {
        let put = worker.put_connector(&name, settings).await?;
        tracing::info!(connector = %name, created = put.created, "configuration accepted");
        // gone again already: nothing is shown of its configuration then
        let shown = worker
            .connector(&name)
            .map(|info| info.config)
            .unwrap_or_default();
        Ok((put, shown))
    })
    .await?;
    Ok(success_with_warnings(posted.echo(&shown), &put.warnings))
}

/// `GET /connectors/{name}/config`
pub(crate) async fn config(State(worker): State<Worker>, name: Name) -> Answer {
    Ok(success(shapes::info(&find(&worker, name_of(name)?)?)))
}

/// `GET /connectors/{name}/status`
pub(crate) async fn status(State(worker): State<Worker>, name: Name) -> Answer {
    Ok(success(shapes::status(&find(&worker, name_of(name)?)?)))
}

/// `GET /connectors/{name}/tasks`
pub(crate) async fn tasks(State(worker): State<Worker>, name: Name) -> Answer {
    Ok(success(shapes::tasks(&find(&worker, name_of(name)?)?)))
}

/// `GET /connectors/{name}/tasks/{task}/status`
pub(crate) async fn task_status(
    State(worker): State<Worker>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer {
    let Path((name, task)) = path.map_err(bad_path)?;
    let info = find(&worker, name)?;
    let number = task.parse::<u32>().map_err(|_| {
        Refusal::bad_request(format!(
            "`{task}` is not the number of a task; they count from 0"
        ))
    })?;
    match info.tasks.iter().find(|it| it.id == number) {
        Some(it) => Ok(success(shapes::task_status(&info, it))),
        None => Err(WorkerError::TaskNotFound {
            name: info.name,
            task: number,
        }
        .into()),
    }
}

/// `GET /connectors/{name}/stop`: deletes the connector.
pub(crate) async fn stop(State(worker): State<Worker>, name: Name) -> Answer {
    change(worker, name, Change::Delete).await
}

/// `GET /connectors/{name}/pause`
pub(crate) async fn pause(State(worker): State<Worker>, name: Name) -> Answer {
    change(worker, name, Change::Pause).await
}

/// `GET /connectors/{name}/resume`
pub(crate) async fn resume(State(worker): State<Worker>, name: Name) -> Answer {
    change(worker, name, Change::Resume).await
}

/// `GET /connectors/stop/all`: deletes every connector.
pub(crate) async fn stop_all(State(worker): State<Worker>) -> Answer {
    change_all(worker, Change::Delete).await
}

/// `GET /connectors/pause/all`
pub(crate) async fn pause_all(State(worker): State<Worker>) -> Answer {
    change_all(worker, Change::Pause).await
}

/// `GET /connectors/resume/all`
pub(crate) async fn resume_all(State(worker): State<Worker>) -> Answer {
    change_all(worker, Change::Resume).await
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Delete,
    Pause,
    Resume,
}

impl Change {
    async fn apply(self, worker: &Worker, name: &str) -> Result<(), WorkerError> {
        match self {
            Self::Delete => worker.delete_connector(name).await?,
            Self::Pause => worker.pause(name).await?,
            Self::Resume => worker.resume(name).await?,
        }
        tracing::info!(connector = %name, "{}", self.done());
        Ok(())
    }

    fn done(self) -> &'static str {
        match self {
            Self::Delete => "deleted",
            Self::Pause => "paused",
            Self::Resume => "resumed",
        }
    }

    /// The Java project's sentence over all connectors.
    fn summary(self, names: &[String]) -> String {
        match (self, names) {
            (_, []) => format!(
                "No connector needs to be {}, please add connector first",
                self.done()
            ),
            (Self::Delete, _) => format!("[{}] connectors are deleted", names.join(", ")),
            (Self::Pause, _) => format!("{} connectors are suspended", names.len()),
            (Self::Resume, _) => format!("{} connectors are resumed", names.len()),
        }
    }
}

async fn change(worker: Worker, name: Name, change: Change) -> Answer {
    let name = name_of(name)?;
    let text = format!("Connector [{name}] {} successfully", change.done());
    detached(async move { Ok(change.apply(&worker, &name).await?) }).await?;
    Ok(success(text))
}

async fn change_all(worker: Worker, change: Change) -> Answer {
    detached(async move {
        let mut done = Vec::new();
        let mut failed = Vec::new();
        for info in worker.connectors() {
            match change.apply(&worker, &info.name).await {
                Ok(()) => done.push(info.name),
                // someone else deleted it meanwhile: nothing is left to do
                Err(WorkerError::NotFound { .. }) => {}
                Err(error) => failed.push(error),
            }
        }
        let Some(first) = failed.first() else {
            return Ok(success(change.summary(&done)));
        };
        let rest = failed.len() - 1;
        let more = if rest == 0 {
            String::new()
        } else {
            format!(" (and {rest} more)")
        };
        Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "{} {} ([{}]), but not all: {first}{more}",
                done.len(),
                change.done(),
                done.join(", ")
            ),
        ))
    })
    .await
}

/// Runs a change to its end even when the client hangs up or loses patience: axum drops a handler
/// then, and half a change is worse than one nobody waits for.
pub(crate) async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "a change ended in a panic");
            Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "an internal error; the worker's log says more",
            ))
        }
    }
}

fn find(worker: &Worker, name: String) -> Result<ConnectorInfo, Refusal> {
    worker
        .connector(&name)
        .ok_or_else(|| WorkerError::NotFound { name }.into())
}

fn name_of(name: Name) -> Result<String, Refusal> {
    name.map(|Path(name)| name).map_err(bad_path)
}

fn bad_path(rejection: PathRejection) -> Refusal {
    Refusal::new(rejection.status(), rejection.body_text())
}

fn body_of(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than a configuration may be",
        ),
        status => Refusal::new(status, rejection.body_text()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_over_all_connectors_are_the_java_ones() {
        let names = ["a".to_owned(), "b".to_owned()];
        for (change, some, none) in [
            (Change::Delete, "[a, b] connectors are deleted", "deleted"),
            (Change::Pause, "2 connectors are suspended", "paused"),
            (Change::Resume, "2 connectors are resumed", "resumed"),
        ] {
            assert_eq!(change.summary(&names), some);
            let none = format!("No connector needs to be {none}, please add connector first");
            assert_eq!(change.summary(&[]), none);
        }
    }

    #[tokio::test]
    async fn a_panicking_change_is_an_answer() {
        let result = detached(async { if true { panic!("by the test") } else { Ok(()) } }).await;
        assert!(result.unwrap_err().message().contains("internal error"));
    }

    #[tokio::test]
    async fn a_change_outlives_its_request() {
        let (done, wait) = tokio::sync::oneshot::channel();
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        let mut change = Box::pin(detached(async move {
            gate.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        }));
        assert!(futures_poll_once(&mut change).await.is_none());
        drop(change);
        go.send(()).unwrap();
        wait.await.unwrap();
    }

    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
