//! A look at a file before anything of it is compiled or run: is it a component, which role has it,
//! which version of the interface, what does it import? Total over any bytes: it returns or refuses,
//! and keeps nothing that grows beyond the names at the component's top level.

use std::sync::Arc;

use wasmparser::{ComponentExternalKind, Parser, Payload};
use wasmtime::Engine;

use crate::Role;
use crate::bindings::SUPPORTED;
use crate::linker;
use crate::load_error::LoadError;
use crate::text;

mod counts;

use counts::{Counts, TooMany};

/// Our package in the names of imports and exports.
const PACKAGE: &str = "rocketmq:connect/";

/// Most imports or exports at the top level. Components have some ten of them; a file made to break
/// whoever reads it has millions, each larger in memory than in the file.
const NAMES: usize = 4_096;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The one role that the file has.
    pub role: Role,
    /// Names of imported interfaces of WASI that are not offered; using one is a trap that names it.
    pub stubs: Vec<String>,
}

/// Names at the component's top level.
#[derive(Debug, Default)]
struct Names {
    imports: Vec<String>,
    /// Exported instances; other exports do not matter.
    exports: Vec<String>,
    /// What a module inside has too much of; nothing was read beyond it.
    too_many: Option<TooMany>,
}

/// Looks at `bytes`, which may not be more than `limit`; nothing of them is compiled or run. This is
/// where [`Sandbox::load`](crate::Sandbox::load) begins. `file` is for messages only.
///
/// # Errors
/// Whatever makes it unusable, see [`LoadError`].
pub fn inspect(file: &Arc<str>, bytes: &[u8], limit: u64) -> Result<Inspected, LoadError> {
    let file = || Arc::clone(file);
    if bytes.len() as u64 > limit {
        return Err(LoadError::TooLarge {
            file: file(),
            bytes: bytes.len() as u64,
            limit,
        });
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled { file: file() });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm { file: file() });
    }
    if Parser::is_core_wasm(bytes) {
        return Err(LoadError::CoreModule { file: file() });
    }
    let malformed = |reason: String| LoadError::Malformed {
        file: file(),
        reason,
    };
    // Its text may hold names from the file.
    let names = names(bytes).map_err(|error| malformed(text::reason(&error.to_string())))?;
    if let Some(TooMany { what, count, most }) = names.too_many {
        return Err(LoadError::TooMany {
            file: file(),
            what,
            count,
            most,
        });
    }
    if names.imports.len().max(names.exports.len()) > NAMES {
        let reason = format!("it has more than {NAMES} imports or exports");
        return Err(malformed(reason));
    }
    let role = role(&file, &names.exports)?;
    let stubs = stubs(&file, names.imports)?;
    Ok(Inspected { role, stubs })
}

