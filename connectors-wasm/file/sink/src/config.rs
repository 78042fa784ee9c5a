//! The settings of the file sink: their names, defaults and meaning, and what cannot be.

use connect_sdk::{Description, Failure, OptionSpec, Result, Settings};

use crate::template::Template;

/// The settings of a task.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) template: Template,
    /// Whether a flush waits for the disk.
    pub(crate) fsync: bool,
    pub(crate) open_files: usize,
}

/// Adds the options to the description.
pub(crate) fn describe(description: Description) -> Description {
    description
        .option(OptionSpec::text("filename").required().doc(
            "File to append to; may hold ${topic}, ${broker}, ${queue}, ${key} and ${header.NAME}, which must \
             be plain file names, or the record is rejected",
        ))
        .option(OptionSpec::text("connect.topicnames").doc("Topics whose records are written"))
        .option(OptionSpec::text("fsync").default("flush").allowed(["flush", "never"]).doc(
            "When lines must be on disk: at every 'flush', before offsets are committed, or 'never', which leaves \
             it to the operating system",
        ))
        .option(
            OptionSpec::integer("max.open.files")
                .default(128)
                .doc("Files kept open at once; of more, those not written for longest are closed"),
        )
}

impl Config {
    /// Reads the settings.
    pub(crate) fn read(settings: &Settings) -> Result<Self> {
        let fsync = match settings.text("fsync")? {
            "flush" => true,
            "never" => false,
            other => {
                return Err(Failure::invalid(
                    "fsync",
                    format!("{other:?} is none of flush, never"),
                ));
            }
        };
        let open_files = usize::try_from(settings.integer("max.open.files")?).unwrap_or(0);
        if open_files == 0 {
            return Err(Failure::invalid("max.open.files", "must be at least 1"));
        }
        Ok(Self {
            template: Template::parse(settings.text("filename")?)?,
            fsync,
            open_files,
        })
    }
}
