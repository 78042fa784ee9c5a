//! Files made to break whoever looks at them: large, deep, cut, disguised. Each is refused with a few
//! words, without a crash and without taking long. What only compiling shows is tried with the worker
//! itself, in the suite `hostile`.

use std::time::{Duration, Instant};

use connect_sandbox::{Compiler, CompilerCommand, LoadError, Plugin, Sandbox, SandboxSettings};

use crate::fixtures::bytes;
use crate::load::plugin_with;

/// Looks at files and compiles none.
fn looking(max_component_bytes: u64) -> Sandbox {
    let none = CompilerCommand {
        program: "/no/such/compiler".into(),
        ..CompilerCommand::this_program([])
    };
    Sandbox::new(SandboxSettings {
        compiler: Compiler::Child(none),
        max_component_bytes,
        ..SandboxSettings::default()
    })
    .unwrap()
}

/// How it ended, which took no longer than looking at a file may take.
async fn told(sandbox: &Sandbox, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
    let started = Instant::now();
    let loaded = sandbox.load("some.wasm", bytes).await;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    if let Err(error) = &loaded {
        let text = error.to_string();
        assert!(text.contains("some.wasm") && text.len() < 4_096, "{text}");
    }
    loaded
}

/// A section of a component.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![id];
    let mut size = content.len();
    loop {
        let more = size > 0x7f;
        section.push((size & 0x7f) as u8 | if more { 0x80 } else { 0 });
        size >>= 7;
        if !more {
            break;
        }
    }
    section.extend(content);
    section
}

const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

/// A plugin's file with a further section at its end.
fn with(id: u8, content: &[u8]) -> Vec<u8> {
    [plugin_with(""), section(id, content)].concat()
}

#[tokio::test]
async fn a_hundred_megabytes_are_stepped_over_or_refused() {
    let huge = with(0, &[&b"\x04name"[..], &vec![0; 100 << 20]].concat());
    let refused = told(&looking(32 << 20), huge.clone()).await.unwrap_err();
    assert!(matches!(refused, LoadError::TooLarge { .. }), "{refused:?}");
    let looked_at = told(&looking(1 << 30), huge).await.unwrap_err();
    assert!(
        matches!(looked_at, LoadError::Compiler { .. }),
        "{looked_at:?}"
    );
}

#[tokio::test]
async fn a_hundred_thousand_functions_are_looked_at() {
    let many = format!("(core module {})", "(func)".repeat(100_000));
    let error = told(&looking(32 << 20), plugin_with(&many))
        .await
        .unwrap_err();
    assert!(matches!(error, LoadError::Compiler { .. }), "{error:?}");
}

/// Components inside components, as deep as 32 MiB can hold: each level costs at least ten bytes.
#[tokio::test]
async fn components_nested_deeply_do_not_end_the_stack() {
    for depth in [100, 2_000] {
        let mut inner = PREAMBLE.to_vec();
        for _ in 0..depth {
            inner = [PREAMBLE, &section(4, &inner)].concat();
        }
        let error = told(&looking(32 << 20), with(4, &inner)).await.unwrap_err();
        let due = matches!(
            error,
            LoadError::Compiler { .. } | LoadError::Malformed { .. }
        );
        assert!(due, "{error:?}");
        let error = told(
            &Sandbox::new(SandboxSettings::default()).unwrap(),
            with(4, &inner),
        )
        .await;
        drop(error.unwrap_err());
    }
}

#[tokio::test]
async fn deep_types_and_blocks_do_not_end_the_stack() {
    let sandbox = Sandbox::new(SandboxSettings::default()).unwrap();
    let types: String = (1..50_000)
        .map(|number| format!("(type $t{number} (list $t{}))", number - 1))
        .collect();
    let types = format!("(type $t0 (list u8)) {types} (export \"deep\" (type $t49999))");
    let blocks = format!(
        "(core module (func {} {}))",
        "block ".repeat(50_000),
        "end ".repeat(50_000)
    );
    for parts in [types, blocks] {
        let error = told(&sandbox, plugin_with(&parts)).await.unwrap_err();
        let due = matches!(error, LoadError::Compile { .. } | LoadError::Types { .. });
        assert!(due, "{error:?}");
    }
}

/// Counts that no file of this size can have, where a careless reader takes them at their word.
#[tokio::test]
async fn counts_that_cannot_be_are_refused() {
    for id in 1..=12 {
        for count in [
            &b"\xff\xff\xff\xff\x0f"[..],
            b"\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"",
        ] {
            let error = told(&looking(32 << 20), with(id, count)).await.unwrap_err();
            let due = matches!(
                error,
                LoadError::Malformed { .. } | LoadError::Compiler { .. }
            );
            assert!(due, "{id}: {error:?}");
        }
        // A section that says that it is longer than the file.
        let longer = [&plugin_with("")[..], &[id, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
        let error = told(&looking(32 << 20), longer).await.unwrap_err();
        assert!(matches!(error, LoadError::Malformed { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_cut_at_any_length_is_refused() {
    let sandbox = Sandbox::new(SandboxSettings::default()).unwrap();
    let small = plugin_with("");
    for end in 0..small.len() {
        drop(told(&sandbox, small[..end].to_vec()).await.unwrap_err());
    }
    // Of a real one every length would take hours: both ends, and many in between.
    let real = bytes("seq-source");
    let looking = looking(32 << 20);
    let ends = (0..300).chain((300..real.len()).step_by(real.len() / 200));
    for end in ends.chain(real.len() - 300..real.len()) {
        drop(told(&looking, real[..end].to_vec()).await.unwrap_err());
    }
}

/// Machine code under the name of a plugin, whatever stands before or after it.
#[tokio::test]
async fn machine_code_is_never_taken_for_a_plugin() {
    let sandbox = Sandbox::new(SandboxSettings::default()).unwrap();
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_component(&plugin_with("")).unwrap();
    let error = told(&sandbox, code.clone()).await.unwrap_err();
    assert!(matches!(error, LoadError::Precompiled { .. }), "{error:?}");
    // As the cache keeps it: behind its digest.
    let kept = [&[7; 32], &code[..]].concat();
    let error = told(&sandbox, kept).await.unwrap_err();
    assert!(matches!(error, LoadError::NotWasm { .. }), "{error:?}");
    // Inside a component it is some section's content, which nobody runs.
    let hidden = with(0, &[&b"\x05cwasm"[..], &code].concat());
    let error = told(&looking(32 << 20), hidden).await.unwrap_err();
    assert!(matches!(error, LoadError::Compiler { .. }), "{error:?}");
    let nested = with(1, &code);
    drop(told(&sandbox, nested).await.unwrap_err());
}