/// Reads the names at the top level. In nested modules it only counts, and steps over the rest.
fn names(bytes: &[u8]) -> wasmparser::Result<Names> {
    let mut names = Names::default();
    let mut counts = Counts::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        names.too_many = counts.see(&payload)?;
        if names.too_many.is_some() {
            break;
        }
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section.into_iter().take(room(&names.imports)) {
                    names.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section.into_iter().take(room(&names.exports)) {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        names.exports.push(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// How many more names are read: one more than there may be, to know that there are too many.
fn room(names: &[String]) -> usize {
    (NAMES + 1).saturating_sub(names.len())
}

fn role(file: &impl Fn() -> Arc<str>, exports: &[String]) -> Result<Role, LoadError> {
    let refuse = |reason: String| LoadError::NotAConnector {
        file: file(),
        reason,
    };
    let mut described = false;
    let mut roles = Vec::new();
    for export in exports {
        let Some((interface, version)) = ours(export) else {
            continue;
        };
        let role = match interface {
            "connector" => None,
            "source" => Some(Role::Source),
            "sink" => Some(Role::Sink),
            "transform" => Some(Role::Transform),
            // Toolchains add exports of their own; they do no harm.
            _ => continue,
        };
        supported(file, export, version)?;
        match role {
            None => described = true,
            Some(role) => roles.push(role),
        }
    }
    let exported = || {
        let names: Vec<String> = exports
            .iter()
            .take(10)
            .map(|name| format!("`{}`", text::reason(name)))
            .collect();
        if names.is_empty() {
            "no interface".to_owned()
        } else {
            names.join(", ")
        }
    };
    match (described, roles.as_slice()) {
        (true, [role]) => Ok(*role),
        (true, []) => Err(refuse(format!(
            "it exports no source, sink or transform; it exports {}",
            exported()
        ))),
        (true, _) => Err(refuse(format!(
            "it must have one role and has several; it exports {}",
            exported()
        ))),
        (false, _) => Err(refuse(format!(
            "it does not export `{PACKAGE}connector@{}`; it exports {}",
            newest(),
            exported()
        ))),
    }
}

fn stubs(file: &impl Fn() -> Arc<str>, imports: Vec<String>) -> Result<Vec<String>, LoadError> {
    let mut stubs = Vec::new();
    for import in imports {
        if let Some((interface, version)) = ours(&import) {
            supported(file, &import, version)?;
            if linker::OURS.contains(&interface) {
                continue;
            }
        } else if linker::offers_wasi(&import) {
            continue;
        } else if import.starts_with("wasi:") {
            stubs.push(import);
            continue;
        }
        return Err(LoadError::Import {
            file: file(),
            import: text::reason(&import),
        });
    }
    Ok(stubs)
}

/// Interface and version of a name in our package.
fn ours(name: &str) -> Option<(&str, Option<&str>)> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(match rest.split_once('@') {
        Some((interface, version)) => (interface, Some(version)),
        None => (rest, None),
    })
}

fn supported(
    file: &impl Fn() -> Arc<str>,
    found: &str,
    version: Option<&str>,
) -> Result<(), LoadError> {
    if version
        .and_then(major_minor)
        .is_some_and(|version| SUPPORTED.contains(&version))
    {
        return Ok(());
    }
    let found = text::reason(found);
    let supported: Vec<String> = SUPPORTED
        .iter()
        .map(|(major, minor)| format!("{major}.{minor}.x"))
        .collect();
    Err(LoadError::Version {
        file: file(),
        found,
        supported: format!("version {}", supported.join(" and ")),
    })
}

/// The first two numbers of `1.2.3`; pre-releases are never supported.
fn major_minor(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split('.').map(str::parse::<u64>);
    let (major, minor, patch) = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?,
    );
    (patch.is_ok() && numbers.next().is_none()).then_some((major, minor))
}

fn newest() -> String {
    SUPPORTED
        .last()
        .map(|(major, minor)| format!("{major}.{minor}.0"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with these imports and exports, all of empty instances.
    fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let imports = imports
            .iter()
            .map(|name| format!("(import \"{name}\" (instance))"));
        let exports = exports
            .iter()
            .map(|name| format!("(export \"{name}\" (instance $empty))"));
        let items: String = imports
            .chain(["(instance $empty)".to_owned()])
            .chain(exports)
            .collect();
        wat::parse_str(format!("(component {items})")).unwrap()
    }

    fn look(bytes: &[u8]) -> Result<Inspected, LoadError> {
        inspect(&Arc::from("x.wasm"), bytes, 1 << 20)
    }

    const CONNECTOR: &str = "rocketmq:connect/connector@0.1.0";
    const SOURCE: &str = "rocketmq:connect/source@0.1.0";
    const SINK: &str = "rocketmq:connect/sink@0.1.7";

    #[test]
    fn one_role_beside_the_connector_is_a_plugin_and_extra_exports_do_no_harm() {
        assert_eq!(
            look(&component(&[], &[CONNECTOR, SOURCE])).unwrap().role,
            Role::Source
        );
        let found = look(&component(
            &["wasi:io/poll@0.2.6", "wasi:nn/tensor@0.2.0"],
            &["a:b/c", SINK, CONNECTOR],
        ));
        let stubs = vec!["wasi:nn/tensor@0.2.0".to_owned()];
        assert_eq!(
            found.unwrap(),
            Inspected {
                role: Role::Sink,
                stubs
            }
        );
    }

    #[test]
    fn no_role_or_several_or_no_connector_is_refused_by_name() {
        for exports in [
            &[CONNECTOR][..],
            &[CONNECTOR, SOURCE, SINK],
            &[SOURCE],
            &[],
            &["wasi:cli/run@0.2.0"],
        ] {
            let error = look(&component(&[], exports)).unwrap_err();
            assert!(matches!(error, LoadError::NotAConnector { .. }), "{error}");
            assert!(
                exports.iter().all(|name| error.to_string().contains(name)),
                "{error}"
            );
        }
    }

    #[test]
    fn another_version_is_named_with_the_one_that_would_do() {
        for version in ["@0.2.0", "@1.0.0", "@0.1", "@0.1.0-rc1", ""] {
            let export = format!("rocketmq:connect/source{version}");
            // Names that are no valid component names do not come past the encoder's users, but
            // the look must not depend on it.
            let error = role(
                &|| Arc::from("x.wasm"),
                &[CONNECTOR.to_owned(), export.clone()],
            )
            .unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(&format!("`{export}`")) && text.contains("0.1.x"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_import_is_refused_by_name() {
        for import in [
            "env:stuff/thing@1.0.0",
            "rocketmq:connect/database@0.1.4",
            "rocketmq:connect/log@0.2.0",
        ] {
            let error = look(&component(&[import], &[CONNECTOR, SOURCE])).unwrap_err();
            assert!(error.to_string().contains(import), "{error}");
        }
    }

    #[test]
    fn names_without_end_are_not_kept() {
        let names: Vec<String> = (0..=NAMES)
            .map(|at| format!("wasi:x/n{at}@0.2.0"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        look(&component(&names[1..], &[CONNECTOR, SOURCE])).unwrap();
        let error = look(&component(&names, &[CONNECTOR, SOURCE])).unwrap_err();
        assert!(
            error.to_string().contains("more than 4096 imports"),
            "{error}"
        );
    }

    /// A component that has `parts` beside what makes it a source.
    fn with_parts(parts: &str) -> Vec<u8> {
        let text = format!(
            "(component (instance $empty) (export \"{CONNECTOR}\" (instance $empty))
                (export \"{SOURCE}\" (instance $empty)) {parts})"
        );
        wat::parse_str(text).unwrap()
    }

    /// Each instance would keep them where no limit of a running instance counts.
    #[test]
    fn a_module_with_too_much_of_something_is_refused_however_deep_it_is() {
        let globals = |count| "(global i32 (i32.const 0))".repeat(count);
        let imports = |count| -> String {
            (0..count)
                .map(|at| format!("(import \"m\" \"{at}\" (func))"))
                .collect()
        };
        let elements = |count| format!("(func) (elem declare func {})", "0 ".repeat(count));
        let expressions = |count| {
            let items = "(ref.func 0)".repeat(count);
            format!("(func (export \"f\")) (elem declare funcref {items})")
        };
        let within = [
            globals(10_000),
            imports(10_000),
            elements(100_000),
            expressions(99_999),
        ];
        let both: String = within
            .iter()
            .map(|module| format!("(core module {module})"))
            .collect();
        look(&with_parts(&both)).unwrap();
        for (module, words) in [
            (globals(10_001), "10001 globals, the most is 10000"),
            (imports(10_001), "10001 imports, the most is 10000"),
            (
                elements(100_001),
                "100001 exports and elements of tables, the most is 100000",
            ),
            (
                expressions(100_000),
                "100001 exports and elements of tables, the most is 100000",
            ),
        ] {
            let deep = format!("(core module) (component (core module {module}))");
            let error = look(&with_parts(&deep)).unwrap_err();
            assert!(matches!(error, LoadError::TooMany { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("x.wasm") && text.contains(words), "{text}");
        }
    }

    #[test]
    fn what_is_no_component_says_what_it_is() {
        assert!(matches!(look(b"").unwrap_err(), LoadError::NotWasm { .. }));
        assert!(matches!(
            look(b"hello world").unwrap_err(),
            LoadError::NotWasm { .. }
        ));
        assert!(matches!(
            look(b"\0asm\x01\0\0\0").unwrap_err(),
            LoadError::CoreModule { .. }
        ));
        assert!(matches!(
            look(b"\0asm\x0d\0").unwrap_err(),
            LoadError::Malformed { .. }
        ));
        assert!(matches!(
            look(&[0; (1 << 20) + 1]).unwrap_err(),
            LoadError::TooLarge { .. }
        ));
    }

    #[test]
    fn a_component_cut_or_damaged_anywhere_is_refused_or_read() {
        let whole = component(&["wasi:io/poll@0.2.6"], &[CONNECTOR, SOURCE]);
        for end in 0..whole.len() {
            let found = look(&whole[..end]);
            assert!(
                found.is_err() || end > whole.len() / 2,
                "cut at {end}: {found:?}"
            );
        }
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[position] ^= 1 << bit;
                drop(look(&damaged));
            }
        }
    }
}
