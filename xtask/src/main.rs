//! `cargo xtask`: the commands that people and CI run. Each command lives in a file of its own;
//! this one only tells them apart.
//!
//! Must never hold product logic: what a user of the worker needs belongs in `rocketmq-connect`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks to the person who started it"
)]

mod arguments;
mod bench;
mod cargo;
mod java_broker;
mod process;
mod quickstart;
mod test;
mod torture;
mod wasm;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  quickstart    build, start a broker and a worker, move a sample from file to topic to file
                  --once             stop when it is done; the exit code says whether all arrived
                  --namesrv H:P      use a broker that is already there
                  --lines N          length of the sample (100000)
                  --directory D      where everything is put (quickstart); made anew each time
                  --rest-port P, --namesrv-port P, --broker-port P   instead of 8082, 9876, 10911
  test [name…]  format, lint, documentation, plugins, every test; or only the named parts:
                lint, docs, unit, batches, or a suite of tests/suites such as kills;
                batches are random ones against the check, for CONNECT_BATCH_SECONDS (60) from the
                seed CONNECT_BATCH_SEED (the time)
                  --jobs N           compile that many crates at once
  plugins       build the connectors into plugins/
  guests        build the plugins that the tests misuse
  torture       the delivery tests at full size; see `cargo xtask torture --help`
  bench         figures beside baselines, as a table; see `cargo xtask bench --help`
  java-broker   start or stop a Java RocketMQ for tests; see `cargo xtask java-broker help`
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let done = match command {
        "quickstart" => quickstart::run(rest),
        "test" => test::run(rest),
        "plugins" => wasm::plugins(rest),
        "guests" => wasm::guests(rest),
        "torture" => torture::run(rest),
        "bench" => bench::run(rest),
        "java-broker" => java_broker::run(rest).map(|()| true),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        other => Err(anyhow::anyhow!("there is no command `{other}`\n\n{HELP}")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
