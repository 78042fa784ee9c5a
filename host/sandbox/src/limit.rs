//! The limits by name: each one as the operator writes it, what it may be set to, and what is said when
//! it is reached. The one list that configuration, errors, status and metrics share, so that none of
//! them can forget a limit; what enforces it stands elsewhere.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::Limits;
use crate::log::Who;
use crate::text;

/// An hour and a day in milliseconds: beyond them a figure is a slip of the pen.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// One line a limit: name, key in the configuration, smallest and largest value, field of [`Limits`].
macro_rules! limits {
    ($($(#[$about:meta])* $name:ident, $key:literal, $range:expr, $($field:ident).+;)*) => {
        /// One of the limits of [`Limits`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit {
            $($(#[$about])* $name,)*
        }

        impl Limit {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            pub(crate) const COUNT: usize = Self::ALL.len();

            /// The key in the configuration, with the unit of its value at the end.
            pub fn key(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }

            /// Smallest and largest value, in the unit of the key.
            pub fn range(self) -> RangeInclusive<u64> {
                match self {
                    $(Self::$name => $range,)*
                }
            }

            /// The value in `limits`, in the unit of the key; none where it is left to the sandbox.
            pub fn of(self, limits: &Limits) -> Option<u64> {
                match self {
                    $(Self::$name => limits.$($field).+.get(),)*
                }
            }

            /// Sets the value in `limits`, in the unit of the key.
            pub fn set(self, limits: &mut Limits, value: u64) {
                match self {
                    $(Self::$name => limits.$($field).+.set(value),)*
                }
            }
        }
    };
}

limits! {
    /// Linear memory.
    Memory, "memory-bytes", 1 << 16..=4 << 30, memory_bytes;
    /// The part of it above which an instance is made again.
    HighWater, "memory-high-water", 1..=100, memory_high_water;
    /// Elements of tables.
    TableElements, "table-elements", 1..=100_000_000, table_elements;
    /// Core instances.
    Instances, "instances", 1..=100_000, instances;
    /// Tables.
    Tables, "tables", 1..=100_000, tables;
    /// Memories.
    Memories, "memories", 1..=1_000, memories;
    /// Handles on resources.
    Handles, "handles", 1..=100_000_000, handles;
    /// Processor time of a call.
    CallCpu, "call-cpu-ms", 1..=HOUR, call_cpu;
    /// Share of a core.
    CpuShare, "cpu-share", 1..=100, cpu_share;
    /// Time of a call.
    CallWall, "call-wall-ms", 1..=DAY, call_wall;
    /// Bytes out of the guest in one call.
    HostcallBytes, "hostcall-bytes", 1 << 16..=4 << 30, hostcall_bytes;
    /// Lines to the log.
    LogLines, "log-lines-per-second", 0..=1_000_000, log_lines_per_second;
    /// Bytes to the log.
    LogBytes, "log-bytes-per-second", 0..=1 << 30, log_bytes_per_second;
    /// Files that are open.
    OpenFiles, "open-files", 0..=100_000, open_files;
    /// Records in flight.
    InFlightRecords, "in-flight-records", 1..=1_000_000_000, in_flight_records;
    /// Random bytes.
    RandomBytes, "random-bytes", 1..=1 << 30, random_bytes;
    /// Connections and sockets.
    Connections, "connections", 0..=65_536, egress.connections;
    /// Look-ups of names.
    LookUps, "look-ups", 0..=64, egress.look_ups;
    /// Time for a connection to come about.
    Connect, "connect-ms", 1..=HOUR, egress.connect;
    /// Time to the beginning of a response.
    FirstByte, "first-byte-ms", 1..=HOUR, egress.first_byte;
    /// Time between two parts of a response.
    BetweenBytes, "between-bytes-ms", 1..=HOUR, egress.between_bytes;
    /// Time of a request with its response.
    RequestWall, "request-wall-ms", 1..=DAY, egress.request_wall;
    /// Body of a request.
    RequestBytes, "request-bytes", 0..=1 << 40, egress.request_bytes;
    /// Body of a response.
    ResponseBytes, "response-bytes", 0..=1 << 40, egress.response_bytes;
}

/// A field of [`Limits`] as a plain number.
trait Value {
    fn get(&self) -> Option<u64>;
    fn set(&mut self, value: u64);
}

impl Value for u64 {
    fn get(&self) -> Option<u64> {
        Some(*self)
    }

    fn set(&mut self, value: u64) {
        *self = value;
    }
}

impl Value for u32 {
    fn get(&self) -> Option<u64> {
        Some((*self).into())
    }

    fn set(&mut self, value: u64) {
        *self = Self::try_from(value).unwrap_or(Self::MAX);
    }
}

impl Value for Option<u64> {
    fn get(&self) -> Option<u64> {
        *self
    }

    fn set(&mut self, value: u64) {
        *self = Some(value);
    }
}

/// Milliseconds.
impl Value for Duration {
    fn get(&self) -> Option<u64> {
        Some(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }

    fn set(&mut self, value: u64) {
        *self = Self::from_millis(value);
    }
}

/// Something was refused to a guest, or a guest was stopped, by a limit. A host function that ends
/// its call with this error gets it named as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{}` of {value} was reached", .limit.key())]
pub(crate) struct Refused {
    pub(crate) limit: Limit,
    pub(crate) value: u64,
    /// What the guest would have had, where that is known.
    pub(crate) asked: Option<u64>,
}

impl Refused {
    /// With whom it happened to.
    pub(crate) fn to(self, who: &Who) -> Box<Breach> {
        let Self {
            limit,
            value,
            asked,
        } = self;
        Box::new(Breach {
            limit,
            value,
            asked,
            plugin: Arc::clone(&who.plugin),
            connector: Arc::clone(&who.connector),
        })
    }
}

/// A limit that was reached, by whom, and where to change it; its text says all of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The limit.
    pub limit: Limit,
    /// What it is set to, in the unit of its key.
    pub value: u64,
    /// What the plugin would have had, where that is known.
    pub asked: Option<u64>,
    /// The plugin.
    pub plugin: Arc<str>,
    /// The connector; empty while a plugin is only asked about itself and its settings.
    pub connector: Arc<str>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit,
            value,
            asked,
            plugin,
            connector,
        } = self;
        write!(f, "the limit `{}` is {value}", limit.key())?;
        if limit.key().ends_with("bytes") && *value >= 1 << 10 && value.is_multiple_of(1 << 10) {
            write!(f, " ({})", text::bytes(*value))?;
        }
        if let Some(asked) = asked {
            write!(f, ", {asked} was asked for")?;
        }
        write!(f, "; it is set in [limits]")?;
        if connector.is_empty() {
            // Beside what is configured, see `Limits::tight`.
            write!(
                f,
                " or [limits.plugin.\"{plugin}\"], and lower while a plugin only describes itself"
            )
        } else {
            write!(
                f,
                ", [limits.plugin.\"{plugin}\"] or [limits.connector.\"{connector}\"]"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_read_and_set_in_its_own_field() {
        let mut limits = Limits::default();
        for (limit, value) in Limit::ALL.iter().zip(70_000..) {
            limit.set(&mut limits, value);
        }
        for (limit, value) in Limit::ALL.iter().zip(70_000..) {
            assert_eq!(limit.of(&limits), Some(value), "{}", limit.key());
        }
        let wall = 70_000 + Limit::CallWall as u64;
        assert_eq!(limits.call_wall, Duration::from_millis(wall));
    }

    #[test]
    fn every_default_is_within_its_range() {
        for limit in Limit::ALL {
            let value = limit.of(&Limits::default());
            assert!(
                value.is_none_or(|value| limit.range().contains(&value)),
                "{}",
                limit.key()
            );
        }
    }

    #[test]
    fn a_breach_says_what_was_asked_and_where_to_change_the_limit() {
        let mut breach = Breach {
            limit: Limit::Memory,
            value: 65_536,
            asked: Some(131_072),
            plugin: "p".into(),
            connector: "c".into(),
        };
        assert_eq!(
            breach.to_string(),
            "the limit `memory-bytes` is 65536 (64 KiB), 131072 was asked for; it is set in [limits], \
             [limits.plugin.\"p\"] or [limits.connector.\"c\"]"
        );
        (breach.asked, breach.connector) = (None, "".into());
        assert!(
            breach.to_string().starts_with(
                "the limit `memory-bytes` is 65536 (64 KiB); it is set in [limits] or [limits.plugin.\"p\"],"
            ),
            "{breach}"
        );
    }
}
