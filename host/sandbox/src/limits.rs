//! What one instance may use. Each figure is a hard stop, has a default that a normal connector
//! never meets, and is named by the error that its breach leads to.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::egress::EgressLimits;
use crate::limit::{Limit, Refused};
use crate::meter::Meter;

/// Limits of one task's instance. They hold per instance, so per task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all memories together, in bytes. Default 256 MiB.
    pub memory_bytes: u64,
    /// Percent of `memory_bytes` above which an instance is closed in good order and made again
    /// between two batches. Default 75; 100 never does.
    pub memory_high_water: u32,
    /// Elements of all tables together. Default 100 000.
    pub table_elements: u32,
    /// Core instances inside the component. Default 100.
    pub instances: u32,
    /// Tables inside the component. Default 100.
    pub tables: u32,
    /// Memories inside the component. Default 10.
    pub memories: u32,
    /// Handles the guest may hold on resources, and entries behind them on the worker's side, of
    /// which some handles have two. Default 10 000.
    pub handles: u32,
    /// Time on a processor that one call may take, as the clock of its thread shows it. Looked at with
    /// each tick of the epoch, so a call is stopped up to a tick later. Default 10 s.
    pub call_cpu: Duration,
    /// Percent of one core that a guest may take from others, on average over a second. Over it, and
    /// once a call has computed for 2 ms without waiting for anything, it has what others leave, and
    /// no less than its share; from 100 ms on a tenth of its share for certain. Default 50; 100 never holds one back.
    pub cpu_share: u32,
    /// Time one call may take, waiting included. Default 60 s.
    pub call_wall: Duration,
    /// Bytes that may come out of the guest in one call. Default: twice the larger of the batch
    /// limit and 4 MiB, the largest record.
    pub hostcall_bytes: Option<u64>,
    /// Lines that go to the log per second; more are counted and dropped. Default 1 000.
    pub log_lines_per_second: u32,
    /// Bytes of those lines per second as they are written: cut, control characters escaped. Default
    /// 1 MiB.
    pub log_bytes_per_second: u32,
    /// Files and directories that are open at a time, and directories that are being read. Granted ones
    /// do not count for being there. Default 256.
    pub open_files: u32,
    /// Records the task may have taken on and not be done with. Kept by whoever moves the records,
    /// not by the sandbox. Default 100 000.
    pub in_flight_records: u64,
    /// Random bytes the guest may ask for at once. Default 1 MiB.
    pub random_bytes: u64,
    /// Connections and requests.
    pub egress: EgressLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            memory_high_water: 75,
            table_elements: 100_000,
            instances: 100,
            tables: 100,
            memories: 10,
            handles: 10_000,
            call_cpu: Duration::from_secs(10),
            cpu_share: 50,
            call_wall: Duration::from_secs(60),
            hostcall_bytes: None,
            log_lines_per_second: 1_000,
            log_bytes_per_second: 1 << 20,
            open_files: 256,
            in_flight_records: 100_000,
            random_bytes: 1 << 20,
            egress: EgressLimits::default(),
        }
    }
}

/// Limits that differ from others, in the units of their keys.
pub type LimitChanges = BTreeMap<Limit, u64>;

impl Limits {
    /// Sets what `changes` name.
    pub fn change(&mut self, changes: &LimitChanges) {
        for (limit, value) in changes {
            limit.set(self, *value);
        }
    }

    /// The high-water mark in bytes.
    pub(crate) fn high_water_bytes(&self) -> u64 {
        let (bytes, percent) = (
            self.memory_bytes,
            u64::from(self.memory_high_water.min(100)),
        );
        bytes / 100 * percent + bytes % 100 * percent / 100
    }

    /// For throw-away instances that only answer what a plugin is and needs.
    pub(crate) fn tight(&self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(128 << 20),
            call_cpu: self.call_cpu.min(Duration::from_secs(5)),
            call_wall: self.call_wall.min(Duration::from_secs(10)),
            log_lines_per_second: self.log_lines_per_second.min(100),
            ..self.clone()
        }
    }
}

/// Counts memory and table elements over the whole store and remembers the last refusal. Growth is
/// refused as `memory.grow` answering -1, which a careful guest survives; the refusal is what tells
/// a trap for want of memory from any other.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: Quota,
    elements: Quota,
    instances: usize,
    tables: usize,
    memories: usize,
    refused: Option<Refused>,
    meter: Meter,
}

#[derive(Debug)]
struct Quota {
    limit: Limit,
    most: u64,
    used: u64,
    /// What the last growth added; taken back when the system could not give it.
    last: u64,
}

impl Quota {
    fn new(limit: Limit, most: u64) -> Self {
        Self {
            limit,
            most,
            used: 0,
            last: 0,
        }
    }

    /// Answers by how much it has grown.
    fn grow(&mut self, current: usize, desired: usize) -> Result<u64, Refused> {
        let more = desired.saturating_sub(current) as u64;
        let asked = self.used.saturating_add(more);
        // Should a refused growth be told as a failed one too, nothing of an earlier one is taken back.
        self.last = 0;
        if asked > self.most {
            return Err(Refused {
                limit: self.limit,
                value: self.most,
                asked: Some(asked),
            });
        }
        self.used = asked;
        self.last = more;
        Ok(more)
    }

