//! What a task's plugin has used, counted where it is used. A meter belongs to the task and outlives
//! its instances: each adds to it while it lives. Nothing here waits, decides or refuses anything;
//! a call costs two readings of the clock and a handful of additions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::egress;
use crate::limit::Limit;
use crate::share::Account;

/// Counts what instances use. Clones count into the same figures.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counters>);

/// Sums but for those that are called levels, which go down as well.
#[derive(Debug, Default)]
struct Counters {
    cpu_ns: AtomicU64,
    held_ns: AtomicU64,
    account: Account,
    calls: AtomicU64,
    instances: AtomicU64,
    /// A level.
    memory: AtomicU64,
    memory_peak: AtomicU64,
    /// A level.
    open_files: AtomicU64,
    log_lines: AtomicU64,
    log_bytes: AtomicU64,
    log_lines_dropped: AtomicU64,
    log_bytes_dropped: AtomicU64,
    egress: Arc<egress::Counters>,
    breaches: [AtomicU64; Limit::COUNT],
}

/// What a [`Meter`] showed at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a thread for guests: of the plugin, and of what the worker does for it in a call.
    pub cpu: Duration,
    /// Time in which the plugin was held back because it was over its share of a core.
    pub held: Duration,
    /// Calls into the plugin, the making of instances among them.
    pub calls: u64,
    /// Instances made.
    pub instances: u64,
    /// Linear memory now, in bytes.
    pub memory_bytes: u64,
    /// The most linear memory one instance had, in bytes.
    pub memory_peak_bytes: u64,
    /// Files that are open now.
    pub open_files: u64,
    /// Lines that went to the log.
    pub log_lines: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// Lines that did not, because of a limit.
    pub log_lines_dropped: u64,
    /// Their bytes.
    pub log_bytes_dropped: u64,
    /// Connections made to the outside.
    pub connections: u64,
    /// Times that the network was refused for want of a grant. What a limit refused is among the
    /// breaches.
    pub refused: u64,
    /// How often each limit was reached; those that never were are left out.
    pub breaches: Vec<(Limit, u64)>,
}

fn add(to: &AtomicU64, more: u64) {
    to.fetch_add(more, Ordering::Relaxed);
}

impl Meter {
    /// What it shows now. The figures are read one after the other, not at one instant.
    pub fn read(&self) -> Usage {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &*self.0;
        let outside = counters.egress.counted();
        let breaches = Limit::ALL.iter().zip(&counters.breaches);
        Usage {
            cpu: Duration::from_nanos(get(&counters.cpu_ns)),
            held: Duration::from_nanos(get(&counters.held_ns)),
            calls: get(&counters.calls),
            instances: get(&counters.instances),
            memory_bytes: get(&counters.memory),
            memory_peak_bytes: get(&counters.memory_peak),
            open_files: get(&counters.open_files),
            log_lines: get(&counters.log_lines),
            log_bytes: get(&counters.log_bytes),
            log_lines_dropped: get(&counters.log_lines_dropped),
            log_bytes_dropped: get(&counters.log_bytes_dropped),
            connections: outside.connections,
            refused: outside.refused(),
            breaches: breaches
                .map(|(limit, count)| (*limit, get(count)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }

    /// A limit was reached. The sandbox counts its own; this is for those that are kept elsewhere.
    pub fn breach(&self, limit: Limit) {
        if let Some(count) = self.0.breaches.get(limit as usize) {
            add(count, 1);
        }
    }

    /// What is counted of the network.
    pub(crate) fn egress(&self) -> Arc<egress::Counters> {
        Arc::clone(&self.0.egress)
    }

    /// A call begins.
    pub(crate) fn call(&self) {
        add(&self.0.calls, 1);
    }

    /// A guest was on a thread for so long.
    pub(crate) fn ran(&self, time: Duration) {
        let time = time.as_nanos();
        add(&self.0.cpu_ns, u64::try_from(time).unwrap_or(u64::MAX));
    }

    /// A guest was held back for so long.
    pub(crate) fn held(&self, time: Duration) {
        let time = time.as_nanos();
        add(&self.0.held_ns, u64::try_from(time).unwrap_or(u64::MAX));
    }

    /// What the instances may still spend of their share of a core, one after the other: a new one
    /// goes on where the one before it was.
    pub(crate) fn account(&self) -> &Account {
        &self.0.account
    }

    /// An instance is being made.
    pub(crate) fn instance(&self) {
        add(&self.0.instances, 1);
    }

    /// An instance has so many bytes more of linear memory, which makes `total`.
    pub(crate) fn grew(&self, more: u64, total: u64) {
        add(&self.0.memory, more);
        self.0.memory_peak.fetch_max(total, Ordering::Relaxed);
    }

    /// So many bytes of linear memory were given back.
    pub(crate) fn shrank(&self, less: u64) {
        self.0.memory.fetch_sub(less, Ordering::Relaxed);
    }

    /// An instance had `before` files open and has `now`.
    pub(crate) fn files(&self, before: u64, now: u64) {
        let level = &self.0.open_files;
        if now >= before {
            add(level, now - before);
        } else {
            level.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// A line of so many bytes goes to the log.
    pub(crate) fn logged(&self, bytes: u64) {
        add(&self.0.log_lines, 1);
        add(&self.0.log_bytes, bytes);
    }

    /// A line of so many bytes was dropped.
    pub(crate) fn dropped(&self, bytes: u64) {
        add(&self.0.log_lines_dropped, 1);
        add(&self.0.log_bytes_dropped, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Refused;

    #[test]
    fn clones_count_into_one_and_levels_go_down() {
        let meter = Meter::default();
        let other = meter.clone();
        meter.ran(Duration::from_millis(3));
        other.ran(Duration::from_millis(4));
        for (instance, total) in [(&meter, 10), (&other, 30)] {
            instance.instance();
            instance.grew(total, total);
        }
        meter.shrank(10);
        meter.breach(Limit::CallWall);
        other.breach(Limit::CallWall);
        meter.egress().connection();
        other.egress().refused(Refused::Connection);
        let usage = other.read();
        assert_eq!(usage.cpu, Duration::from_millis(7));
        assert_eq!(usage.instances, 2);
        assert_eq!((usage.connections, usage.refused), (1, 1));
        assert_eq!((usage.memory_bytes, usage.memory_peak_bytes), (30, 30));
        assert_eq!(usage.breaches, [(Limit::CallWall, 2)]);
    }
}
