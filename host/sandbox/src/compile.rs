//! From a component's bytes to machine code: one file at a time for the whole sandbox, since foreign
//! files decide how long it takes and how much it needs. A worker has it done by a child process that
//! gives way to others, is bounded, and can be killed; tests and tools may do it themselves. Must never
//! take code from anyone but this program's own compiler.

mod child;
mod command;
mod sealed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::{self, Kind};
use crate::config::engine_config;
use crate::engine::{Shared, short};
use crate::load_error::LoadError;

pub use child::{CompileFailure, compile_as_child};

/// Who compiles the files that the code cache has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// This process, with all its cores and without a limit: a file that takes for ever cannot be
    /// stopped. For tests and for files that are trusted.
    #[default]
    Here,
    /// A process of its own for each file.
    Child(CompilerCommand),
}

/// How to start the process that compiles one file, and what it may use.
///
/// It is given two arguments more, `memory_bytes` and the whole seconds of `cpu`, the component on
/// its standard input, an empty environment, and `/` as its directory; it must do what
/// [`compile_as_child`] does. It is killed when it takes too long, and when whoever waits for it
/// does not wait any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerCommand {
    /// The program. It must be the very one that runs: `/proc/self/exe` is, also after its file has
    /// been replaced.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Time on a processor that one file may take; whole seconds, rounded up.
    pub cpu: Duration,
    /// Time that one file may take. The child gives way to others, so on a busy machine this is much
    /// more than `cpu`.
    pub wall: Duration,
    /// Address space of the child, in bytes.
    pub memory_bytes: u64,
}

impl CompilerCommand {
    /// Processor time of one file. Real connectors take seconds of it, the interpreters among them
    /// ten to twenty, and a compiler that was built without optimisation ten times as much.
    pub const CPU: Duration = Duration::from_secs(60);
    /// Address space. The largest plugin that is let in by default needs about a third of it.
    pub const MEMORY_BYTES: u64 = 4 << 30;
    /// How many times the processor time may pass until a file is given up.
    const WALL: u32 = 10;

    /// Another run of this program with these arguments, and the default limits.
    pub fn this_program(arguments: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            program: "/proc/self/exe".into(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            cpu: Self::CPU,
            wall: Self::CPU * Self::WALL,
            memory_bytes: Self::MEMORY_BYTES,
        }
    }

    /// The same with `cpu` of processor time, and ten times as much in all: the child gives way
    /// wherever others want the processor.
    #[must_use]
    pub fn within(mut self, cpu: Duration) -> Self {
        self.cpu = cpu;
        self.wall = cpu.saturating_mul(Self::WALL);
        self
    }
}

/// Compiles a component that the cache has not, and keeps the code. Others wait their turn; dropped,
/// it lets go of its turn and of its child.
pub(crate) async fn compile(
    shared: &Arc<Shared>,
    file: &Arc<str>,
    digest: &str,
    bytes: Bytes,
) -> Result<Component, LoadError> {
    let stopped = |reason: String| LoadError::Compile {
        file: Arc::clone(file),
        reason,
    };
    let turn = Arc::clone(&shared.compiling).acquire_owned().await;
    let turn = turn.map_err(|error| stopped(error.to_string()))?;
    // The same file may have been compiled while this one waited.
    let digest: Arc<str> = digest.into();
    let look = {
        let (shared, digest) = (Arc::clone(shared), Arc::clone(&digest));
        move || shared.cached(&digest)
    };
    if let Some(component) = blocking(file, look).await? {
        return Ok(component);
    }
    let made = match &shared.settings.compiler {
        Compiler::Child(command) => Some(command::run(command, file, bytes.clone()).await?),
        Compiler::Here => None,
    };
    let (shared, name) = (Arc::clone(shared), Arc::clone(file));
    let finish = move || {
        // Work of this process cannot be stopped, so its turn lasts until it is done.
        let _turn = turn;
        let refused = |error: wasmtime::Error| LoadError::Compile {
            file: Arc::clone(&name),
            reason: short(&error),
        };
        let made = match &made {
            None => {
                let code = shared.engine.precompile_component(&bytes);
                std::borrow::Cow::Owned(code.map_err(refused)?)
            }
            Some(sealed) => {
                let code = sealed::open(sealed, &cache::engine_key(&shared.engine));
                std::borrow::Cow::Borrowed(code.map_err(|reason| LoadError::Compiler {
                    file: Arc::clone(&name),
                    reason: reason.to_owned(),
                })?)
            }
        };
        if let Some(cache) = &shared.cache {
            cache.store(Kind::Code, &digest, &made);
        }
        cache::load(&shared.engine, &made).map_err(refused)
    };
    blocking(file, finish).await?
}

