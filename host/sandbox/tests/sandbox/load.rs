//! Loading: what is refused and why, what is kept, and that damage to what is kept does no harm.
//! The components are written here as text, so these tests need no fixture guests.

use connect_sandbox::{LoadError, Sandbox, SandboxSettings};

const CONNECTOR: [&str; 4] = ["describe", "needs", "validate", "task-settings"];
const SOURCE: [&str; 4] = ["open", "poll", "committed", "close"];

/// A component that exports `functions` of each interface, all of them the same useless function.
fn component(interfaces: &[(&str, &[&str])]) -> Vec<u8> {
    component_with(interfaces, "")
}

/// A component that has the exports of a source, though of other types, and `parts`.
pub(crate) fn plugin_with(parts: &str) -> Vec<u8> {
    let interfaces = [
        ("rocketmq:connect/connector@0.1.0", &CONNECTOR[..]),
        ("rocketmq:connect/source@0.1.0", &SOURCE),
    ];
    component_with(&interfaces, parts)
}

fn component_with(interfaces: &[(&str, &[&str])], parts: &str) -> Vec<u8> {
    let mut text = String::from(
        r#"(component
            (core module $m (func (export "f") (result i32) unreachable))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))"#,
    );
    for (interface, functions) in interfaces {
        let functions: String = functions
            .iter()
            .map(|name| format!("(export \"{name}\" (func $f))"))
            .collect();
        text += &format!("(instance $\"{interface}\" {functions})");
        text += &format!("(export \"{interface}\" (instance $\"{interface}\"))");
    }
    wat::parse_str(text + parts + ")").unwrap()
}

async fn refused(bytes: Vec<u8>) -> LoadError {
    let sandbox = Sandbox::new(SandboxSettings::default()).unwrap();
    sandbox.load("some.wasm", bytes).await.unwrap_err()
}

#[tokio::test]
async fn a_function_of_another_type_is_refused_before_anything_runs() {
    let bytes = component(&[
        ("rocketmq:connect/connector@0.1.0", &CONNECTOR),
        ("rocketmq:connect/source@0.1.0", &SOURCE),
    ]);
    let error = refused(bytes).await;
    assert!(matches!(error, LoadError::Types { .. }), "{error:?}");
    assert!(error.to_string().contains("some.wasm"), "{error}");
}

#[tokio::test]
async fn a_missing_function_is_named() {
    let bytes = component(&[
        ("rocketmq:connect/connector@0.1.0", &CONNECTOR),
        ("rocketmq:connect/source@0.1.0", &["open", "poll", "close"]),
    ]);
    let error = refused(bytes).await;
    assert!(
        matches!(error, LoadError::Types { .. }) && error.to_string().contains("committed"),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_version_is_named_beside_the_supported_one() {
    let bytes = component(&[
        ("rocketmq:connect/connector@0.2.0", &CONNECTOR),
        ("rocketmq:connect/source@0.2.0", &SOURCE),
    ]);
    let text = refused(bytes).await.to_string();
    assert!(
        text.contains("rocketmq:connect/connector@0.2.0") && text.contains("0.1.x"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_what_it_is() {
    let module = wat::parse_str("(module)").unwrap();
    assert!(matches!(
        refused(module).await,
        LoadError::CoreModule { .. }
    ));
    assert!(matches!(
        refused(b"(component)".to_vec()).await,
        LoadError::NotWasm { .. }
    ));
    assert!(matches!(
        refused(vec![0x7f; 4_096]).await,
        LoadError::NotWasm { .. }
    ));
    let engine = wasmtime::Engine::default();
    let machine_code = engine
        .precompile_component(&wat::parse_str("(component)").unwrap())
        .unwrap();
    assert!(matches!(
        refused(machine_code).await,
        LoadError::Precompiled { .. }
    ));
}

#[tokio::test]
async fn a_size_over_the_limit_is_refused() {
    let settings = SandboxSettings {
        max_component_bytes: 100,
        ..SandboxSettings::default()
    };
    let error = Sandbox::new(settings)
        .unwrap()
        .load("big.wasm", vec![0; 101])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`big.wasm` has 101 bytes, the limit of a plugin is 100 bytes"
    );
}

#[tokio::test]
async fn code_that_is_no_valid_component_does_not_compile() {
    let mut bytes = component(&[
        ("rocketmq:connect/connector@0.1.0", &CONNECTOR),
        ("rocketmq:connect/source@0.1.0", &SOURCE),
    ]);
    // `unreachable` becomes an opcode that does not exist.
    let place = bytes
        .windows(4)
        .position(|w| w == [0x03, 0x00, 0x00, 0x0b])
        .expect("the body");
    bytes[place + 2] = 0xff;
    let error = refused(bytes).await;
    assert!(
        matches!(
            error,
            LoadError::Compile { .. } | LoadError::Malformed { .. }
        ),
        "{error:?}"
    );
}

/// With pages of one byte a guest could have its memory grown byte by byte.
#[tokio::test]
async fn memory_in_pages_of_another_size_is_refused() {
    let error = refused(plugin_with("(core module (memory 1 (pagesize 1)))")).await;
    assert!(matches!(error, LoadError::Compile { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("some.wasm") && text.contains("custom page sizes"),
        "{text}"
    );
}
