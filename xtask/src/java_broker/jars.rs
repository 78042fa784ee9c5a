//! What a Java RocketMQ needs of the machine: a JVM, and its jars from Maven Central.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const POM: &str = include_str!("../../java/pom.xml");
const VERSION: &str = "5.3.3";
/// RocketMQ reaches into the JDK; from Java 9 on that must be allowed.
const JAVA_MODULES: [&str; 6] = [
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
];

/// What keeps a Java RocketMQ from running here, if anything does.
pub(crate) fn missing() -> Option<String> {
    if !answers(&java(), "-version") {
        return Some("there is no java on the PATH and no JAVA_HOME".to_owned());
    }
    let there = jar_folder().is_ok_and(|folder| complete(&folder).exists());
    if !there && !answers("mvn", "-version") {
        return Some("there is no mvn on the PATH to fetch RocketMQ's jars with".to_owned());
    }
    None
}

pub(super) fn java() -> String {
    match std::env::var("JAVA_HOME") {
        Ok(home) if !home.is_empty() => format!("{home}/bin/java"),
        _ => "java".to_owned(),
    }
}

fn answers(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The options that Java 9 and later need and Java 8 does not know.
pub(super) fn modules() -> &'static [&'static str] {
    let version = Command::new(java()).arg("-version").output();
    let old = version.is_ok_and(|out| String::from_utf8_lossy(&out.stderr).contains("\"1.8"));
    if old { &[] } else { &JAVA_MODULES }
}

fn jar_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("RMQ_LIB") {
        return Ok(PathBuf::from(folder));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").exists());
    let root = root.context("there is no Cargo.lock above this crate")?;
    Ok(root.join("target/java-broker").join(VERSION))
}

fn complete(folder: &Path) -> PathBuf {
    folder.join(format!("complete-{VERSION}"))
}

/// The folder with RocketMQ's jars, fetched when they are not there.
pub(super) fn jars() -> Result<PathBuf> {
    let folder = jar_folder()?;
    if complete(&folder).exists() {
        return Ok(folder);
    }
    ensure!(
        answers("mvn", "-version"),
        "there is no mvn on the PATH to fetch RocketMQ's jars with"
    );
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, POM)?;
    let status = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .stdin(Stdio::null())
        .status()
        .context("cannot run mvn")?;
    ensure!(
        status.success(),
        "mvn could not fetch RocketMQ {VERSION} from Maven Central"
    );
    fs::write(complete(&folder), "")?;
    Ok(folder)
}