/// Runs `work` where it holds up nobody.
pub(crate) async fn blocking<R: Send + 'static>(
    file: &Arc<str>,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| LoadError::Compiler {
        file: Arc::clone(file),
        reason: error.to_string(),
    })
}

/// An engine that compiles with one thread; its code fits the engines that run it.
fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(engine_config().parallel_compilation(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sandbox, SandboxSettings};

    #[test]
    fn code_of_a_single_thread_fits_the_engine_that_runs_it() {
        let running = Engine::new(&engine_config()).unwrap();
        let compiling = compiling_engine().unwrap();
        assert_eq!(cache::engine_key(&compiling), cache::engine_key(&running));
    }

    #[test]
    fn the_whole_time_grows_with_the_processor_time() {
        let command = CompilerCommand::this_program(["compile"]).within(Duration::from_secs(7));
        assert_eq!((command.cpu.as_secs(), command.wall.as_secs()), (7, 70));
    }

    /// A sandbox whose children answer with what is in `folder`, and leave a mark there.
    fn sandbox(folder: &std::path::Path, script: &str) -> Sandbox {
        let place = folder.display().to_string();
        let command = CompilerCommand {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), place],
            ..CompilerCommand::this_program([])
        };
        Sandbox::new(SandboxSettings {
            code_cache: Some(folder.join("code")),
            compiler: Compiler::Child(command),
            ..SandboxSettings::default()
        })
        .unwrap()
    }

    const MARK_AND_ANSWER: &str = r#"echo x >> "$0/marks"; cat > /dev/null; cat "$0/answer""#;

    #[tokio::test]
    async fn the_same_file_at_the_same_time_is_compiled_once() {
        let keep = tempfile::tempdir().unwrap();
        let sandbox = sandbox(keep.path(), MARK_AND_ANSWER);
        let (shared, file) = (&sandbox.shared, Arc::from("x.wasm"));
        let component = Bytes::from(wat::parse_str("(component)").unwrap());
        let code = shared.engine.precompile_component(&component).unwrap();
        let header = sealed::header(&cache::engine_key(&shared.engine), &code);
        std::fs::write(keep.path().join("answer"), [header, code].concat()).unwrap();
        let load = || compile(shared, &file, "digest", component.clone());
        let (one, two, three) = tokio::join!(load(), load(), load());
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        // Another start finds it, and has no child.
        assert!(
            compile(shared, &file, "digest", component.clone())
                .await
                .is_ok()
        );
        let marks = std::fs::read_to_string(keep.path().join("marks")).unwrap();
        assert_eq!(marks, "x\n");
    }

    #[tokio::test]
    async fn code_that_is_not_ours_is_not_taken() {
        let keep = tempfile::tempdir().unwrap();
        let sandbox = sandbox(keep.path(), MARK_AND_ANSWER);
        let (shared, file) = (&sandbox.shared, Arc::from("x.wasm"));
        let key = cache::engine_key(&shared.engine);
        let other = [
            sealed::header("0123456789abcdef", b"code"),
            b"code".to_vec(),
        ]
        .concat();
        let cut = sealed::header(&key, b"code");
        for (answer, expected) in [
            (other, "another build"),
            (cut, "not whole"),
            (vec![], "not whole"),
        ] {
            std::fs::write(keep.path().join("answer"), answer).unwrap();
            let loaded = compile(shared, &file, "digest", Bytes::new()).await;
            let Err(error) = loaded else {
                panic!("{expected}: it was taken")
            };
            assert!(error.to_string().contains(expected), "{error}");
            assert!(shared.cached("digest").is_none());
        }
    }

    #[tokio::test]
    async fn files_are_compiled_one_after_the_other() {
        let keep = tempfile::tempdir().unwrap();
        let alone =
            r#"mkdir "$0/here" || exit 9; cat > /dev/null; sleep 0.1; rmdir "$0/here"; exit 65"#;
        let sandbox = sandbox(keep.path(), alone);
        let (shared, file) = (&sandbox.shared, Arc::from("x.wasm"));
        let load = |digest| compile(shared, &file, digest, Bytes::new());
        let loaded: [_; 4] = tokio::join!(load("a"), load("b"), load("c"), load("d")).into();
        for loaded in loaded {
            let error = loaded.map(drop).unwrap_err();
            assert!(
                matches!(error, LoadError::Compile { .. }),
                "two at a time: {error}"
            );
        }
    }
}
