//! The routes under `/plugin`: what `connector.class` and the converter keys may name.
//!
//! Must never load or look into a plugin: the worker's catalogue is what there is.

use axum::extract::State;
use axum::response::Response;
use connect_runtime::{PluginInfo, Worker};
use connect_sandbox::Role;

use crate::envelope::success;
use crate::shapes::{self, Plugin};

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
