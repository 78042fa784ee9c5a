//! The routes about this worker among others: who is there, and what runs where.
//!
//! Answers for this worker only. Must never change anything.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use connect_runtime::Worker;

use crate::envelope::success;
use crate::shapes;

/// `GET /getClusterInfo`: the workers; standalone, that is this one.
pub(crate) async fn members(State(worker): State<Worker>) -> Response {
    success([worker.id()])
}

/// `GET /allocated/connectors`: the connectors of this worker and their configurations.
pub(crate) async fn connectors(State(worker): State<Worker>) -> Response {
    let infos = worker.connectors();
    success(
        infos
            .iter()
            .map(|info| (&info.name, &info.config))
            .collect::<BTreeMap<_, _>>(),
    )
}

/// `GET /allocated/tasks`: the tasks of this worker by state.
pub(crate) async fn tasks(State(worker): State<Worker>) -> Response {
    success(shapes::allocated(&worker.connectors()))
}
