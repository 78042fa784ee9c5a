//! The command line, as people type it. Must never do anything.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Moves records between RocketMQ and other systems through WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "rocketmq-connect", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a worker on its own.
    Standalone {
        /// The worker's configuration: a .toml file, or a .conf of the Java project.
        #[arg(short, long, value_name = "FILE", alias = "configFile")]
        config: PathBuf,
    },
    /// Runs a RocketMQ name server and broker for tests and development.
    Broker {
        /// Where their data is; created when missing.
        #[arg(long, value_name = "DIRECTORY")]
        directory: PathBuf,
        /// Port of the name server on 127.0.0.1.
        #[arg(long, value_name = "PORT", default_value_t = 9876, value_parser = clap::value_parser!(u16).range(1..))]
        namesrv_port: u16,
        /// Port of the broker on 127.0.0.1; it also takes the port two below and the one above.
        #[arg(long, value_name = "PORT", default_value_t = 10911, value_parser = clap::value_parser!(u16).range(3..65535))]
        broker_port: u16,
    },
    /// Shows what a worker has stored; also beside a running worker, and without changing anything.
    Store {
        /// The worker's directory (`worker.directory`).
        #[arg(long, value_name = "DIRECTORY", global = true, default_value = "data")]
        directory: PathBuf,
        /// How to show it.
        #[arg(long, value_enum, global = true, default_value_t)]
        output: Output,
        #[command(subcommand)]
        what: StoreCommand,
    },
    /// Looks at plugins.
    Plugin {
        /// How to show it.
        #[arg(long, value_enum, global = true, default_value_t)]
        output: Output,
        #[command(subcommand)]
        what: PluginCommand,
    },
    /// Compiles one plugin: how a worker runs itself for each new file.
    #[command(hide = true)]
    Compile {
        /// Most address space, in bytes.
        memory_bytes: u64,
        /// Most processor time, in seconds.
        cpu_seconds: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// All connectors; secret values are not shown.
    Connectors,
    /// How far a source has read.
    Positions {
        /// Name of the connector.
        connector: String,
    },
    /// How far a sink has written.
    Offsets {
        /// Name of the connector.
        connector: String,
    },
    /// Everything, as JSON.
    Dump,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Loads a plugin as a worker would, and shows what it says of itself.
    Inspect {
        /// The .wasm file.
        file: PathBuf,
    },
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns.
    #[default]
    Table,
    /// JSON.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_of_the_store_stand_before_or_after() {
        for line in [
            "x store --directory d --output json positions c",
            "x store positions c --directory d --output json",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let Command::Store {
                directory,
                output,
                what,
            } = arguments.command
            else {
                panic!("{line}");
            };
            assert_eq!(directory, PathBuf::from("d"));
            assert_eq!(output, Output::Json);
            assert!(matches!(what, StoreCommand::Positions { connector } if connector == "c"));
        }
    }
}
