//! The parent's side of a compiling child: starts it, feeds it, listens to it, and says in words how
//! it ended. Whatever the child does, the parent waits no longer than it is told to, keeps no more
//! than it asked for, and leaves nothing behind.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::CompilerCommand;
use super::child::{CompileFailure, whole_seconds};
use crate::load_error::LoadError;
use crate::text;

/// Most code that is taken: this for each byte of the component, and something to begin with.
const CODE_PER_BYTE: u64 = 16;
const CODE_AT_LEAST: u64 = 16 << 20;
/// Most words of a child that are kept.
const WORDS: u64 = 4 << 10;

/// Code with its seal, as the child brought it.
///
/// # Errors
/// [`LoadError::Compile`] when the component is at fault, [`LoadError::Compiler`] for a limit or a
/// child that did not do its work.
pub(super) async fn run(
    command: &CompilerCommand,
    file: &Arc<str>,
    component: Bytes,
) -> Result<Vec<u8>, LoadError> {
    let failed = |reason: String| LoadError::Compiler {
        file: Arc::clone(file),
        reason,
    };
    let mut child = spawn(command)
        .map_err(|error| failed(format!("the compiler cannot be started: {error}")))?;
    // Dropped at the deadline, and with it the child, which is killed then.
    let ended = tokio::time::timeout(command.wall, converse(&mut child, component)).await;
    let Ok(ended) = ended else {
        let limit = command.wall;
        return Err(failed(format!(
            "the compiler was stopped after {limit:?}; see `compile-ms` of the worker's configuration"
        )));
    };
    let Ended {
        status,
        code,
        words,
    } = ended.map_err(|error| failed(format!("the compiler cannot be listened to: {error}")))?;
    let words = text::reason(&String::from_utf8_lossy(&words));
    if status.success() {
        return Ok(code);
    }
    if status.code() == Some(CompileFailure::REFUSED.into()) {
        return Err(LoadError::Compile {
            file: Arc::clone(file),
            reason: words,
        });
    }
    Err(failed(reason(command, status, &words)))
}

struct Ended {
    status: ExitStatus,
    code: Vec<u8>,
    words: Vec<u8>,
}

fn spawn(command: &CompilerCommand) -> io::Result<Child> {
    Command::new(&command.program)
        .arg0("rocketmq-connect")
        .args(&command.arguments)
        .arg(command.memory_bytes.to_string())
        .arg(whole_seconds(command.cpu).to_string())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn converse(child: &mut Child, component: Bytes) -> io::Result<Ended> {
    let most = CODE_AT_LEAST.saturating_add(CODE_PER_BYTE.saturating_mul(component.len() as u64));
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        if let Some(mut input) = input {
            // A child that ends early does not read to the end; how it ended says why.
            drop(input.write_all(&component).await);
        }
    };
    let ((), code, words) = tokio::join!(feed, read(output, most), read(errors, WORDS));
    let status = child.wait().await?;
    Ok(Ended {
        status,
        code: code?,
        words: words?,
    })
}