    /// Answers how much was taken back.
    fn undo(&mut self) -> u64 {
        let last = std::mem::take(&mut self.last);
        self.used = self.used.saturating_sub(last);
        last
    }
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, meter: Meter) -> Self {
        Self {
            memory: Quota::new(Limit::Memory, limits.memory_bytes),
            elements: Quota::new(Limit::TableElements, limits.table_elements.into()),
            instances: limits.instances as usize,
            tables: limits.tables as usize,
            memories: limits.memories as usize,
            refused: None,
            meter,
        }
    }

    /// Linear memory in use, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.used
    }

    /// Forgets an earlier refusal: a new call begins.
    pub(crate) fn begin(&mut self) {
        self.refused = None;
    }

    /// The refusal that happened since [`Self::begin`].
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    fn refuse(&mut self, refused: Refused) {
        // An allocator tries again in other ways; one call is one breach.
        if self.refused.map(|earlier| earlier.limit) != Some(refused.limit) {
            self.meter.breach(refused.limit);
        }
        self.refused = Some(refused);
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.meter.shrank(self.memory.used);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Beyond the memory's own maximum wasmtime refuses by itself; that is no breach of ours.
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.memory.last = 0;
            return Ok(false);
        }
        match self.memory.grow(current, desired) {
            Ok(more) => self.meter.grew(more, self.memory.used),
            Err(refused) => {
                self.refuse(refused);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        let less = self.memory.undo();
        self.meter.shrank(less);
        tracing::warn!(error = %error, "the system refused memory to a plugin");
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.elements.last = 0;
            return Ok(false);
        }
        if let Err(refused) = self.elements.grow(current, desired) {
            self.refuse(refused);
            return Ok(false);
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.elements.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_limit_and_a_refusal_is_remembered_until_the_next_call() {
        let limits = Limits {
            memory_bytes: 3 << 16,
            ..Limits::default()
        };
        let meter = Meter::default();
        let mut limiter = Limiter::new(&limits, meter.clone());
        assert!(limiter.memory_growing(0, 2 << 16, None).unwrap());
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        assert!(!limiter.memory_growing(1 << 16, 2 << 16, None).unwrap());
        let refused = Refused {
            limit: Limit::Memory,
            asked: Some(4 << 16),
            value: 3 << 16,
        };
        assert_eq!(limiter.refused(), Some(refused));
        limiter.begin();
        assert_eq!(limiter.refused(), None);
        assert_eq!(limiter.memory_bytes(), 3 << 16);
        assert_eq!(meter.read().memory_bytes, 3 << 16);
        drop(limiter);
        let usage = meter.read();
        assert_eq!((usage.memory_bytes, usage.memory_peak_bytes), (0, 3 << 16));
        assert_eq!(usage.breaches, [(Limit::Memory, 1)]);
    }

    #[test]
    fn the_high_water_mark_is_a_part_of_the_memory() {
        let mark = |memory_bytes, memory_high_water| {
            let limits = Limits {
                memory_bytes,
                memory_high_water,
                ..Limits::default()
            };
            limits.high_water_bytes()
        };
        assert_eq!(mark(256 << 20, 75), 192 << 20);
        assert_eq!(mark(199, 50), 99);
        assert_eq!(mark(u64::MAX, 100), u64::MAX);
        assert_eq!(mark(u64::MAX, 200), u64::MAX);
    }

    #[test]
    fn a_growth_that_the_system_refused_is_not_counted() {
        let meter = Meter::default();
        let mut limiter = Limiter::new(&Limits::default(), meter.clone());
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        limiter
            .memory_grow_failed(wasmtime::Error::msg("no memory"))
            .unwrap();
        assert_eq!(limiter.memory_bytes(), 0);
        assert_eq!(meter.read().memory_bytes, 0);
    }

    /// Else a guest could make room by being refused.
    #[test]
    fn a_growth_that_was_refused_takes_nothing_back() {
        let limits = Limits {
            memory_bytes: 2 << 16,
            table_elements: 10,
            ..Limits::default()
        };
        let mut limiter = Limiter::new(&limits, Meter::default());
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        assert!(!limiter.memory_growing(1 << 16, 3 << 16, None).unwrap());
        let failed = || wasmtime::Error::msg("no memory");
        limiter.memory_grow_failed(failed()).unwrap();
        assert_eq!(limiter.memory_bytes(), 1 << 16);
        assert!(limiter.memory_growing(1 << 16, 2 << 16, None).unwrap());
        let beyond = Some(2 << 16);
        assert!(!limiter.memory_growing(2 << 16, 3 << 16, beyond).unwrap());
        limiter.memory_grow_failed(failed()).unwrap();
        assert_eq!(limiter.memory_bytes(), 2 << 16);
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.table_growing(10, 20, Some(15)).unwrap());
        limiter.table_grow_failed(failed()).unwrap();
        assert!(!limiter.table_growing(0, 1, None).unwrap());
    }

    #[test]
    fn a_module_own_maximum_is_not_our_limit() {
        let mut limiter = Limiter::new(&Limits::default(), Meter::default());
        assert!(!limiter.memory_growing(0, 2 << 16, Some(1 << 16)).unwrap());
        assert_eq!(limiter.refused(), None);
    }
}
