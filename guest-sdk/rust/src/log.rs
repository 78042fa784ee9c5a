//! Messages to the operator. The host adds connector and task, limits the rate and writes them to
//! its own log; never log per record.

use crate::host;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever debugs this connector, very much of it.
    Trace,
    /// For whoever debugs this connector.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something is odd, the work goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Sends a message to the host; the macros [`info!`](crate::info) and so on are shorter.
pub fn write(level: Level, message: &str) {
    host::log(level, message);
}

/// Logs at trace level, with the arguments of [`format!`].
#[macro_export]
macro_rules! trace {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Trace, &::std::format!($($arguments)+)) };
}

/// Logs at debug level, with the arguments of [`format!`].
#[macro_export]
macro_rules! debug {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Debug, &::std::format!($($arguments)+)) };
}

/// Logs at info level, with the arguments of [`format!`].
#[macro_export]
macro_rules! info {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Info, &::std::format!($($arguments)+)) };
}

/// Logs at warn level, with the arguments of [`format!`].
#[macro_export]
macro_rules! warn {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Warn, &::std::format!($($arguments)+)) };
}

/// Logs at error level, with the arguments of [`format!`].
#[macro_export]
macro_rules! error {
    ($($arguments:tt)+) => { $crate::log::write($crate::log::Level::Error, &::std::format!($($arguments)+)) };
}
