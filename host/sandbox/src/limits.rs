//! What one instance may use. Each figure is a hard stop, has a default that a normal connector
//! never meets, and is named by the error that its breach leads to.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::egress::EgressLimits;

/// Limits of one task's instance. They hold per instance, so per task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all memories together, in bytes. Default 256 MiB.
    pub memory_bytes: u64,
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
    /// Time on a processor that one call may take, counted in ticks of the epoch. Default 10 s.
    pub call_cpu: Duration,
    /// Time one call may take, waiting included. Default 60 s.
    pub call_wall: Duration,
    /// Bytes that may come out of the guest in one call. Default: twice the larger of the batch
    /// limit and 4 MiB, the largest record.
    pub hostcall_bytes: Option<u64>,
    /// Lines that go to the log per second; more are counted and dropped. Default 1 000.
    pub log_lines_per_second: u32,
    /// Random bytes the guest may ask for at once. Default 1 MiB.
    pub random_bytes: u64,
    /// Connections and requests.
    pub egress: EgressLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            instances: 100,
            tables: 100,
            memories: 10,
            handles: 10_000,
            call_cpu: Duration::from_secs(10),
            call_wall: Duration::from_secs(60),
            hostcall_bytes: None,
            log_lines_per_second: 1_000,
            random_bytes: 1 << 20,
            egress: EgressLimits::default(),
        }
    }
}

impl Limits {
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

/// Something an instance asked for beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) what: &'static str,
    pub(crate) asked: u64,
    pub(crate) limit: u64,
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
    breach: Option<Breach>,
}

#[derive(Debug)]
struct Quota {
    what: &'static str,
    used: u64,
    limit: u64,
    /// What the last growth added; taken back when the system could not give it.
    last: u64,
}

impl Quota {
    fn new(what: &'static str, limit: u64) -> Self {
        Self {
            what,
            used: 0,
            limit,
            last: 0,
        }
    }

    fn grow(&mut self, current: usize, desired: usize) -> Result<(), Breach> {
        let more = desired.saturating_sub(current) as u64;
        let asked = self.used.saturating_add(more);
        if asked > self.limit {
            return Err(Breach {
                what: self.what,
                asked,
                limit: self.limit,
            });
        }
        self.used = asked;
        self.last = more;
        Ok(())
    }

    fn undo(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: Quota::new("memory bytes", limits.memory_bytes),
            elements: Quota::new("table elements", limits.table_elements.into()),
            instances: limits.instances as usize,
            tables: limits.tables as usize,
            memories: limits.memories as usize,
            breach: None,
        }
    }

    /// Linear memory in use, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.used
    }

    /// Forgets an earlier refusal: a new call begins.
    pub(crate) fn begin(&mut self) {
        self.breach = None;
    }

    /// The refusal that happened since [`Self::begin`].
    pub(crate) fn breach(&self) -> Option<Breach> {
        self.breach
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
            return Ok(false);
        }
        let granted = self.memory.grow(current, desired);
        self.breach = granted.err().or(self.breach);
        Ok(granted.is_ok())
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.undo();
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
            return Ok(false);
        }
        let granted = self.elements.grow(current, desired);
        self.breach = granted.err().or(self.breach);
        Ok(granted.is_ok())
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
        let mut limiter = Limiter::new(&limits);
        assert!(limiter.memory_growing(0, 2 << 16, None).unwrap());
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        assert!(!limiter.memory_growing(1 << 16, 2 << 16, None).unwrap());
        let breach = Breach {
            what: "memory bytes",
            asked: 4 << 16,
            limit: 3 << 16,
        };
        assert_eq!(limiter.breach(), Some(breach));
        limiter.begin();
        assert_eq!(limiter.breach(), None);
        assert_eq!(limiter.memory_bytes(), 3 << 16);
    }

    #[test]
    fn a_growth_that_the_system_refused_is_not_counted() {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        limiter
            .memory_grow_failed(wasmtime::Error::msg("no memory"))
            .unwrap();
        assert_eq!(limiter.memory_bytes(), 0);
    }

    #[test]
    fn a_module_own_maximum_is_not_our_limit() {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(!limiter.memory_growing(0, 2 << 16, Some(1 << 16)).unwrap());
        assert_eq!(limiter.breach(), None);
    }
}