/// Reads to the end and keeps the first `most` bytes, so that nobody waits at a full pipe. Code that
/// is cut breaks its seal.
async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(from) = from {
        let mut from = from.take(most);
        from.read_to_end(&mut kept).await?;
        tokio::io::copy(&mut from.into_inner(), &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

/// How a child ended that brought no code.
fn reason(command: &CompilerCommand, status: ExitStatus, words: &str) -> String {
    let said = match words {
        "" => String::new(),
        words => format!(" ({words})"),
    };
    let signal = status.signal();
    let is = |wanted: Signal| signal == Some(wanted.as_raw());
    if is(Signal::XCPU) {
        let limit = whole_seconds(command.cpu);
        return format!(
            "the compiler was stopped after {limit} s on the processor; see `compile-ms` of the worker's \
             configuration"
        );
    }
    if is(Signal::ABORT) && words.contains("memory allocation") {
        return format!(
            "the compiler needs more than {} of memory; see `compile-memory-bytes` of the worker's \
             configuration",
            text::bytes(command.memory_bytes)
        );
    }
    if is(Signal::KILL) {
        return "the compiler was killed, perhaps because the system is short of memory".to_owned();
    }
    match signal {
        Some(signal) => format!("the compiler ended with signal {signal}{said}"),
        None => format!(
            "the compiler ended with code {}{said}",
            status.code().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    /// A shell that does `script` where `place` is `$0`, the limits are `$1` and `$2`.
    fn shell(script: &str, place: &Path) -> CompilerCommand {
        CompilerCommand {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into(), place.display().to_string()],
            cpu: Duration::from_millis(1_500),
            wall: Duration::from_secs(60),
            memory_bytes: 1 << 30,
        }
    }

    async fn ended(script: &str) -> Result<Vec<u8>, LoadError> {
        run(
            &shell(script, Path::new("")),
            &"x.wasm".into(),
            Bytes::from_static(b"component"),
        )
        .await
    }

    /// Waits until no process of this number runs.
    async fn gone(pid: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if status.is_empty() || status.contains(") Z ") {
                return;
            }
            assert!(Instant::now() < end, "it still runs: {status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The process number that a script has written.
    async fn pid(place: &Path) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let text = std::fs::read_to_string(place).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            assert!(Instant::now() < end, "it has not begun");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_child_gets_the_component_and_its_limits_and_nothing_else() {
        let script = r#"cat; echo " $1 $2"; pwd; tr '\0' '\n' < /proc/$$/environ"#;
        let said = String::from_utf8(ended(script).await.unwrap()).unwrap();
        assert_eq!(said, "component 1073741824 2\n/\n");
    }

    #[tokio::test]
    async fn a_child_is_stopped_at_the_deadline_and_gone() {
        let keep = tempfile::tempdir().unwrap();
        let place = keep.path().join("pid");
        let mut command = shell(r#"echo $$ > "$0"; exec sleep 600"#, &place);
        command.wall = Duration::from_millis(500);
        let error = run(&command, &"x.wasm".into(), Bytes::new())
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x.wasm` could not be compiled: the compiler was stopped after 500ms; see `compile-ms` of \
             the worker's configuration"
        );
        gone(&pid(&place).await).await;
    }

    #[tokio::test]
    async fn a_child_that_nobody_waits_for_any_more_is_killed() {
        let keep = tempfile::tempdir().unwrap();
        let place = keep.path().join("pid");
        let command = shell(r#"echo $$ > "$0"; exec sleep 600"#, &place);
        let waiting = tokio::spawn(async move {
            run(&command, &"x.wasm".into(), Bytes::new())
                .await
                .map(drop)
        });
        let pid = pid(&place).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        gone(&pid).await;
    }

    #[tokio::test]
    async fn how_a_child_ended_is_told() {
        for (script, expected) in [
            (
                "ulimit -S -t 1; while :; do :; done",
                "after 2 s on the processor; see `compile-ms`",
            ),
            ("kill -SEGV $$", "ended with signal 11"),
            ("kill -KILL $$", "short of memory"),
            ("echo oops >&2; exit 3", "ended with code 3 (oops)"),
            (
                "echo memory allocation of 5 bytes failed >&2; kill -ABRT $$",
                "needs more than 1 GiB of memory; see `compile-memory-bytes`",
            ),
        ] {
            let error = ended(script).await.unwrap_err();
            assert!(matches!(error, LoadError::Compiler { .. }), "{error:?}");
            assert!(error.to_string().contains(expected), "{script}: {error}");
        }
        let none = CompilerCommand {
            program: "/no/such/compiler".into(),
            ..shell("", Path::new(""))
        };
        let error = run(&none, &"x.wasm".into(), Bytes::new())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("cannot be started"), "{error}");
    }

    #[tokio::test]
    async fn the_words_of_a_refusal_are_the_components_fault_and_harmless() {
        let error = ended("cat > /dev/null; printf 'bad \\033[31m' >&2; exit 65")
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x.wasm` does not compile: bad \\u{1b}[31m"
        );
        let error = ended("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 65")
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.len() < 3_000, "{} bytes", text.len());
    }

    #[tokio::test]
    async fn no_more_code_is_kept_than_a_component_can_have() {
        // It does not read, it writes without end: none of it holds anybody up.
        let mut command = shell("exec head -c 100000000 /dev/zero", Path::new(""));
        command.wall = Duration::from_secs(120);
        let component = Bytes::from(vec![0; 1 << 20]);
        let code = run(&command, &"x.wasm".into(), component).await.unwrap();
        assert_eq!(code.len() as u64, CODE_AT_LEAST + (CODE_PER_BYTE << 20));
    }
}
